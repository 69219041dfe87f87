"""The strangers by whom it was chosen who is answered: none of the report's, the same every time, heard and judged."""

from __future__ import annotations

from duologue.backends.pocket.language import vocabulary
from duologue.measure.phrases import marked, other_talk
from duologue.measure.strangers import Stranger, hear, strangers
from duologue.measure.understanding import Request


def test_nothing_of_the_reports_is_among_them() -> None:
    everybody = [*strangers()]
    assert everybody == [*strangers()]
    reported = {*marked("duologue.measure.duplex", "phrases.txt", "report", "turn"), *other_talk("report")}
    assert not reported & {stranger.request.text for stranger in everybody}
    assert "rms" not in {stranger.voice for stranger in everybody}
    assert {stranger.where for stranger in everybody} == {"dry", "near", "afar", "across"}


def test_they_are_heard_and_judged() -> None:
    decoder, careful = vocabulary().decoder(), vocabulary().careful_decoder()
    asked = Request("what time is it", "time", {})
    assert hear(Stranger(asked, "kal16", "dry"), decoder, careful, 1).answered
    assert hear(Stranger(asked, "kal16", "dry"), decoder, careful, 1).right
    talk = Request("the train to london was delayed again", "", {})
    assert not hear(Stranger(talk, "slt", "afar"), decoder, careful, 1).answered

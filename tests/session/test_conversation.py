"""What a session does, told as conversations on a virtual clock. The voice detector is the real one."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from duologue.audio import Wave, samples
from duologue.audio.formats import encode_pcm16
from duologue.backends.contract import Cancel, Command, Commit, Failed, Hear, Hypothesis, Respond, Wants
from duologue.session import SessionOptions
from duologue.session.session import POURED

from .scripted import Conversation, ScriptedBackend, silence, voice

QUESTION = "what time is it now please"


def vad(kind: str = "semantic_vad", **fields: object) -> dict[str, object]:
    return {"input": {"turn_detection": {"type": kind, **fields}}}


def test_a_question_is_answered_in_the_protocols_order() -> None:
    talk = Conversation()
    talk.hear(silence(0.5))
    talk.hear(voice(QUESTION))
    talk.hear(silence(3.0))
    kinds = [t for t in dict.fromkeys(talk.types()) if not t.startswith(("duologue", "session"))]
    assert kinds == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    assert talk.of("response.done")[0]["response"]["status"] == "completed"
    assert talk.said() == pytest.approx(2.0, abs=0.01)
    assert talk.floor() == ["hearing", "speculating", "replying", "idle"]


def test_the_answer_comes_soon_after_the_last_word_when_the_words_are_complete() -> None:
    talk = Conversation()
    talk.hear(silence(0.5))
    talk.hear(voice(QUESTION))
    end = talk.now
    talk.hear(silence(2.0))
    assert talk.when("response.output_audio.delta")[0] - end < 0.35
    assert talk.of("duologue.latency")[0]["ms"] == pytest.approx(
        (talk.when("response.output_audio.delta")[0] - end) * 1000, abs=60
    )


def test_the_person_may_finish_when_the_words_are_not_complete() -> None:
    talk = Conversation(ScriptedBackend(complete=False))
    talk.hear(voice("set a timer for"))
    talk.hear(silence(1.0))
    assert "response.created" not in talk.types()
    talk.hear(voice("five minutes please"))
    talk.hear(silence(3.0))
    assert len(talk.of("input_audio_buffer.committed")) == 1, "one turn, in spite of the pause"
    tentative = talk.backend.sent(Respond)
    assert len(tentative) == 2
    assert [c.epoch for c in talk.backend.sent(Cancel)] == [tentative[0].epoch], "the first attempt left no trace"
    assert [c.epoch for c in talk.backend.sent(Commit)] == [tentative[1].epoch]


class Late(ScriptedBackend):
    """An ear on a busy machine: it has the words up to :attr:`until` only."""

    until = 0

    def _hypothesis(self, command: Hear) -> Hypothesis:
        whole = super()._hypothesis(command)
        return replace(whole, until=min(whole.until, self.until))


def test_an_ear_that_is_behind_is_waited_for_and_decides_when_it_has_caught_up() -> None:
    backend = Late(words="remind me in five minutes")
    talk = Conversation(backend)
    talk.hear(voice("remind me in five minutes to"))
    talk.hear(silence(1.0))
    assert "response.created" not in talk.types(), "the words so far are whole, but who knows what comes after them?"
    backend.until = 10**9
    talk.hear(silence(0.04))
    assert "response.created" in talk.types(), "it was whole"


def test_an_ear_that_is_behind_is_not_waited_for_for_ever() -> None:
    talk = Conversation(Late())
    talk.hear(voice(QUESTION))
    talk.hear(silence(2.0))
    assert "response.created" in talk.types()


def test_side_effects_are_only_allowed_after_the_endpoint() -> None:
    talk = Conversation()
    talk.hear(voice(QUESTION))
    talk.hear(silence(0.16))
    assert talk.backend.sent(Respond)[0].tentative
    assert not talk.backend.sent(Commit)
    talk.hear(silence(0.5))
    assert talk.backend.sent(Commit)


def test_without_speculation_a_reply_is_begun_at_the_endpoint() -> None:
    """By the operator, or by the client, whose word comes first."""
    for options, said in ((SessionOptions(speculate=False), {}), (SessionOptions(), {"speculate": False})):
        talk = Conversation(ScriptedBackend(complete=False), options)
        talk.send("session.update", session={"type": "realtime", "duologue": said})
        talk.hear(voice("set a timer for"))
        talk.hear(silence(1.0))
        assert not talk.backend.sent(Respond)
        talk.hear(voice("five minutes please"))
        talk.hear(silence(5.0))
        [asked] = talk.backend.sent(Respond)
        assert not asked.tentative and not talk.backend.sent(Cancel)
        assert talk.of("response.done")[0]["response"]["status"] == "completed"
    talk = Conversation(options=SessionOptions(speculate=False))
    talk.send("session.update", session={"type": "realtime", "duologue": {"speculate": True}})
    talk.hear(voice(QUESTION))
    talk.hear(silence(0.16))
    assert talk.backend.sent(Respond)[0].tentative


def test_a_reply_to_words_that_changed_is_made_anew() -> None:
    backend = ScriptedBackend(words="what is five", complete=False)
    talk = Conversation(backend)
    talk.hear(voice(QUESTION))
    talk.hear(silence(0.2))
    backend.words, backend.complete = "what is five plus three", True
    talk.hear(silence(1.0))
    first, second = backend.sent(Respond)
    assert [c.epoch for c in backend.sent(Cancel)] == [first.epoch]
    assert [c.epoch for c in backend.sent(Commit)] == [second.epoch]


def test_an_interruption_silences_at_once_and_history_keeps_what_was_heard() -> None:
    backend = ScriptedBackend(reply="one two three four five six seven eight nine ten", seconds=10.0)
    talk = Conversation(backend)
    talk.hear(voice(QUESTION))
    talk.hear(silence(2.5))
    onset = talk.now
    talk.hear(voice("no wait stop it"))
    talk.hear(silence(0.5))
    over = talk.when("response.done")[0]
    deltas = [at for at in talk.when("response.output_audio.delta") if onset <= at <= over]
    assert max(deltas, default=onset) - onset < 0.2, "it stops sending at the onset"
    started = talk.when("input_audio_buffer.speech_started")[1]
    done = talk.of("response.done")[0]["response"]
    assert started <= talk.when("response.done")[0]
    assert done["status"] == "cancelled"
    assert done["status_details"]["reason"] == "turn_detected"
    item = done["output"][0]["id"]
    talk.send("conversation.item.retrieve", item_id=item)
    heard = talk.of("conversation.item.retrieved")[0]["item"]["content"][0]["transcript"]
    assert heard.startswith("one two")
    assert not heard.endswith("ten")
    cut = backend.sent(Cancel)[0]
    assert cut.heard_chars == len(heard)
    second = backend.sent(Respond)[-1]
    assert [item.text for item in second.history if item.role == "assistant"] == [heard]


def test_a_backchannel_pauses_the_reply_and_gives_the_floor_back() -> None:
    backend = ScriptedBackend(reply="a long story", seconds=6.0)
    talk = Conversation(backend)
    talk.hear(voice(QUESTION))
    talk.hear(silence(2.0))
    backend.words, backend.backchannel = "yeah", True
    talk.hear(voice("yeah"))
    talk.hear(silence(7.0))
    assert [event["paused"] for event in talk.of("duologue.pause")] == [True, False]
    assert len(talk.of("input_audio_buffer.speech_started")) == 1, "stock clients flush on it"
    assert talk.of("response.done")[0]["response"]["status"] == "completed"
    assert talk.said() == pytest.approx(6.0, abs=0.01), "nothing is lost"
    assert backend.dropped
    assert talk.floor()[-3:] == ["contested", "replying", "idle"]


@pytest.mark.parametrize(("text", "status"), [("huh", "completed"), ("the weather in the afternoon", "cancelled")])
def test_where_the_words_do_not_tell_it_counts_how_long_the_voice_goes_on(text: str, status: str) -> None:
    backend = ScriptedBackend(reply="a long story", seconds=6.0)
    talk = Conversation(backend)
    talk.hear(voice(QUESTION))
    talk.hear(silence(2.0))
    backend.words, backend.complete, backend.backchannel = "london", None, None
    talk.hear(voice(text))
    talk.hear(silence(7.0))
    assert talk.of("response.done")[0]["response"]["status"] == status


def test_without_an_ear_a_long_overlap_is_an_interruption() -> None:
    backend = ScriptedBackend(seconds=8.0)
    talk = Conversation(backend)
    talk.hear(voice(QUESTION))
    talk.hear(silence(2.0))
    backend.deaf = True
    talk.hear(voice("je voudrais savoir quelle heure il est maintenant"))
    talk.hear(silence(0.3))
    assert talk.of("response.done")[0]["response"]["status"] == "cancelled"


def test_silence_may_be_the_answer() -> None:
    talk = Conversation(ScriptedBackend(words="mum can you pass the salt", silent=True))
    talk.hear(voice("mum can you pass the salt"))
    talk.hear(silence(2.0))
    assert "response.created" not in talk.types()
    assert talk.of("duologue.ignored")[0]["text"] == "mum can you pass the salt"
    assert talk.floor()[-1] == "idle"


def test_a_client_that_creates_responses_itself_gets_none_unasked() -> None:
    talk = Conversation(audio=vad(create_response=False))
    talk.hear(voice(QUESTION))
    talk.hear(silence(2.0))
    assert "input_audio_buffer.committed" in talk.types()
    assert not talk.backend.sent(Respond)
    talk.send("response.create", response={"metadata": {"k": "v"}})
    talk.wait(3.0)
    done = talk.of("response.done")[0]["response"]
    assert done["status"] == "completed"
    assert done["metadata"] == {"k": "v"}
    assert talk.backend.sent(Respond)[0].turn is not None, "it answers the turn that was heard"


def test_no_interruption_where_the_client_forbids_it() -> None:
    backend = ScriptedBackend(seconds=4.0)
    talk = Conversation(backend, audio=vad(interrupt_response=False))
    talk.hear(voice(QUESTION))
    talk.hear(silence(1.5))
    talk.hear(voice("and what day is it today"))
    talk.hear(silence(8.0))
    statuses = [event["response"]["status"] for event in talk.of("response.done")]
    assert statuses == ["completed", "completed"], "the first goes on to its end, then the second turn is answered"
    assert talk.said() == pytest.approx(8.0, abs=0.02)


def test_push_to_talk() -> None:
    talk = Conversation(audio={"input": {"turn_detection": None}})
    talk.hear(silence(0.3))
    talk.hear(voice(QUESTION))
    talk.hear(silence(2.0))
    assert "response.created" not in talk.types()
    assert "input_audio_buffer.speech_started" not in talk.types()
    talk.send("input_audio_buffer.commit")
    talk.send("response.create")
    talk.wait(3.0)
    assert talk.of("response.done")[0]["response"]["status"] == "completed"
    talk.send("input_audio_buffer.commit")
    assert talk.of("error")[0]["error"]["code"] == "input_audio_buffer_commit_empty"


def test_a_cleared_buffer_leaves_nothing() -> None:
    talk = Conversation(audio={"input": {"turn_detection": None}})
    talk.hear(voice(QUESTION))
    talk.send("input_audio_buffer.clear")
    assert talk.types()[-1] == "input_audio_buffer.cleared"
    talk.send("input_audio_buffer.commit")
    assert talk.of("error")[0]["error"]["code"] == "input_audio_buffer_commit_empty"
    assert talk.backend.dropped


def test_a_client_that_stops_sending_is_answered() -> None:
    talk = Conversation()
    talk.hear(voice(QUESTION))
    talk.wait(2.0)
    assert talk.of("response.done") or talk.of("response.output_audio.delta")


def test_a_whole_file_in_one_message_is_answered() -> None:
    talk = Conversation()
    wave = np.concatenate((silence(0.5), voice(QUESTION), silence(1.5)))
    talk.send("input_audio_buffer.append", audio=base64.b64encode(encode_pcm16(wave)).decode())
    talk.wait(3.0)
    assert len(talk.of("input_audio_buffer.committed")) == 1
    assert talk.of("response.done")[0]["response"]["status"] == "completed"


def test_written_turns_are_answered_in_writing_without_pacing() -> None:
    talk = Conversation(output_modalities=["text"])
    content = [{"type": "input_text", "text": "hello"}]
    talk.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    talk.send("response.create")
    assert talk.of("response.output_text.done")[0]["text"] == "hi yourself"
    assert talk.when("response.done")[0] == talk.now


@pytest.mark.parametrize(("role", "kind", "since"), [("assistant", "output_text", 0.5), ("user", "input_text", None)])
def test_a_replayed_reply_counts_as_an_exchange(role: str, kind: str, since: float | None) -> None:
    talk = Conversation()
    content = [{"type": kind, "text": "it is noon"}]
    talk.send("conversation.item.create", item={"type": "message", "role": role, "content": content})
    talk.hear(silence(0.5))
    talk.hear(voice(QUESTION))
    talk.hear(silence(1.0))
    asked = talk.backend.sent(Respond)[-1].since_exchange
    assert asked == (since if since is None else pytest.approx(since, abs=0.2))


def test_a_function_call_is_not_paced_either() -> None:
    backend = ScriptedBackend(call=("clock", '{"zone":"utc"}'))
    tool = {"type": "function", "name": "clock", "parameters": {"type": "object"}}
    talk = Conversation(backend, tools=[tool])
    talk.send("response.create")
    done = talk.of("response.function_call_arguments.done")[0]
    assert (done["name"], json.loads(done["arguments"])) == ("clock", {"zone": "utc"})
    assert talk.of("response.done")[0]["response"]["output"][0]["type"] == "function_call"


def test_what_the_backend_wants_to_say_waits_for_a_gap() -> None:
    talk = Conversation()
    talk.hear(voice("I am talking"))
    talk.backend.emit(Wants("tea", "a timer is due"))
    talk.hear(voice("and I go on talking"))
    assert not [r for r in talk.backend.sent(Respond) if r.token]
    talk.hear(silence(8.0))
    assert [r.token for r in talk.backend.sent(Respond) if r.token] == ["tea"]
    assert [e["response"]["status"] for e in talk.of("response.done")] == ["completed", "completed"]


def test_it_speaks_first_when_nobody_speaks() -> None:
    talk = Conversation()
    talk.wait(1.0)
    talk.backend.emit(Wants("tea", "a timer is due"))
    talk.wait(3.0)
    assert talk.of("response.done")[0]["response"]["status"] == "completed"
    talk.wait(3.0)
    assert len(talk.backend.sent(Respond)) == 1, "once"


def test_the_idle_timeout_speaks_after_the_last_reply_was_played() -> None:
    talk = Conversation(audio=vad("server_vad", idle_timeout_ms=6000))
    talk.hear(voice(QUESTION))
    talk.hear(silence(4.0))
    done = talk.when("response.done")[0]
    talk.hear(silence(6.0))
    triggered = talk.when("input_audio_buffer.timeout_triggered")[0]
    assert 6.0 <= triggered - done < 6.3
    assert talk.backend.sent(Respond)[-1].idle


def test_a_cancel_stops_at_once() -> None:
    talk = Conversation(ScriptedBackend(seconds=9.0))
    talk.send("response.create")
    talk.wait(1.0)
    talk.send("response.cancel")
    done = talk.of("response.done")[0]["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    talk.send("response.cancel")
    assert talk.of("error")[-1]["error"]["code"] == "response_cancel_not_active"
    count = len(talk.of("response.output_audio.delta"))
    talk.wait(1.0)
    assert len(talk.of("response.output_audio.delta")) == count


@pytest.mark.parametrize("heard", [False, True])
def test_a_reply_that_nobody_heard_is_no_exchange(heard: bool) -> None:
    """Else distant talk, which now and then begins a reply and goes on over it, would be taken for a conversation."""
    backend = ScriptedBackend(held=not heard)
    talk = Conversation(backend)
    talk.send("response.create")
    talk.wait(0.5)
    talk.send("response.cancel")
    backend.held = False
    talk.hear(voice(QUESTION))
    talk.hear(silence(1.0))
    since = backend.sent(Respond)[-1].since_exchange
    assert (since is not None) == heard


def test_a_backend_that_breaks_ends_the_response_and_the_session_goes_on() -> None:
    backend = ScriptedBackend(held=True)
    talk = Conversation(backend)
    talk.send("response.create")
    backend.emit(Failed("the mouth is gone; reinstall it", epoch=backend.sent(Respond)[0].epoch))
    talk.collect()
    done = talk.of("response.done")[0]["response"]
    assert done["status"] == "failed"
    assert "the mouth is gone" in done["status_details"]["error"]["message"]
    assert not talk.of("error"), "some clients end their session at an error they did not provoke"
    backend.held = False
    talk.hear(voice(QUESTION))
    talk.hear(silence(3.0))
    assert talk.of("response.done")[1]["response"]["status"] == "completed"


def test_an_ear_that_breaks_is_told_about_the_turn() -> None:
    backend = ScriptedBackend(deaf=True, held=True)
    talk = Conversation(backend, audio={"input": {"transcription": {"model": "any"}}})
    talk.hear(voice(QUESTION))
    backend.emit(Failed("the ear is gone", turn=1))
    talk.hear(silence(2.0))
    failed = talk.of("conversation.item.input_audio_transcription.failed")
    assert failed[0]["error"]["message"] == "the ear is gone"


def test_out_of_band_replies_run_beside() -> None:
    talk = Conversation(ScriptedBackend(seconds=5.0))
    talk.send("response.create")
    talk.wait(0.5)
    talk.send("response.create", response={"conversation": "none", "output_modalities": ["text"], "input": []})
    talk.wait(6.0)
    ends = talk.of("response.done")
    assert [end["response"]["conversation_id"] is None for end in ends] == [True, False]


def test_draining_ends_the_running_reply_and_begins_none() -> None:
    talk = Conversation(ScriptedBackend(seconds=3.0))
    talk.send("response.create")
    talk.wait(0.5)
    talk.session.drain()
    assert talk.session.busy
    talk.wait(4.0)
    assert not talk.session.busy
    assert talk.of("response.done")[0]["response"]["status"] == "completed"
    talk.send("response.create")
    assert talk.of("error")[0]["error"]["code"] == "server_draining"
    talk.hear(voice(QUESTION))
    talk.hear(silence(2.0))
    assert len(talk.of("response.created")) == 1


def test_a_client_may_ask_for_another_lead() -> None:
    talk = Conversation(ScriptedBackend(seconds=5.0), SessionOptions(lead_ms=160))
    talk.send("session.update", session={"type": "realtime", "duologue": {"lead_ms": "off"}})
    talk.send("response.create")
    assert talk.said() == pytest.approx(5.0)
    assert talk.when("response.done")[0] == talk.now


def test_an_hour_of_silence_costs_nothing_and_says_nothing() -> None:
    talk = Conversation()
    before = len(talk.events)
    for _ in range(60):
        talk.now += 60
        talk.collect()
    assert len(talk.events) == before
    assert talk.session.poll() is None


def test_nothing_is_emitted_after_closing() -> None:
    talk = Conversation()
    talk.send("response.create")
    talk.session.close()
    talk.backend.emit(Wants("late", "late"))
    talk.session.close()
    assert talk.session.outgoing() == []


def test_a_file_in_one_go_is_heard_bit_by_bit_and_what_was_asked_meanwhile_waits_for_it() -> None:
    talk = Conversation(ScriptedBackend(), steps=5, audio={"input": {"turn_detection": None}})
    wave = np.concatenate([voice(QUESTION), silence(1.0)])
    talk.session.receive(
        json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(encode_pcm16(wave)).decode()})
    )
    talk.session.receive(json.dumps({"type": "input_audio_buffer.commit"}))
    polls = 1
    while talk.session.poll() == talk.now:  # it wants to go on at once
        polls += 1
    assert polls == pytest.approx(len(wave) / samples(0.04) / 5, abs=1)
    talk.collect()
    assert len(talk.of("input_audio_buffer.committed")) == 1
    assert sum(len(command.wave) for command in talk.backend.sent(Hear)) > 0.8 * len(voice(QUESTION))


def pour(talk: Conversation, wave: Wave) -> None:
    """All of it at once."""
    audio = base64.b64encode(encode_pcm16(wave)).decode()
    talk.session.receive(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))


def polled(talk: Conversation, seconds: float) -> None:
    """Polled as often as the session wants, for so long."""
    until = talk.now + seconds
    while (due := talk.session.poll()) is not None and due <= until:
        talk.now = max(talk.now, due)
    talk.now = until


def test_minutes_in_one_go_do_not_get_far_ahead_of_the_ear_and_are_still_heard_faster_than_spoken() -> None:
    backend = ScriptedBackend(deaf=True)
    talk = Conversation(backend, steps=5, audio={"input": {"turn_detection": None}})
    pour(talk, np.resize(voice(QUESTION), samples(75.0)))
    assert talk.session.full

    def heard() -> int:
        return sum(len(command.wave) for command in backend.sent(Hear))

    talk.session.poll()
    backend.emit(Hypothesis(1, "", 0, False))
    polled(talk, 0.0)
    assert heard() == pytest.approx(samples(5.0), rel=0.05)
    polled(talk, 3.0)
    assert heard() == pytest.approx(samples(5.0 + 2 * 3.0), rel=0.05), "twice as fast as it can have been spoken"
    backend.emit(Hypothesis(1, "words", heard(), False))
    polled(talk, 0.0)
    assert heard() == pytest.approx(samples(2 * 5.0 + 2 * 3.0), rel=0.05), "the ear caught up"
    polled(talk, 30.0)
    assert not talk.session.full
    assert not talk.session.receive("{}")


def test_minutes_in_one_go_leave_most_of_the_time_to_others_and_the_last_half_minute_half_of_it() -> None:
    class Laborious(ScriptedBackend):
        def send(self, command: Command) -> None:
            super().send(command)
            if isinstance(command, Hear):
                talk.now += 0.001

    talk = Conversation(Laborious(deaf=True), steps=5, audio={"input": {"turn_detection": None}})
    pour(talk, np.resize(voice(QUESTION), samples(60.0)))
    while talk.session._listening.behind:
        began = talk.now
        due = talk.session.poll()
        if due is None or not talk.session._listening.behind:
            break
        rest = 15 if talk.session._listening.waiting > POURED else 1
        assert due == pytest.approx(talk.now + rest * (talk.now - began))
        heard = len(talk.backend.sent(Hear))
        if talk.now > began:
            assert talk.session.poll() == due, "woken meanwhile, by a model that answers"
            assert len(talk.backend.sent(Hear)) == heard
        talk.now = due
    assert len(talk.backend.sent(Hear)) > 200


def test_minutes_in_one_go_wait_for_no_ear_where_there_is_none() -> None:
    backend = ScriptedBackend(deaf=True)
    talk = Conversation(backend, steps=5, audio={"input": {"turn_detection": None}})
    pour(talk, np.resize(voice(QUESTION), samples(30.0)))
    polled(talk, 0.0)
    assert sum(len(command.wave) for command in backend.sent(Hear)) > samples(29.0)


def test_whoever_speaks_is_heard_at_once_however_late_the_ear_is() -> None:
    backend = ScriptedBackend(deaf=True)
    talk = Conversation(backend, steps=5, audio={"input": {"turn_detection": None}})
    speech = np.tile(voice(QUESTION), 10)
    for start in range(0, len(speech), samples(0.02)):
        talk.now += 0.02
        pour(talk, speech[start : start + samples(0.02)])
        talk.session.poll()
        backend.emit(Hypothesis(1, "", 0, False))
        assert not talk.session.full
    assert sum(len(command.wave) for command in backend.sent(Hear)) > 0.95 * len(speech)


def test_a_session_that_is_closed_is_never_full() -> None:
    talk = Conversation(ScriptedBackend(), steps=5)
    pour(talk, silence(75.0))
    assert talk.session.full
    talk.session.close()
    assert not talk.session.full

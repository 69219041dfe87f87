"""One utterance, driven by hand: chunks, the second ear, the channel, and the cut of a long one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pocketsphinx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from duologue.audio import Wave, samples
from duologue.backends.pocket.brain.interjections import wants_floor
from duologue.backends.pocket.language import vocabulary
from duologue.ears.channel import Channel
from duologue.ears.utterance import LONGEST, OPEN_LONGEST, Said, Utterance
from duologue.ears.vocabulary import open_decoder
from duologue.measure.voices import noise, speak

VOCABULARY = vocabulary()


def scene(text: str, voice: str = "slt", gain: float = 1.0) -> Wave:
    spoken = speak(text, voice).wave * np.float32(gain)
    wave = np.concatenate((np.zeros(samples(0.3), np.float32), spoken, np.zeros(samples(0.2), np.float32)))
    return wave + noise(len(wave), -75.0)


@pytest.fixture(scope="module")
def decoder() -> pocketsphinx.Decoder:
    return VOCABULARY.decoder()


@pytest.fixture(scope="module")
def open_ear() -> pocketsphinx.Decoder:
    return open_decoder()


def hear(utterance: Utterance, pieces: list[Wave]) -> tuple[Said, Channel]:
    """The last words of the first ear alone."""
    for piece in pieces:
        utterance.push(piece)
        while utterance.ready:
            utterance.step()
    utterance.finish()
    while utterance.ready:
        utterance.step()
    return utterance.conclude()


SENTENCE = scene("what is five plus seven", "kal16")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, len(SENTENCE)), max_size=12))
def test_any_chunking_gives_the_same_words(decoder: pocketsphinx.Decoder, cuts: list[int]) -> None:
    said, _ = hear(Utterance(VOCABULARY, decoder, Channel.unknown()), list(np.split(SENTENCE, sorted(cuts))))
    assert said.text == "what is five plus seven"
    assert said.until == len(SENTENCE)


def test_what_is_learnt_of_a_soft_voice_helps_the_next_utterance(decoder: pocketsphinx.Decoder) -> None:
    """At -40 dB the acoustic model's own starting mean is far off; the session's own is not."""
    texts = ("tell me a joke please", "what is the date today", "set a timer for ten minutes")
    channel = Channel.unknown()
    for text in texts:
        said, channel = hear(Utterance(VOCABULARY, decoder, channel), [scene(text, "slt", 0.02)])
    assert channel.familiar
    assert channel.mean[0] < Channel.unknown().mean[0] - 5, "it is softer than a stranger"
    assert said.text == texts[-1]


def test_a_channel_survives_its_way_between_processes(decoder: pocketsphinx.Decoder) -> None:
    _, channel = hear(Utterance(VOCABULARY, decoder, Channel.unknown()), [SENTENCE])
    again = Channel.from_json(channel.to_json())
    assert np.allclose(again.mean, channel.mean)
    assert again.frames == channel.frames


def test_free_words_ask_for_the_second_ear(decoder: pocketsphinx.Decoder, open_ear: pocketsphinx.Decoder) -> None:
    wave = scene("remind me to feed the cat in ten minutes")
    utterance = Utterance(VOCABULARY, decoder, Channel.unknown())
    utterance.push(wave)
    while utterance.ready:
        utterance.step()
    assert utterance.wants_second
    utterance.listen_too(open_ear)
    first = utterance.say()
    assert first is not None
    assert first.until < len(wave), "not accounted for until the second ear has heard it too"
    utterance.finish()
    while utterance.second_ready:
        utterance.step_second()
    assert utterance.over
    said, _ = utterance.conclude()
    assert said.open_text is not None
    assert "feed the cat" in said.open_text
    assert utterance.release() is open_ear


def test_a_plain_request_does_not(decoder: pocketsphinx.Decoder) -> None:
    utterance = Utterance(VOCABULARY, decoder, Channel.unknown())
    hear(utterance, [scene("what time is it")])
    assert not utterance.wants_second


def test_the_second_ear_gives_up_on_a_long_utterance_once_and_for_all(
    decoder: pocketsphinx.Decoder, open_ear: pocketsphinx.Decoder
) -> None:
    """Also where the utterance has exactly the length it may have."""
    wave = np.resize(scene("remember that my dog is called rex"), OPEN_LONGEST * 3 // 2)
    utterance = Utterance(VOCABULARY, decoder, Channel.unknown())
    utterance.push(wave)
    utterance.push(np.zeros(0, np.float32))
    while utterance.ready:
        utterance.step()
    if utterance.wants_second:
        utterance.listen_too(open_ear)
        while utterance.second_ready:
            utterance.step_second()
    if utterance.too_long_for_second:
        utterance.release()
    assert not utterance.wants_second
    utterance.conclude()


def test_a_long_utterance_is_cut_and_its_words_are_joined(decoder: pocketsphinx.Decoder) -> None:
    piece = scene("what is five plus seven")
    times = LONGEST * 3 // 2 * 3 // 2 // len(piece)
    said, _ = hear(Utterance(VOCABULARY, decoder, Channel.unknown()), [np.tile(piece, times)])
    assert said.until == len(piece) * times
    # a cut may fall into a word; the others are all there
    assert said.text.count("what is five plus seven") >= times - 2


@pytest.mark.parametrize("voice", ["slt", "kal16", "rms"])
@pytest.mark.parametrize("said", ["stop", "right", "yeah", "wait"])
def test_an_interjection_is_heard_for_what_it_wants(decoder: pocketsphinx.Decoder, said: str, voice: str) -> None:
    few = VOCABULARY.interjection_decoder()
    wave = scene(said, voice)
    utterance = Utterance(VOCABULARY, decoder, Channel.unknown(), few)
    utterance.push(wave[: samples(1.0)])
    while utterance.ready:
        utterance.step()
    told = utterance.say()
    utterance.push(noise(samples(1.0), -75.0))
    while utterance.ready:
        utterance.step()
    long = utterance.say()
    utterance.end()
    assert told is not None and told.interjection is not None
    assert wants_floor(told.interjection) is wants_floor(said)
    assert long is not None and long.interjection is None


@pytest.mark.parametrize("along", [True, False])
def test_beside_a_model_that_hears_the_open_ear_listens_along_or_once_all_is_said(
    decoder: pocketsphinx.Decoder, open_ear: pocketsphinx.Decoder, along: bool
) -> None:
    """The first ear's words are quick and for the floor; the open ear's are any English, also of a long turn."""
    spoken = [scene("what were the main causes of the french revolution", "rms")] * 4
    wave = np.concatenate(spoken)
    assert len(wave) * 2 // 3 > OPEN_LONGEST
    utterance = Utterance(replace(VOCABULARY, open_beside=True), decoder, Channel.unknown())
    for at in range(0, len(wave), 2400):
        utterance.push(wave[at : at + 2400])
        while utterance.ready:
            utterance.step()
        if along and utterance.wants_second:
            utterance.listen_too(open_ear)
        if utterance.second_ready and at < len(wave) // 2:  # afterwards there is no time
            utterance.step_second()
        assert not utterance.insists
    utterance.finish()
    while utterance.ready:
        utterance.step()
    if not along:
        assert utterance.insists
        utterance.listen_too(open_ear)
    first = utterance.say()
    assert first is not None and first.until == len(wave), "who has the floor need not wait for what is read"
    assert first.open_text is None
    while utterance.second_ready:
        utterance.step_second()
        assert not utterance.too_long_for_second
    assert utterance.over
    said, _ = utterance.conclude()
    utterance.release()
    assert said.open_text is not None
    assert said.open_text.count("french revolution") >= 3
    assert "french" not in said.text, "pocket's own vocabulary has no such word"


def test_short_doubtful_first_words_are_heard_once_more(decoder: pocketsphinx.Decoder) -> None:
    utterance = Utterance(VOCABULARY, decoder, Channel.unknown())
    wave = scene("the children were playing", "rms")
    utterance.push(wave)
    utterance.finish()
    steps = 0
    while utterance.ready:
        utterance.step()
        steps += 1
    said, _ = utterance.conclude()
    assert said.confidence is not None
    assert said.confidence < 0.5
    once = -(-len(wave) * 2 // 3 // 1600)
    rehearsals = sum(-(-at // 1600) for at in (11_200, 19_200, 32_000) if at <= len(wave) * 2 // 3)
    assert steps >= once + rehearsals + once - 3, "all of it was heard again at its end"
    assert said.until == len(wave)


def test_what_is_still_doubted_is_heard_carefully_and_forgotten_where_the_voice_goes_on(
    decoder: pocketsphinx.Decoder,
) -> None:
    careful = VOCABULARY.careful_decoder()
    wave = scene("roll two dice please")
    quick, _ = hear(Utterance(VOCABULARY, decoder, Channel.unknown()), [wave])
    slow, _ = hear(Utterance(VOCABULARY, decoder, Channel.unknown(), careful=careful), [wave])
    assert quick.text != slow.text == "roll two dice please"
    assert quick.confidence is not None
    assert slow.confidence is not None
    assert quick.confidence < 0.5 < slow.confidence

    live = Utterance(VOCABULARY, decoder, Channel.unknown(), careful=careful)
    for piece in np.split(np.concatenate((wave, noise(samples(0.4), -75.0))), range(2400, len(wave), 2400)):
        live.push(piece)
        while live.ready:
            live.step()
    pause = live.say()
    said, _ = hear(live, [scene("one two three four five six seven eight nine")])
    assert pause is not None
    assert pause.text == slow.text, "silence changes nothing about it"
    assert said.text.endswith("five six seven eight nine"), "what follows counts"

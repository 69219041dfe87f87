"""The two audio worklets themselves, rendered offline and held against what they should give."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page

from .conftest import OpenPage
from .scripted import ScriptedServer

CAPTURE = """async ([rate, hertz, seconds]) => {
    const context = new OfflineAudioContext(1, rate * seconds, rate);
    await context.audioWorklet.addModule("/static/capture-worklet.js");
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    const chunks = [];
    node.port.onmessage = ({ data }) => chunks.push(...data.pcm);
    const tone = new OscillatorNode(context, { frequency: hertz });
    tone.connect(new GainNode(context, { gain: 0.5 })).connect(node);
    tone.start();
    await context.startRendering();
    await new Promise((resolve) => setTimeout(resolve, 100));
    return chunks;
}"""

PLAYBACK = """async ([chunks, steps, length]) => {
    const context = new OfflineAudioContext(1, length, 24000);
    await context.audioWorklet.addModule("/static/playback-worklet.js");
    const node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    node.connect(context.destination);
    let cuts = null;
    node.port.onmessage = ({ data }) => { if (data.cuts) cuts = data.cuts; };
    for (const [item, samples] of chunks)
        node.port.postMessage({ push: { item, part: 0, samples: new Float32Array(samples) } });
    const settle = () => new Promise((resolve) => setTimeout(resolve, 100));
    for (const [at, message] of steps)
        context.suspend(at / 24000).then(async () => {
            node.port.postMessage(message);
            await settle();
            context.resume();
        });
    await settle();
    const rendered = await context.startRendering();
    return [[...rendered.getChannelData(0)], cuts];
}"""

Wave = NDArray[np.float64]


@pytest.fixture
def page(server: ScriptedServer, open_page: OpenPage) -> Page:
    return open_page(server.url)


def capture(page: Page, rate: int, hertz: float) -> Wave:
    wave = np.array(page.evaluate(CAPTURE, [rate, hertz, 1])) / 32767
    assert len(wave) % 480 == 0
    assert len(wave) >= 24000 - 2 * 480
    return wave[2400:21600]  # away from the ends: 0.8 s


def decibels(wave: Wave) -> float:
    return 10 * float(np.log10(np.mean(np.square(wave)) + 1e-12))


@pytest.mark.parametrize("rate", [16000, 44100, 48000, 96000])
def test_capture_keeps_speech_as_it_is(page: Page, rate: int) -> None:
    for hertz in (200, 1000, 6000):
        wave = capture(page, rate, hertz)
        assert abs(decibels(wave) - decibels(np.array([0.5]) / np.sqrt(2))) < 0.1
        spectrum = np.abs(np.fft.rfft(wave * np.blackman(len(wave))))
        peak = int(np.argmax(spectrum))
        assert abs(peak * 24000 / len(wave) - hertz) < 2
        beside = np.concatenate([spectrum[: max(0, peak - 6)], spectrum[peak + 7 :]])
        assert 20 * np.log10(beside.max() / spectrum[peak]) < -65


def test_capture_lets_nothing_fold_back(page: Page) -> None:
    for rate, hertz in ((44100, 14000), (48000, 14000), (48000, 20000), (96000, 40000)):
        assert decibels(capture(page, rate, hertz)) < -65, (rate, hertz)


def test_playback_joins_chunks_without_a_scar(page: Page) -> None:
    wave = 0.5 * np.sin(np.arange(12000) / 20)
    cuts = [0, 1, 100, 127, 128, 129, 500, 5000, 5001, 12000]
    chunks = [["a", wave[begin:end].tolist()] for begin, end in pairwise(cuts)]
    out, _ = page.evaluate(PLAYBACK, [chunks, [], 13000])
    np.testing.assert_allclose(out[:12000], wave, atol=1e-6)
    assert not np.any(out[12000:])


def test_playback_pauses_softly_and_loses_no_sample(page: Page) -> None:
    wave = 0.5 * np.sin(np.arange(12000) / 20)
    steps = [[2560, {"pause": True}], [7680, {"pause": False}]]
    out, _ = page.evaluate(PLAYBACK, [[["a", wave.tolist()]], steps, 24000])
    heard = np.array(out)
    assert not np.any(heard[2560 + 120 : 7680])
    played = 2560 + 119  # the fade's last step is zero and takes no sample
    np.testing.assert_allclose(heard[7680 + 119 : 7680 + 12000 - played], wave[played + 119 :], atol=1e-6)
    assert not np.any(heard[7680 + 12000 - played :])
    assert np.abs(np.diff(heard[: 7680 + 12000 - played])).max() < 0.03, "no click"


def test_playback_flush_tells_what_was_played_of_each_item(page: Page) -> None:
    wave = 0.5 * np.sin(np.arange(4 * 4800) / 20)
    chunks = [[item, part.tolist()] for item, part in zip("abbc", np.split(wave, 4), strict=True)]
    out, cuts = page.evaluate(PLAYBACK, [chunks, [[6400, {"flush": True}]], 12800])
    assert cuts == [{"item": "b", "part": 0, "played": 1720}, {"item": "c", "part": 0, "played": 0}]
    assert not np.any(out[6400 + 120 :])
    assert np.abs(np.diff(out)).max() < 0.03, "no click"


def test_playback_flush_while_paused_or_empty(page: Page) -> None:
    loud = (0.5 * np.sin(np.arange(4800) / 20)).tolist()
    steps = [[2560, {"pause": True}], [5120, {"flush": True}]]
    out, cuts = page.evaluate(PLAYBACK, [[["a", loud]], steps, 12800])
    assert cuts == [{"item": "a", "part": 0, "played": 2679}]
    assert not np.any(out[2560 + 120 :])
    _, cuts = page.evaluate(PLAYBACK, [[["a", loud]], [[6400, {"flush": True}]], 12800])
    assert cuts == []

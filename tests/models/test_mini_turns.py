"""Mini-Omni2 as a turn model: written, loaded, asked aloud and in writing, shown a picture, cut short, asked again."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.models.turns import answer, ask, sound, text, wave

import duologue
from duologue.codecs.snac import by_layers
from duologue.engine.loading import CannotLoad
from duologue.models.mini_omni2 import LAYERS, frames, prompt
from duologue.models.mini_omni2_files import SYSTEM
from duologue.models.mini_omni2_turns import MiniOmni2
from duologue.models.turns import Ids, Line, Manner, Picture, Sound, Uttered
from duologue.nn.rows import Rows

LINES = [Line("user", (sound(1),))]


def picture(key: int) -> Picture:
    file = io.BytesIO()
    noise = np.random.default_rng(key).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return Picture(key, file.getvalue())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "mini_omni2"
    SYSTEM.write(path, seed=3, sizes={"whisper": {"n_audio_ctx": 100}})
    return path


@pytest.fixture(scope="module")
def model(directory: Path) -> MiniOmni2:
    made = duologue.load(str(directory), device="cpu", dtype="float32")
    assert isinstance(made, MiniOmni2)
    return made


def columns(said: list[Uttered]) -> list[list[int]]:
    return [list(column) for each in said for column, _ in each.tokens if isinstance(column, tuple)]


def drawn(model: MiniOmni2, said: list[Uttered]) -> list[list[int]]:
    """The columns as the heads gave them: no layer in a part of the vocabulary of its own."""
    shift = model.lm.shifted(torch.zeros(LAYERS, dtype=torch.int64)).tolist()
    return [[*(c - by for c, by in zip(column, shift, strict=False)), column[-1]] for column in columns(said)]


def exact(model: MiniOmni2, stride: int) -> MiniOmni2:
    return MiniOmni2(model.lm, model.ear, model.eye, model.voice.codec, model.vocabulary, stride=stride, hold=None)


ASKED = {
    "spoken": (LINES, Manner(1, tokens=24)),
    "shown": ([Line("user", (picture(1), sound(2, 1.3)))], Manner(2, tokens=20)),
    "written": ([Line("user", ("What is it?",))], Manner(3, tokens=22)),
    "answered in writing": ([Line("user", (sound(3, 0.7),))], Manner(4, tokens=16, speech=False)),
    "all in writing": ([Line("user", ("Hello",))], Manner(5, tokens=12, speech=False)),
    "warm": ([Line("user", (sound(4, 2.0),))], Manner(6, tokens=18, temperature=1.0)),
}


def test_rows_at_different_positions_say_what_they_say_alone(model: MiniOmni2) -> None:
    asked = list(ASKED.values())
    alone = [answer(model, lines, manner) for lines, manner in asked]
    together: list[list[Uttered]] = [[] for _ in asked]
    with torch.inference_mode():
        state = model.state(len(asked))
        for turn in range(60):
            if turn % 3 == 0 and turn // 3 < len(asked):
                ask(model, state, len(asked) - 1 - turn // 3, *asked[turn // 3])
            begun = min(len(asked), turn // 3 + 1)
            talking = [n for n in range(begun) if not together[n] or together[n][-1].end is None]
            rows = sorted(len(asked) - 1 - n for n in talking)
            if rows:
                for row, said in zip(rows, model.step(state, Rows.of(rows)), strict=True):
                    together[len(asked) - 1 - row].append(said)
    for some, one in zip(together, alone, strict=True):
        assert some[-1].end == one[-1].end is not None
        assert columns(some) == columns(one)
        assert text(some) == text(one)
        np.testing.assert_allclose(wave(some), wave(one), atol=2e-3)


def test_it_is_the_pair_of_the_reference(model: MiniOmni2) -> None:
    """The same as two whole prompts, side by side, step by step without a cache."""
    said = answer(model, *ASKED["spoken"])
    got = drawn(model, said)
    lm, s = model.lm, model.lm.config.specials
    with torch.inference_mode():
        pieces = model.layout(*ASKED["spoken"])
        x = torch.cat(model.embed(pieces))
        steps = model.size(LINES[0].parts[0])  # type: ignore[arg-type]
        quiet = prompt(lm.config, "A1T2", sound=steps)[:, None, -1:]
        pair = torch.stack([x, torch.cat([x[:-1], lm.merge(quiet)[0]])])
        for step, column in enumerate(got):
            hidden = lm.offline(pair)[:, -1]
            audio, words = lm.audio_logits(hidden[0]).argmax(-1).tolist(), int(lm.text_logits(hidden[1]).argmax())
            assert column[:LAYERS] == audio
            if column[-1] != s.pad_t:
                assert column[-1] == words, step
            fed = torch.tensor([column, [*[s.pad_a] * LAYERS, column[-1]]]).T
            ids = torch.cat([lm.shifted(fed[:LAYERS]), fed[LAYERS:]])
            pair = torch.cat([pair, lm.merge(ids[..., None])], 1)
    assert len(got) > 10


@pytest.mark.parametrize("stride", [1, 4])
def test_pieces_are_the_whole_answer_sample_for_sample(model: MiniOmni2, stride: int) -> None:
    said = answer(exact(model, stride), *ASKED["spoken"])
    # The last column enters no context; what it says of sound is the last frame.
    known = frames(drawn(model, said))
    sound_of = [known[:, n] for n in range(known.shape[1]) if int(known[:, n].max()) < 1000]
    spoken = wave(said)
    with torch.inference_mode():
        codes = torch.stack(sound_of, 1)
        expected = model.voice.codec.decode(by_layers(codes))[0, 0].numpy()
    settled = max(0, codes.shape[1] - 3) * 2048
    assert settled
    np.testing.assert_allclose(spoken[:settled], expected[:settled], atol=2e-3)  # at the rails of a random codec


def test_first_sound_before_the_end_of_the_text(model: MiniOmni2) -> None:
    quick = exact(model, 1)
    said = answer(quick, LINES, Manner(1, tokens=60))
    first = next(n for n, each in enumerate(said) if each.wave is not None)
    assert first < 20
    assert sum(bool(each.text) for each in said[first + 1 :]) > 3
    for each in said:
        assert list(each.marks) == sorted(each.marks)
        assert all(each.wave is not None and 0 <= at <= len(each.wave) for at, _ in each.marks)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(ASKED)), st.integers(1, 12)), max_size=3))
def test_whatever_was_cancelled_before_leaves_no_trace(model: MiniOmni2, cuts: list[tuple[str, int]]) -> None:
    expected = answer(model, *ASKED["shown"])
    with torch.inference_mode():
        state = model.state(1)
        for name, steps in cuts:
            ask(model, state, 0, *ASKED[name])
            for _ in range(steps):
                if model.step(state, Rows.of([0]))[0].end:
                    break
        ask(model, state, 0, *ASKED["shown"])
        said = [model.step(state, Rows.of([0]))[0]]
        while said[-1].end is None:
            said += model.step(state, Rows.of([0]))
    assert columns(said) == columns(expected)
    np.testing.assert_allclose(wave(said), wave(expected), atol=2e-3)


def test_a_prompt_that_begins_like_the_last_is_not_read_again(model: MiniOmni2) -> None:
    lines, manner = ASKED["spoken"]
    with torch.inference_mode():
        state = model.state(1)
        length = ask(model, state, 0, lines, manner)
        for _ in range(5):
            model.step(state, Rows.of([0]))
        ask(model, state, 0, lines, manner, at=length - 1)
        said = [model.step(state, Rows.of([0]))[0]]
        while said[-1].end is None:
            said += model.step(state, Rows.of([0]))
    assert columns(said) == columns(answer(model, lines, manner))


def test_a_second_turn_goes_on_from_what_was_heard_of_the_first(model: MiniOmni2) -> None:
    """It was not trained for it; but what stands in the cache is what a whole prompt would put there."""
    manner = Manner(1, tokens=20)
    first = answer(model, LINES, manner)
    heard = [column for each in first for column, _ in each.tokens][:9]
    lines = [*LINES, Line("assistant", (Ids(tuple(heard)),)), Line("user", (sound(5),))]
    whole = answer(model, lines, manner)
    pieces = model.layout(lines, manner)
    before = sum(map(model.size, model.layout(LINES, manner))) + len(heard)
    with torch.inference_mode():
        state = model.state(1)
        ask(model, state, 0, LINES, manner)
        for _ in range(15):
            model.step(state, Rows.of([0]))
        assert ask(model, state, 0, lines, manner, at=before) == sum(map(model.size, pieces))
        said = [model.step(state, Rows.of([0]))[0]]
        while said[-1].end is None:
            said += model.step(state, Rows.of([0]))
    assert columns(said) == columns(whole)
    assert columns(said) != columns(first)
    assert text(answer(model, [*LINES, Line("assistant", ("Yes.",)), *LINES], manner)) != text(first)


def test_what_it_cannot_be_given(model: MiniOmni2, directory: Path, tmp_path: Path) -> None:
    for lines, problem in (
        ([*LINES, Line("assistant", ("Well.",))], "must be the user's"),
        ([*LINES, Line("assistant", (sound(1),)), *LINES], "does not hear or see itself"),
        ([], "must be the user's"),
        ([Line("system", ("Be brief.",)), *LINES], "takes no instructions"),
        ([Line("user", (sound(1), "Well?"))], "not both"),
        ([Line("user", (sound(1), sound(2)))], "one sound"),
        ([Line("user", (picture(1), "What is it?"))], "needs a question"),
        ([Line("user", (sound(1, 2.5),))], "up to 2 s"),
        ([Line("user", (Sound(1, np.zeros(0, np.float32)),))], "from one sample"),
        ([Line("user", ("",))], "needs a question"),
    ):
        with pytest.raises(ValueError, match=problem):
            model.layout(lines, Manner(1))
    with pytest.raises(ValueError, match="no picture"):
        model.embed([Picture(1, b"GIF89a")])
    for name, problem in (("small.pt", "is missing"), ("snac_24khz/pytorch_model.bin", "comes from")):
        other = Path(shutil.copytree(directory, tmp_path / name.split("/")[0]))
        (other / name).unlink()
        with pytest.raises(CannotLoad, match=problem):
            duologue.load(str(other))
    evil = Path(shutil.copytree(directory, tmp_path / "evil"))
    torch.save(print, evil / "ViT-B-32.pt")
    with pytest.raises(CannotLoad, match="tensors and nothing else"):
        duologue.load(str(evil))


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_less_precision_still_talks(directory: Path, dtype: str) -> None:
    how = {"quantize": "int8"} if dtype == "int8" else {"dtype": dtype}
    made = duologue.load(str(directory), device="cpu", **how)
    assert answer(made, LINES, Manner(1, tokens=10))[-1].end is not None

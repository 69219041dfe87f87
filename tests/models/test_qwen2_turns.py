"""Qwen2-Audio as a turn model, driven as an engine would: written, loaded, asked, cut short, asked again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.turns import answer, ask, sound, tokens

import duologue
from duologue.checkpoints.files import CheckpointError
from duologue.engine.loading import CannotLoad
from duologue.models.qwen2_audio_files import SYSTEM
from duologue.models.qwen2_audio_turns import Qwen2Audio
from duologue.models.text import Vocabulary, Writing
from duologue.models.tiny import byte_level
from duologue.models.turns import Ids, Line, Manner, Sound, Uttered
from duologue.nn.rows import Rows


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "qwen2_audio"
    SYSTEM.write(path, seed=1, sizes={})
    return path


@pytest.fixture(scope="module")
def model(directory: Path) -> Qwen2Audio:
    made = duologue.load(str(directory), device="cpu", dtype="float32")
    assert isinstance(made, Qwen2Audio)
    return made


def test_rows_at_different_positions_say_what_they_say_alone(model: Qwen2Audio) -> None:
    asked = [
        ([Line("user", (sound(1), "What is this?"))], Manner(1, tokens=12)),
        ([Line("user", (sound(2, 1.3),))], Manner(2, tokens=20, temperature=0.0)),
        ([Line("system", ("Be brief.",)), Line("user", ("Hello",))], Manner(3, tokens=16, temperature=1.2)),
    ]
    alone = [answer(model, lines, manner) for lines, manner in asked]
    together: list[list[Uttered]] = [[], [], []]
    with torch.inference_mode():
        state = model.state(4)
        for turn in range(40):
            if turn % 4 == 0 and turn // 4 < 3:  # they join one after the other
                ask(model, state, 3 - turn // 4, *asked[turn // 4])
            talking = [n for n in range(min(3, turn // 4 + 1)) if not together[n] or together[n][-1].end is None]
            rows = sorted(3 - n for n in talking)
            if rows:
                for row, said in zip(rows, model.step(state, Rows.of(rows)), strict=True):
                    together[3 - row].append(said)
    assert [tokens(each) for each in together] == [tokens(each) for each in alone]
    assert ["".join(u.text for u in each) for each in together] == ["".join(u.text for u in each) for each in alone]


def test_after_an_interruption_the_context_holds_what_was_heard_and_nothing_is_read_again(model: Qwen2Audio) -> None:
    first, manner = [Line("user", (sound(1),))], Manner(5, tokens=20)
    with torch.inference_mode():
        state = model.state(1)
        length = ask(model, state, 0, first, manner)
        said = [model.step(state, Rows.of([0]))[0] for _ in range(10)]
        heard = tokens(said)[:4]
        lines = [*first, Line("assistant", (Ids(tuple(heard)),)), Line("user", (sound(2),))]
        # What the row holds already: the prompt (its last position was read with the first step) and what was heard.
        ask(model, state, 0, lines, manner, at=length + len(heard))
        cut = [model.step(state, Rows.of([0]))[0] for _ in range(8)]
        fresh = model.state(1)
        ask(model, fresh, 0, lines, manner)
        anew = [model.step(fresh, Rows.of([0]))[0] for _ in range(8)]
    assert tokens(cut) == tokens(anew)


def test_it_ends_and_never_says_the_placeholder(model: Qwen2Audio) -> None:
    said = answer(model, [Line("user", (sound(3),))], Manner(7, tokens=30, temperature=5.0))
    assert said[-1].end in ("completed", "length")
    assert model.net.config.placeholder not in tokens(said)
    assert len(said) <= 30
    shown = sum(len(each.text) for each in said)
    reported = [chars for each in said for _, chars in each.tokens]
    assert reported == sorted(reported)
    assert all(chars <= shown for chars in reported)


def test_what_it_cannot_be_given(model: Qwen2Audio, directory: Path) -> None:
    with pytest.raises(ValueError, match="too short to be heard"):
        model.layout([Line("user", (Sound(1, np.zeros(100, np.float32)),))], Manner(1))
    broken = directory.parent / "broken"
    broken.mkdir()
    for name in ("config.json", "model.safetensors"):
        (broken / name).write_bytes((directory / name).read_bytes())
    with pytest.raises(CannotLoad, match="cannot be read as a tokenizer"):
        duologue.load(str(broken))
    with pytest.raises(CheckpointError, match="too small"):
        SYSTEM.write(directory.parent / "small", seed=1, sizes={"text_config": {"vocab_size": 100}})


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_less_precision_still_talks(directory: Path, dtype: str) -> None:
    how = {"quantize": "int8"} if dtype == "int8" else {"dtype": dtype}
    made = duologue.load(str(directory), device="cpu", **how)
    said = answer(made, [Line("user", (sound(4), "Well?"))], Manner(1, tokens=6))
    assert said[-1].end is not None


def test_the_example_of_the_docs(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "turn-models.md").read_text()
    example = page.partition("```python\n")[2].partition("```")[0]
    exec(compile(example.replace("/tmp/tiny", str(directory)), "docs/turn-models.md", "exec"), {})
    assert capsys.readouterr().out


@settings(max_examples=60)
@given(st.text(max_size=30))
def test_text_comes_whole_and_in_whole_characters(text: str) -> None:
    writing = Writing(VOCABULARY)
    pieces = [writing.write(token) for token in VOCABULARY.encode(text)]
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in text
    assert "".join(pieces) + writing.finish() == text
    assert VOCABULARY.decode(VOCABULARY.encode(text)) == text


def _vocabulary() -> Vocabulary:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokenizer.json")
        byte_level(("<|im_end|>",)).save(str(path))
        return Vocabulary(path)


VOCABULARY = _vocabulary()

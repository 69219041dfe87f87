"""LLaMA-Omni as a turn model: written, loaded, asked, cut short, asked again; and what its speech has to be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tests.models.turns import answer, ask, sound, text, tokens, wave

import duologue
from duologue.checkpoints.files import CheckpointError
from duologue.engine.loading import CannotLoad
from duologue.models.llama_omni import Collapse, LlamaOmniConfig
from duologue.models.llama_omni_files import SIZES, SYSTEM
from duologue.models.llama_omni_turns import LlamaOmni
from duologue.models.turns import Ids, Line, Manner, Picture, Sound
from duologue.nn.rows import Rows

WINDOW = 100
"""Steps of the encoder: two seconds, so that the tests are quick."""

LINES = [Line("user", (sound(1),))]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "llama_omni"
    SYSTEM.write(path, seed=1, sizes={"whisper": {"n_audio_ctx": WINDOW}})
    return path


@pytest.fixture(scope="module")
def model(directory: Path) -> LlamaOmni:
    made = duologue.load(str(directory), device="cpu", dtype="float32")
    assert isinstance(made, LlamaOmni)
    return made


def exact(model: LlamaOmni, omega: int = 10) -> LlamaOmni:
    return LlamaOmni(model.net, model.voice.vocoder, model.vocabulary, omega=omega, hold=None)


def test_rows_at_different_positions_say_what_they_say_alone(model: LlamaOmni) -> None:
    asked = [
        (LINES, Manner(1, tokens=10)),
        ([Line("user", (sound(2, 1.3), "And this?"))], Manner(2, tokens=14, temperature=1.0)),
        ([Line("user", ("Hello",))], Manner(3, tokens=12, speech=False)),
        ([Line("user", (sound(4, 2.0),))], Manner(4, tokens=8)),
    ]
    alone = [answer(model, lines, manner) for lines, manner in asked]
    together: list[list[duologue.models.contract.Uttered]] = [[] for _ in asked]
    with torch.inference_mode():
        state = model.state(4)
        for turn in range(30):
            if turn % 3 == 0 and turn // 3 < 4:
                ask(model, state, 3 - turn // 3, *asked[turn // 3])
            talking = [n for n in range(min(4, turn // 3 + 1)) if not together[n] or together[n][-1].end is None]
            rows = sorted(3 - n for n in talking)
            if rows:
                for row, said in zip(rows, model.step(state, Rows.of(rows)), strict=True):
                    together[3 - row].append(said)
    assert [tokens(each) for each in together] == [tokens(each) for each in alone]
    assert [text(each) for each in together] == [text(each) for each in alone]
    for some, one in zip(together, alone, strict=True):
        np.testing.assert_allclose(wave(some), wave(one), atol=1e-4)


def test_it_speaks_before_it_has_written_all(model: LlamaOmni) -> None:
    quick = LlamaOmni(model.net, model.voice.vocoder, model.vocabulary, omega=3)
    said = answer(quick, LINES, Manner(1, tokens=60, temperature=1.0))
    first = next(n for n, each in enumerate(said) if each.wave is not None)
    assert first < len(said) // 2
    assert len(said) <= 60
    assert said[-1].end in ("completed", "length")
    assert len(wave(said)) % 320 == 0


@pytest.mark.parametrize("omega", [1, 10, 40])
def test_pieces_are_the_whole_answer_sample_for_sample(model: LlamaOmni, omega: int) -> None:
    """The wave is that of all units at once, made from the states of all tokens at once."""
    picky = exact(model, omega)
    manner = Manner(1, tokens=40, temperature=1.0)
    said = answer(picky, LINES, manner)
    with torch.inference_mode():
        x = torch.cat([*picky.embed(picky.layout(LINES, manner)), picky.net.embed(torch.tensor(tokens(said)))])
        hidden = picky.net.norm(picky.net.decoder.offline(x[None]))[0]
        states = hidden[len(x) - len(tokens(said)) - 1 :]
        assert len(tokens(said)) > 10
        units = Collapse(picky.net.speech.blank).read(picky.net.speech(states[None]).argmax(-1)[0].tolist())
        whole = picky.voice.vocoder(torch.tensor(units)).flatten().numpy()
    np.testing.assert_allclose(wave(said), whole, atol=1e-3)


def test_marks_and_tokens_are_said_in_order(model: LlamaOmni) -> None:
    said = answer(exact(model, 3), LINES, Manner(1, tokens=60, temperature=1.0))
    assert sum(len(each.marks) for each in said) > 4
    for each in said:
        assert list(each.marks) == sorted(each.marks)
        if each.marks:
            assert each.wave is not None
            assert all(0 <= at <= len(each.wave) and chars <= len(each.text) for at, chars in each.marks)
    reported = [chars for each in said for _, chars in each.tokens]
    assert reported == sorted(reported)
    assert all(chars <= len(text(said)) for chars in reported)


def test_text_only_is_the_same_text_without_a_sound(model: LlamaOmni) -> None:
    spoken = answer(model, LINES, Manner(1, tokens=20))
    written = answer(model, LINES, Manner(1, tokens=20, speech=False))
    assert text(written) == text(spoken)
    assert not len(wave(written))


def test_after_an_interruption_the_context_holds_what_was_heard_and_nothing_is_read_again(model: LlamaOmni) -> None:
    manner = Manner(5, tokens=60, temperature=1.0)
    model = LlamaOmni(model.net, model.voice.vocoder, model.vocabulary, omega=3)
    with torch.inference_mode():
        state = model.state(1)
        length = ask(model, state, 0, LINES, manner)
        said = [model.step(state, Rows.of([0]))[0] for _ in range(40)]
        heard = tokens(said)[:4]
        assert len(heard) == 4
        lines = [*LINES, Line("assistant", (Ids(tuple(heard)),)), Line("user", ("And then?",))]
        ask(model, state, 0, lines, manner, at=length + len(heard))
        cut = [model.step(state, Rows.of([0]))[0] for _ in range(12)]
        fresh = model.state(1)
        ask(model, fresh, 0, lines, manner)
        anew = [model.step(fresh, Rows.of([0]))[0] for _ in range(12)]
    assert text(cut) == text(anew)
    np.testing.assert_allclose(wave(cut), wave(anew), atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 12), max_size=3))
def test_whatever_was_cancelled_before_leaves_no_trace(model: LlamaOmni, cuts: list[int]) -> None:
    manner = Manner(7, tokens=8)
    expected = answer(model, LINES, manner)
    with torch.inference_mode():
        state = model.state(1)
        for n, steps in enumerate(cuts):
            ask(model, state, 0, [Line("user", (f"Number {n}",))], Manner(n, tokens=20))
            for _ in range(steps):
                if model.step(state, Rows.of([0]))[0].end:
                    break
        ask(model, state, 0, LINES, manner)
        said = [model.step(state, Rows.of([0]))[0]]
        while said[-1].end is None:
            said += model.step(state, Rows.of([0]))
    assert text(said) == text(expected)
    np.testing.assert_allclose(wave(said), wave(expected), atol=1e-4)


def test_what_it_cannot_be_given(model: LlamaOmni) -> None:
    for parts, problem in (
        ((sound(1, 2.1),), "hears 2 s"),
        ((sound(1), sound(2)), "one sound a turn"),
        ((Sound(1, np.zeros(0, np.float32)),), "no samples"),
        ((Picture(1, b""),), "no pictures"),
    ):
        with pytest.raises(ValueError, match=problem):
            model.layout([Line("user", parts)], Manner(1))
    control = model.layout([Line("user", ("<|eot_id|>",))], Manner(1))
    plain = model.layout([Line("user", ("",))], Manner(1))
    assert sum(map(model.size, control)) == sum(map(model.size, plain)) + len("<|eot_id|>"), "spelt out, not obeyed"


def test_what_its_files_must_be(directory: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(directory, tmp_path / name))

    alone = copy("alone")
    (alone / "large-v3.pt").unlink()
    with pytest.raises(CannotLoad, match=r"large-v3\.pt is missing.*comes from https"):
        duologue.load(str(alone))
    mute = copy("mute")
    (mute / "vocoder" / "g_00500000").unlink()
    with pytest.raises(CannotLoad, match="g_00500000 is missing"):
        duologue.load(str(mute))
    evil = copy("evil")
    torch.save({"dims": {}, "model_state_dict": print}, evil / "large-v3.pt")
    with pytest.raises(CannotLoad, match="tensors and nothing else"):
        duologue.load(str(evil))
    vague = copy("vague")
    (vague / "config.json").write_text(json.dumps({k: v for k, v in SIZES.items() if k != "num_hidden_layers"}))
    with pytest.raises(CannotLoad, match="num_hidden_layers is missing"):
        duologue.load(str(vague))
    with pytest.raises(CheckpointError, match="too small"):
        SYSTEM.write(tmp_path / "small", seed=1, sizes={"vocab_size": 100})


def test_the_encoder_may_stand_in_the_shards(model: LlamaOmni, directory: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(directory, tmp_path / "whole"))
    encoder = torch.load(other / "large-v3.pt", weights_only=True)["model_state_dict"]
    (other / "large-v3.pt").unlink()
    inner = {name.replace("encoder.", "model.speech_encoder.", 1): tensor for name, tensor in encoder.items()}
    save_file({**load_file(other / "model.safetensors"), **inner}, other / "model.safetensors")
    made = duologue.load(str(other), device="cpu", dtype="float32")
    assert isinstance(made, LlamaOmni)
    with torch.inference_mode():
        assert torch.equal(made.embed([sound(1)])[0], model.embed([sound(1)])[0])


def test_nothing_is_stretched_where_the_file_says_so() -> None:
    assert LlamaOmniConfig.from_published({**SIZES, "rope_scaling": None}).stretch.factor == 1
    absent = {name: value for name, value in SIZES.items() if name != "rope_scaling"}
    assert LlamaOmniConfig.from_published(absent).stretch.factor == 8


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_less_precision_still_talks(directory: Path, dtype: str) -> None:
    how = {"quantize": "int8"} if dtype == "int8" else {"dtype": dtype}
    made = duologue.load(str(directory), device="cpu", **how)
    assert answer(made, LINES, Manner(1, tokens=6))[-1].end is not None

"""Prompts: any chunking, packed voices, and their archive."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.checkpoints.files import CheckpointError
from duologue.models.moshi import Dialogue, DialogueState
from duologue.models.personaplex import (
    Persona,
    Voice,
    load_voices,
    personaplex,
    prime,
    replay,
    voice_codes,
    wrapped,
)
from duologue.nn.rows import Rows
from duologue.nn.sampling import GREEDY

from .tiny import LM, MIMI, lm, mimi

CONFIG = personaplex(replace(LM, dep_q=LM.n_q))
DIALOGUE = Dialogue(lm(CONFIG), GREEDY, GREEDY)
PERSONA = Persona(silence=(3, 4, 5), sine=(6, 7, 8), pause=2)
CODES = torch.randint(0, LM.card, (9, LM.spoken), generator=torch.Generator().manual_seed(0))
FRAMES = torch.cat([PERSONA.voice(CODES), PERSONA.text([10, 11, 12])])


def reply(state: DialogueState, row: Rows) -> list[list[int]]:
    """What a session says after its prompt, to a person who says always the same."""
    heard = torch.tensor([[1, 2, 3]])
    return [DIALOGUE.step(state, row, heard).frame[0].tolist() for _ in range(10)]


def primed(sizes: list[int], chunk: int) -> list[list[int]]:
    state, row = DIALOGUE.state(3, chunk), Rows.of([1])
    rest = FRAMES
    for size in sizes:
        if len(rest):
            prime(DIALOGUE, state, row, rest[:size])
            rest = rest[size:]
    if len(rest):
        prime(DIALOGUE, state, row, rest)
    return reply(state, row)


ONE_BY_ONE = primed([1] * len(FRAMES), 1)


@given(sizes=st.lists(st.integers(1, 9), max_size=6), chunk=st.integers(1, 12))
@settings(max_examples=20)
def test_a_prompt_in_any_chunking(sizes: list[int], chunk: int) -> None:
    assert primed(sizes, chunk) == ONE_BY_ONE


def test_a_prompt_makes_a_difference() -> None:
    assert reply(DIALOGUE.state(1), Rows.of([0])) != ONE_BY_ONE


def test_a_prompt_disturbs_nobody() -> None:
    state = DIALOGUE.state(2)
    before = reply(state, Rows.of([0]))
    fresh = DIALOGUE.state(2)
    prime(DIALOGUE, fresh, Rows.of([1]), FRAMES)
    assert reply(fresh, Rows.of([0])) == before


def packed() -> dict[str, torch.Tensor]:
    """A voice as the published runtime packs it."""
    state, row = DIALOGUE.state(1), Rows.of([0])
    columns = prime(DIALOGUE, state, row, PERSONA.voice(CODES))
    embeddings = DIALOGUE.lm.embed(columns.T[None])[0][:, None, None]
    return {"embeddings": embeddings, "cache": state.columns.tokens.clone()}


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def test_a_packed_voice_is_the_same_prompt(tmp_path: Path) -> None:
    data = saved(packed())
    with tarfile.open(tmp_path / "voices.tgz", "w:gz") as tar:
        for name in ("voices/NATF0.pt", "voices/._NATF0.pt", "voices/readme.txt"):
            member = tarfile.TarInfo(name)
            member.size = len(data) if name == "voices/NATF0.pt" else 4
            tar.addfile(member, io.BytesIO(data if member.size > 4 else b"junk"))
    voices = load_voices(tmp_path)
    assert list(voices) == ["NATF0"]
    state, row = DIALOGUE.state(2, 4), Rows.of([1])
    replay(DIALOGUE, state, row, voices["NATF0"])
    prime(DIALOGUE, state, row, PERSONA.text([10, 11, 12]))
    assert reply(state, row) == ONE_BY_ONE


def test_a_packed_voice_alone_is_a_prompt() -> None:
    """The last frame's delayed codes are given too, though they stand in columns to come."""
    state, row = DIALOGUE.state(1), Rows.of([0])
    prime(DIALOGUE, state, row, PERSONA.voice(CODES))
    again = DIALOGUE.state(1)
    replay(DIALOGUE, again, row, Voice.unpack(saved(packed()), "voice.pt"))
    (_, a), (_, b) = (CONFIG.columns.coming(s.columns, row) for s in (state, again))
    assert a.any()
    assert torch.equal(a, b)
    assert reply(state, row) == reply(again, row)


def test_a_folder_of_voices(tmp_path: Path) -> None:
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "VARM1.pt").write_bytes(saved(packed()))
    assert list(load_voices(tmp_path)) == ["VARM1"]
    assert load_voices(tmp_path / "voices") == {}


class Trap:
    """Code in a pickle."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return (print, ("a pickle ran",))


@pytest.mark.parametrize("content", [Trap(), {"embeddings": torch.zeros(1)}, [1]])
def test_what_is_no_voice_is_refused(content: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckpointError, match=r"voice\.pt is not a voice"):
        Voice.unpack(saved(content), "voice.pt")
    assert "ran" not in capsys.readouterr().out


def test_a_voice_of_another_model_is_refused() -> None:
    voice = Voice(torch.zeros(3, LM.dim + 1), torch.zeros(7, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="not one of this model's"):
        replay(DIALOGUE, DIALOGUE.state(1), Rows.of([0]), voice)


def test_a_voice_sample_is_coded_as_a_stream() -> None:
    codec, wave = mimi(), torch.randn(MIMI.frame * 5 + 3) * 0.2
    codes = voice_codes(codec, wave, 3)
    state, row = codec.encoder_state(1), Rows.of([0])
    padded = torch.nn.functional.pad(wave, (0, MIMI.frame - 3))[None, None]
    frames = [codec.encode_stream(f, state, row, 3) for f in torch.split(padded, MIMI.frame, dim=-1)]
    assert torch.equal(codes, torch.cat(frames, dim=-1)[0].T)


@pytest.mark.parametrize("text", ["be kind", "  be kind \n", "<system> be kind <system>"])
def test_a_text_is_wrapped_once(text: str) -> None:
    assert wrapped(text) == "<system> be kind <system>"

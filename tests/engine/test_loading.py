"""Models by name: what there is not, is said; and text that comes a byte at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from duologue.engine import fit
from duologue.engine.fit import TooLarge, check_rows, state_bytes
from duologue.engine.loading import CannotLoad, load
from duologue.engine.spelling import Spelling
from duologue.models.moshi import Dialogue, Moshi
from models.tiny import lm, mimi


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"name": "nowhere"}, "neither a directory nor a name of the hub"),
        ({"name": "./no/where"}, "neither a directory nor a name of the hub"),
        ({"name": "echo", "device": "toaster"}, "'toaster' is no device"),
        ({"name": "echo", "device": "mps"}, "run on cpu and cuda"),
        ({"name": "echo", "device": "cuda:77"}, "no device cuda:77"),
        ({"name": ".", "dtype": "float17"}, "float32, bfloat16"),
    ],
)
def test_what_there_is_not(asked: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CannotLoad, match=says):
        load(**asked)


def test_rows_that_do_not_fit_are_refused_with_how_many_do(monkeypatch: pytest.MonkeyPatch) -> None:
    each = state_bytes(Moshi(mimi(), Dialogue(lm())).state(1))
    assert each > 6_000, "keys and values, columns, tails"
    monkeypatch.setattr(fit, "free_bytes", lambda device: 10 * each)
    check_rows(each, 9, torch.device("cpu"))
    with pytest.raises(TooLarge, match="give --sessions 9"):
        check_rows(each, 16, torch.device("cpu"))
    with pytest.raises(TooLarge, match="more memory, or a smaller model"):
        check_rows(20 * each, 1, torch.device("cpu"))


def test_free_memory_is_known() -> None:
    assert fit.free_bytes(torch.device("cpu")) > 2**28


def test_characters_that_come_byte_by_byte() -> None:
    shown = Spelling()
    pieces = [" ca", "<0xC3>", "<0xA9>", "!", "<0xE2>", "<0x82>", "<0xAC>", " 5", "<0xE2>", " so", "<0x41>"]
    assert [shown.show(piece) for piece in pieces] == [" ca", "", "é", "!", "", "", "€", " 5", "", "\ufffd so", "A"]

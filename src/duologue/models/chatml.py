"""Dialogues in ChatML, as the Qwen models were trained on them.

    <|im_start|>ROLE⏎ … <|im_end|>⏎    for every line, then <|im_start|>assistant⏎

What people say and write is text wherever it stands: a control token comes of the layout only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from duologue.models.turns import Ids, Line, Piece, Sound, joined

INSTRUCTIONS = "You are a helpful assistant."
"""Of a dialogue that has none."""


def laid_out(
    lines: Sequence[Line],
    encode: Callable[[str], Sequence[int]],
    control: Mapping[str, int],
    *,
    answer: bool = True,
) -> list[Piece]:
    """The prompt of a dialogue, sounds numbered through it (``Audio 1: …``); with ``answer``, up to where it answers.

    ``encode`` turns text into tokens, none of them a control token; ``control`` has those by name. Stretches of text
    are encoded as a whole, so that nothing depends on where a line's parts meet. Raises ``ValueError`` for a picture.
    """
    pieces: list[Piece] = []
    text = ""
    heard = 0

    def flush() -> None:
        nonlocal text
        if text:
            pieces.append(Ids(tuple(encode(text))))
        text = ""

    def put(piece: Piece | str) -> None:
        flush()
        pieces.append(Ids((control[piece],)) if isinstance(piece, str) else piece)

    if not lines or lines[0].role != "system":
        lines = [Line("system", (INSTRUCTIONS,)), *lines]
    for line in lines:
        put("<|im_start|>")
        text += f"{line.role}\n"
        for part in line.parts:
            if isinstance(part, str):
                text += part
            elif isinstance(part, Sound):
                heard += 1
                text += f"Audio {heard}: "
                put("<|audio_bos|>")
                put(part)
                put("<|audio_eos|>")
                text += "\n"
            elif isinstance(part, Ids):
                put(part)
            else:
                raise ValueError("this model sees no pictures: leave them out")
        put("<|im_end|>")
        text += "\n"
    if answer:
        put("<|im_start|>")
        text += "assistant\n"
    flush()
    return joined(pieces)

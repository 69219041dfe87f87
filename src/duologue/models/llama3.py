"""Dialogues as Llama 3 was trained on them, and LLaMA-Omni after it.

    <|start_header_id|>ROLE<|end_header_id|>⏎⏎ … <|eot_id|>    for every line, then the header of the assistant

The text begins with <|begin_of_text|>, and the tokenizer puts another before it: LLaMA-Omni was trained so, with both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from duologue.models.turns import Ids, Line, Piece, Sound, joined

INSTRUCTIONS = (
    "You are a helpful language and speech assistant. You are able to understand the speech content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
SPOKEN = "Please directly answer the questions in the user's speech."
"""What stands beside a spoken turn."""


def laid_out(lines: Sequence[Line], encode: Callable[[str], Sequence[int]], control: Mapping[str, int]) -> list[Piece]:
    """The prompt of a dialogue up to where the assistant answers.

    ``encode`` turns text into tokens, none of them a control token; ``control`` has those by name. Text is encoded as
    a whole between control tokens and sounds. Raises ``ValueError`` for a picture.
    """
    pieces: list[Piece] = [Ids((control["<|begin_of_text|>"],) * 2)]
    text = ""

    def put(piece: Piece | str) -> None:
        nonlocal text
        if text:
            pieces.append(Ids(tuple(encode(text))))
        text = ""
        pieces.append(Ids((control[piece],)) if isinstance(piece, str) else piece)

    def header(role: str) -> None:
        nonlocal text
        put("<|start_header_id|>")
        text += role
        put("<|end_header_id|>")
        text += "\n\n"

    if not lines or lines[0].role != "system":
        lines = [Line("system", (INSTRUCTIONS,)), *lines]
    for line in lines:
        header(line.role)
        follows = False
        written = any(isinstance(part, str) and part.strip() for part in line.parts)
        for part in line.parts:
            if isinstance(part, str):
                text += f" {part.strip()}" if follows else part.strip()
                follows = True
                continue
            follows = False
            if isinstance(part, Sound):
                put(part)
                text += "\n" if written else f"\n{SPOKEN}"
            elif isinstance(part, Ids):
                put(part)
            else:
                raise ValueError("this model sees no pictures: leave them out")
        put("<|eot_id|>")
    header("assistant")
    pieces.append(Ids(tuple(encode(text))))
    return joined(pieces)

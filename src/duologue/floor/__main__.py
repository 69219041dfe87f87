"""Draws ``docs/floor.md`` from the table: ``python -m duologue.floor > docs/floor.md``."""

from __future__ import annotations

from collections import defaultdict

from duologue.floor.machine import TABLE, Row, State


def diagram() -> str:
    """The moves between different states as a Mermaid state diagram (GitHub renders it)."""
    labels: dict[tuple[State, State], list[str]] = defaultdict(list)
    for row in TABLE:
        if row.then is not row.state:
            label = row.signal.value + (f" [{row.when}]" if row.when else "")
            labels[row.state, row.then].append(label)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> idle"]
    lines += [f"    {a.value} --> {b.value}: {', '.join(names)}" for (a, b), names in labels.items()]
    return "\n".join([*lines, "```"])


def table() -> str:
    """Every row of the table as Markdown."""

    def cells(row: Row) -> str:
        actions = ", ".join(action.value for action in row.actions) or "–"
        return f"| {row.state.value} | {row.signal.value} | {row.when} | {row.then.value} | {actions} |"

    head = ["| state | signal | when | then | what the session does |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(cells(row) for row in TABLE)])


def page() -> str:
    """The whole page."""
    states = "\n".join(f"- **{state.value}**: {_doc(state)}" for state in State)
    return f"""# The floor

Made from `src/duologue/floor/machine.py` by `python -m duologue.floor > docs/floor.md`; a test keeps it so.

{states}

{diagram()}

{table()}
"""


def _doc(state: State) -> str:
    return {
        State.IDLE: "nobody speaks, nothing is owed.",
        State.HEARING: "the person speaks and has the floor.",
        State.SPECULATING: "the person paused; a reply is prepared and held.",
        State.REPLYING: "the reply has the floor.",
        State.CONTESTED: "somebody is heard over the reply; output is paused until it is clear why.",
        State.OVERLAPPED: "both speak and both go on.",
    }[state]


if __name__ == "__main__":
    print(page(), end="")

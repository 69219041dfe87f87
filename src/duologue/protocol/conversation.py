"""A conversation: its items in order, and what of them a backend gets to see.

Memory is bounded. Audio is kept for ``retrieved`` up to :data:`MAX_AUDIO` bytes; then the oldest item's audio
is dropped and its transcript stays. Beyond :data:`MAX_ITEMS` items, or :data:`MAX_WEIGHT` characters and
image bytes, the oldest items leave quietly, as OpenAI's ``truncation: auto`` lets them leave the model's
context; no client is told to forget them, but they can no longer be retrieved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.backends.contract import HistoryItem
from duologue.protocol.items import Item, Part, Spoken, history

if TYPE_CHECKING:
    from duologue.protocol.params import ResponseParams

MAX_ITEMS = 2_000
MAX_WEIGHT = 48 * 1024 * 1024
MAX_AUDIO = 4 * 1024 * 1024


class Conversation:
    """The default conversation of a session."""

    def __init__(self, id: str) -> None:
        self.id = id
        self._order: list[str] = []
        self._items: dict[str, Item] = {}
        self._weights: dict[str, int] = {}
        self._weight = 0
        self._audio = 0

    @property
    def items(self) -> tuple[Item, ...]:
        """Oldest first."""
        return tuple(self._items[id] for id in self._order)

    @property
    def last(self) -> str | None:
        """The last item's id."""
        return self._order[-1] if self._order else None

    def get(self, id: str) -> Item | None:
        return self._items.get(id)

    def holds(self, item: Item) -> bool:
        """Whether this very item is (still) part of the conversation."""
        return self._items.get(item.id) is item

    def previous(self, id: str) -> str | None:
        """The item before this one; ``None`` for the first."""
        at = self._order.index(id)
        return self._order[at - 1] if at else None

    def knows_call(self, call_id: str) -> bool:
        return any(item.type == "function_call" and item.call_id == call_id for item in self._items.values())

    def add(self, item: Item, after: str | None = None, *, first: bool = False) -> None:
        """At the end, after the item ``after``, or ``first`` of all."""
        if item.id in self._items:
            raise ValueError(f"the conversation already has an item {item.id!r}")
        at = 0 if first else len(self._order) if after is None else self._order.index(after) + 1
        self._order.insert(at, item.id)
        self._items[item.id] = item
        self._weights[item.id] = 0
        self._audio += sum(len(part.audio or b"") for part in item.content)
        self.weigh(item)
        self._bound_audio()

    def delete(self, id: str) -> None:
        self._order.remove(id)
        item = self._items.pop(id)
        self._weight -= self._weights.pop(id)
        self._audio -= sum(len(part.audio or b"") for part in item.content)

    def weigh(self, item: Item) -> None:
        """The item has grown (or is new): account for it, and let the oldest go where it is too much."""
        weight = item.weight
        self._weight += weight - self._weights[item.id]
        self._weights[item.id] = weight
        while len(self._order) > MAX_ITEMS or self._weight > MAX_WEIGHT:
            oldest = next((id for id in self._order if self._may_leave(id, item)), None)
            if oldest is None:
                break
            self.delete(oldest)

    def keep_audio(self, item: Item, part: Part, pcm: bytes) -> None:
        """Remember ``pcm`` as the continuation of the part's audio, as long as there is room."""
        if part.audio is None:
            return
        part.audio += pcm
        if self.holds(item):
            self._audio += len(pcm)
            self._bound_audio()

    def history(
        self, until: str | None = None, *, params: ResponseParams | None = None, spoken: Spoken | None = None
    ) -> tuple[HistoryItem, ...]:
        """What a backend is told: the items before ``until`` (all, where that is ``None`` or gone).

        Where the response has an explicit ``input``, exactly that. ``spoken``: for a backend that hears.
        """
        if params is not None and params.input is not None:
            return history(params.input, spoken)
        items = self.items
        if until in self._items:
            items = items[: self._order.index(until)]
        return history(items, spoken)

    def _may_leave(self, id: str, newest: Item) -> bool:
        item = self._items[id]
        return item is not newest and item.status != "in_progress"

    def _bound_audio(self) -> None:
        for id in self._order:
            if self._audio <= MAX_AUDIO:
                return
            for part in self._items[id].content:
                if part.audio:
                    self._audio -= len(part.audio)
                    part.audio = None

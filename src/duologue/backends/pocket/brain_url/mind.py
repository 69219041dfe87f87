"""A session's brain that is elsewhere: what it is asked, and what the person hears where it fails.

Nothing of the conversation is kept here. Every request brings the history with it, in which a reply that was cut
short stands as far as it was heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import structlog

from duologue.backends.contract import Ask, HistoryItem, Message, Strictness
from duologue.backends.pocket import english
from duologue.backends.pocket.brain import Judgement, Plan, Utterance, Want
from duologue.backends.pocket.brain import tools as templates
from duologue.backends.pocket.brain.persona import read
from duologue.backends.pocket.brain.scene import Clauses
from duologue.backends.pocket.brain_url import messages
from duologue.backends.pocket.brain_url.address import BrainAddress
from duologue.backends.pocket.brain_url.endpoint import BrainUnreachable, Endpoint
from duologue.backends.pocket.brain_url.stream import Nonsense

log = structlog.get_logger("duologue.brain")

APOLOGY: Final = "Sorry, I can't think at the moment. Please try again."
"""Said where no word of an answer came."""

BROKEN_OFF: Final = " … Sorry, I lost the thread."
"""Said where an answer broke off."""

_GREETING: Final = "greeting"
_SILENCE: Final = Plan(Clauses.of(""), "silence", silent=True)


class RemoteMinds:
    """See :class:`duologue.backends.pocket.parts.Minds`: the minds of all sessions, at one address."""

    def __init__(self, address: BrainAddress) -> None:
        self._address = address
        self._endpoint = Endpoint(address)

    @property
    def title(self) -> str:
        """The model's name; its address is nobody's business but the operator's."""
        return self._endpoint.model or "a model elsewhere"

    async def start(self) -> None:
        """Raises ``BrainAddressError`` where no model is named and the endpoint names none."""
        await self._endpoint.start()

    async def stop(self) -> None:
        await self._endpoint.stop()

    def mind(self, now: Callable[[], datetime]) -> RemoteMind:
        return RemoteMind(self._endpoint, now, speculate=self._address.speculate)


class RemoteMind:
    """See :class:`duologue.backends.pocket.parts.Mind`."""

    def __init__(self, endpoint: Endpoint, now: Callable[[], datetime], *, speculate: bool) -> None:
        self._endpoint = endpoint
        self._now = now
        self._speculate = speculate
        self._instructions = ""
        self._strictness: Strictness = "normal"
        self._configured = now()
        self._spoken = False
        """Whether it has said anything yet."""

    def configure(self, instructions: str, strictness: Strictness) -> None:
        self._instructions, self._strictness = instructions, strictness
        self._configured = self._now()

    def judge(self, text: str) -> Judgement:
        return english.judge(text)

    async def look(self, history: Sequence[HistoryItem]) -> None:
        """Pictures are seen elsewhere too."""

    def plan(
        self,
        utterance: Utterance | None,
        *,
        ask: Ask,
        history: Sequence[HistoryItem],
        since_exchange: float | None,
        obliged: bool,
    ) -> Plan | Dictated:
        if utterance is not None and not obliged and not self._is_for_me(utterance.text, history, since_exchange):
            return _SILENCE
        words = utterance.text if utterance is not None and utterance.text.strip() else None
        return self._ask(ask, history, words=words)

    def initiative(self, token: str, *, ask: Ask, history: Sequence[HistoryItem]) -> Plan | Dictated:
        return _SILENCE if self._spoken else self._ask(ask, history, direction=english.GREET)

    def idle(self, *, ask: Ask, history: Sequence[HistoryItem]) -> Dictated:
        return self._ask(ask, history, direction=english.HELP_ON)

    def commit(self, plan: Plan) -> None:
        """Silence changes nothing."""

    def heard(self, plan: Plan, chars: int) -> None:
        """Nor does it when it is cut short."""

    def wants(self) -> Sequence[Want]:
        """To speak first, where the instructions say so."""
        if self._spoken or read(self._instructions).greeting is None:
            return ()
        return (Want(_GREETING, _GREETING, self._configured),)

    def _is_for_me(self, text: str, history: Sequence[HistoryItem], since_exchange: float | None) -> bool:
        return english.is_for_us(
            text,
            name=read(self._instructions).name,
            strictness=self._strictness,
            history=history,
            since_exchange=since_exchange,
        )

    def _ask(
        self, ask: Ask, history: Sequence[HistoryItem], *, words: str | None = None, direction: str = ""
    ) -> Dictated:
        known = tuple(_without_apologies(history))

        def request() -> dict[str, Any]:
            told = messages.conversation(
                ask.instructions or self._instructions, known, words, spoken=ask.speech, direction=direction
            )
            return {"messages": told, **messages.tools(ask)}

        return Dictated(
            self._endpoint,
            request,
            lambda: self._forced(ask, words or _last_words(history)),
            offered=frozenset(tool.name for tool in ask.tools if ask.tool_choice != "none"),
            costly=not self._speculate,
            committed=self._on_said,
        )

    def _forced(self, ask: Ask, words: str) -> tuple[str, str] | None:
        """The call that must be made, with arguments from its schema; ``None``: none must."""
        name = templates.forced(ask, words) if ask.tools else None
        return None if name is None else (name, templates.arguments(name, ask, words, self._now()))

    def _on_said(self) -> None:
        self._spoken = True


class Dictated:
    """See :class:`duologue.backends.pocket.parts.Dictation`: one answer of the endpoint's.

    It is read as fast as it comes, also while the mouth is behind, so that nobody's connection waits for ears.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        request: Callable[[], dict[str, Any]],
        forced: Callable[[], tuple[str, str] | None],
        *,
        offered: frozenset[str],
        costly: bool,
        committed: Callable[[], None],
    ) -> None:
        """``offered`` are the functions that may be called, ``forced`` makes the call that must be, if the answer
        has none. ``committed`` is told when this is the reply."""
        self.costly = costly
        self.whole = True
        self.calls: list[tuple[str, str]] = []
        self._endpoint = endpoint
        self._request = request
        self._forced = forced
        self._offered = offered
        self._committed = committed

    def commit(self) -> None:
        self._committed()

    async def text(self) -> AsyncGenerator[str, None]:
        written: asyncio.Queue[str | None] = asyncio.Queue()
        reading = asyncio.create_task(self._read(written), name="brain answer")
        try:
            while (piece := await written.get()) is not None:
                yield piece
            await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, written: asyncio.Queue[str | None]) -> None:
        began = False

        def tell(text: str) -> None:
            nonlocal began
            if text := text if began else text.lstrip():
                began = True
                written.put_nowait(text)

        try:
            answer = await self._endpoint.answer(self._request, tell)
            self.calls = self._to_make(answer.calls)
            if not began and not self.calls:
                raise Nonsense("the answer is empty")
            self.whole = answer.finish_reason != "length"
        except (BrainUnreachable, Nonsense) as error:
            log.warning("the brain failed, and the person hears an apology", cause=str(error), began=began)
            written.put_nowait(BROKEN_OFF if began else APOLOGY)
        finally:
            written.put_nowait(None)

    def _to_make(self, calls: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those calls that the client offers; not every endpoint heeds that one must be made, so one is then."""
        for name in sorted({name for name, _ in calls} - self._offered):
            log.warning("the brain called a function that is not offered", name=name)
        possible = [call for call in calls if call[0] in self._offered]
        if not possible and (forced := self._forced()) is not None:
            log.warning("the brain did not call the function that it had to; its schema gives the call", name=forced[0])
            return [forced]
        return possible


def _last_words(history: Sequence[HistoryItem]) -> str:
    people = (item.text for item in reversed(history) if isinstance(item, Message) and item.role == "user")
    return next(people, "")


def _without_apologies(history: Sequence[HistoryItem]) -> Iterator[HistoryItem]:
    """Models take up what they find they have said; these words were not theirs."""
    for item in history:
        if isinstance(item, Message) and item.role == "assistant":
            text = item.text.removesuffix(BROKEN_OFF.strip()).rstrip()
            if text and not APOLOGY.startswith(text):
                yield replace(item, text=text)
        else:
            yield item

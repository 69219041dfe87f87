"""pocket's brain: from what was said, to what to say, and what will come of it.

A plan is made without changing anything, as often as wanted; :meth:`Brain.commit` makes it true. The same
words in the same state give the same plan, dice included, so that a reply prepared in a pause is the reply
given at the end of the turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Final

from duologue.backends.contract import Ask, CallResult, HistoryItem, Message, Strictness
from duologue.backends.pocket.brain import judgement, persona, tools
from duologue.backends.pocket.brain.addressee import BOUNDS, Bounds, for_someone_else, named, near, only_named
from duologue.backends.pocket.brain.judgement import Judgement
from duologue.backends.pocket.brain.persona import Persona
from duologue.backends.pocket.brain.pictures import Sight, see
from duologue.backends.pocket.brain.scene import Clauses, Effect, Pending, Reply, Scene, State, say
from duologue.backends.pocket.brain.skills import BY_NAME, about, pictures, timers
from duologue.backends.pocket.brain.skills.memory import note_about
from duologue.backends.pocket.brain.slots import KINDS, Reading
from duologue.backends.pocket.brain.two_ears import at_odds, with_free_words
from duologue.backends.pocket.brain.understanding import Parse, index, understand
from duologue.backends.pocket.brain.words import Words, variants


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the person said or wrote."""

    text: str
    spoken: bool = True
    confidence: float | None = None
    """How sure the ear is, 0..1."""
    open_text: str | None = None
    """What an ear with an open vocabulary heard; better for names, often worse for commands."""
    clarity: float | None = None
    """How directly the voice came, in dB; ``None`` where the ear cannot say."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A reply that is not true yet. The reply's text is its clauses joined by single spaces."""

    clauses: Clauses
    skill: str
    call: tuple[str, str] | None = None
    """A tool's name and its arguments, a JSON object."""
    silent: bool = False
    effects: tuple[Effect, ...] = ()
    resumable: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """Something it will want to say of its own accord when ``due``; ``token`` names it to :meth:`Brain.initiative`."""

    token: str
    reason: str
    due: datetime


_NOTHING: Final = Clauses(lambda: iter(()))
_SILENCE: Final = Plan(_NOTHING, "silence", silent=True)
_GREETING: Final = "greeting"
_CLEARLY: Final = 0.78
"""How well words said with a picture must fit a skill to ask for more than what it is."""
_SURE_OF_PENDING: Final = 0.85
_LOST: Final = "not_understood"
_NO_IDEA: Final = 0.1
"""A confidence below which not even a name in the words means that it was called."""
_TO_THE_LETTER: Final = 0.99
_BEGUN: Final = 5
_LEFT_OVER: Final = 2
_HALF_SURE: Final = 0.05
"""How many words from near by must be a request's beginning, how many at most of its end misheard, and how sure the ear
must be of the whole, to ask back. Of the sentences by which :data:`.addressee.BOUNDS` was chosen, said in dry rooms and
others near by, eight requests that were left alone are asked about then, and none of other talk."""
_OVER: Final = 0.5
"""Seconds after an exchange within which words were said over it, or at once: whoever cuts in is talking to us."""
_VAGUE: Final = frozenset({"project", "beyond"})
"""Skills that words said with a picture ("what is this") do not mean."""


class Brain:
    """One session's brain. ``now`` gives the local time; ``seed`` settles every choice and every throw of dice."""

    def __init__(self, *, now: Callable[[], datetime], seed: int = 0) -> None:
        self._now = now
        self._seed = seed
        self._state = State()
        self._instructions = ""
        self._bounds = BOUNDS["normal"]
        self._configured = now()
        self._looked: tuple[bytes, Sight | None] | None = None
        index()  # built once per process, before anybody waits for it

    def configure(self, instructions: str, strictness: Strictness = "normal") -> None:
        """The session's instructions, and how sure it must be that it is meant; also when they change."""
        self._bounds = BOUNDS[strictness]
        if persona.read(instructions).greeting != persona.read(self._instructions).greeting:
            self._configured = self._now()
        self._instructions = instructions

    # -- listening --------------------------------------------------------------------------------------

    def judge(self, text: str) -> Judgement:
        """What partial words amount to here; an answer to a question just asked is complete."""
        verdict = judgement.judge(text)
        if verdict.complete is not True and (pending := self._state.pending) and text.strip():
            answer = _fill(pending, text)
            free = {kind for _, kind in pending.wanted if KINDS[kind].free}
            if answer is not None:
                return Judgement(verdict.complete if free else True, backchannel=False)
        return verdict

    # -- planning ---------------------------------------------------------------------------------------

    async def look(self, history: Sequence[HistoryItem]) -> None:
        """See the last picture of the history, so that :meth:`plan` can speak about it; the work is a thread's."""
        picture = _last_picture(history)
        if picture is not None and (self._looked is None or self._looked[0] is not picture):
            self._looked = (picture, await asyncio.to_thread(see, picture))

    def plan(
        self,
        utterance: Utterance | None,
        *,
        ask: Ask,
        history: Sequence[HistoryItem] = (),
        since_exchange: float | None = None,
        obliged: bool = False,
    ) -> Plan:
        """The reply to ``utterance``, or to the history where it is ``None``. Changes nothing.

        Args:
            since_exchange: seconds since either side last had the floor, ``None``: never.
            obliged: the client asked outright, silence is no answer.
        """
        scene = self._scene(ask, _last_picture(history))
        shown, results = False, []
        if utterance is None:
            obliged = True
            results = _results(history)
            last = next((item for item in reversed(history) if isinstance(item, Message) and item.role == "user"), None)
            shown = last is not None and bool(last.images)
            utterance = Utterance(last.text, spoken=False) if last else None
        words = utterance.text if utterance else ""
        if ask.tools and (name := tools.forced(ask, words)) is not None:
            return _calling(name, tools.arguments(name, ask, words, scene.now))
        if results:
            return _told("call_result", say(" ".join(tools.in_words(result.output) for result in results)))
        if shown and not _asks_clearly(words):
            return _told("picture", pictures.describe(scene, {}))
        if utterance is None or not words.strip():
            if not obliged:
                return _SILENCE
            return self._greeting(scene) if not history else self.idle(ask=ask)
        parse = self._parse(utterance, scene)
        own = parse.score if parse and parse.skill not in ("beyond", "own_fact") else 0.0
        if ask.tools and (name := tools.matching(ask, words, own)) is not None:
            return _calling(name, tools.arguments(name, ask, words, scene.now))
        return self._answer(utterance, parse, scene, since_exchange, obliged or not utterance.spoken)

    def _answer(
        self, utterance: Utterance, parse: Parse | None, scene: Scene, since: float | None, obliged: bool
    ) -> Plan:
        text = utterance.text
        called = named(text, scene.persona.name) and not _below(utterance, _NO_IDEA)
        bounds, state = self._bounds, scene.state
        cut_in = since is not None and since <= _OVER and not _below(utterance, bounds.sure.over(utterance.clarity))
        conversing = since is not None and since <= bounds.conversation and not state.lost
        talking = obliged or called or cut_in or conversing
        if not talking and (parse is None or parse.score < bounds.fit or _doubtful(utterance, parse, bounds)):
            return _told("half_caught", _half_caught(scene)) if _broken_off(utterance, bounds) else _SILENCE
        if only_named(text, scene.persona.name):
            return _told("called", say(scene.one_of("Yes?", "Yes, I'm listening.", "I'm here.")))
        if parse is not None:
            resuming = parse.skill == "go_on" and scene.state.telling is not None
            if BY_NAME[parse.skill].chat and not talking and not resuming:
                return _SILENCE
            return _told(parse.skill, self._shortened(parse, BY_NAME[parse.skill].answer(scene, parse.slots), scene))
        if not talking or (for_someone_else(text) and not (obliged or called)):
            return _SILENCE
        idle = judgement.judge(text).backchannel or (not cut_in and _below(utterance, bounds.sure_within))
        if idle and not (obliged or called):
            return _SILENCE
        if (note := note_about(scene, text)) is not None:
            return _told("recall", note)
        return _told(_LOST, _not_understood(scene))

    def _shortened(self, parse: Parse, reply: Reply, scene: Scene) -> Reply:
        """Where the instructions ask for brevity, what it says about itself ends with the first sentence."""
        if not scene.persona.brief or parse.skill not in {skill.name for skill in about.SKILLS}:
            return reply
        text = reply.clauses.heard(None)
        return replace(reply, clauses=Clauses.of(text[: text.find(". ") + 1] or text))

    def _parse(self, utterance: Utterance, scene: Scene) -> Parse | None:
        """What the words mean here: an answer to its own question, else a request of its own."""
        parse = understand(utterance.text)
        pending = scene.state.pending
        if pending is not None:
            filled = _fill(pending, utterance.text)
            if filled is not None and not (parse is not None and _rather(parse, pending)):
                parse = filled
        return with_free_words(parse, utterance.open_text)

    # -- of its own accord --------------------------------------------------------------------------------

    def wants(self) -> list[Want]:
        """What it will want to say unasked, and when: due timers, alarms and reminders, and a requested greeting."""
        wanted = [Want(timer.token, timer.kind, timer.due) for timer in self._state.timers]
        if not self._state.greeted and persona.read(self._instructions).greeting is not None:
            wanted.append(Want(_GREETING, _GREETING, self._configured))
        return sorted(wanted, key=lambda want: want.due)

    def initiative(self, token: str, *, ask: Ask, history: Sequence[HistoryItem] = ()) -> Plan:
        """What it says when a want is granted, whatever was said before; silence if it is wanted no more."""
        scene = self._scene(ask)
        if token == _GREETING:
            return _SILENCE if self._state.greeted else self._greeting(scene)
        timer = next((timer for timer in self._state.timers if timer.token == token), None)
        return _told(timer.kind, timers.due(scene, timer)) if timer else _SILENCE

    def idle(self, *, ask: Ask, history: Sequence[HistoryItem] = ()) -> Plan:
        """What it says when the person has been silent for the idle time-out, whatever was said before."""
        scene = self._scene(ask)
        text = scene.one_of(
            "Are you still there? You can ask me for the time, a timer, or a story.",
            "I'm still here. Shall I tell you a joke?",
            "Take your time. If you like, I can tell you a story.",
            "Is there anything I can do for you?",
        )
        skill = "joke" if "joke" in text else "story" if text.endswith("tell you a story.") else None
        return _told("idle", say(text, pending=Pending(skill, {}, ()) if skill else self._state.pending))

    def _greeting(self, scene: Scene) -> Plan:
        if scene.persona.greeting:
            return _told(_GREETING, say(scene.persona.greeting))
        name = scene.persona.name
        return _told(_GREETING, say(scene.one_of(f"Hello, I'm {name}. What can I do for you?",
                                                 f"Hi, this is {name}. How can I help?")))  # fmt: skip

    # -- what became of it ----------------------------------------------------------------------------------

    def commit(self, plan: Plan) -> None:
        """The plan is the reply: timers start, facts are kept, dice have rolled."""
        if plan.silent:
            return
        state = replace(self._state, exchanges=self._state.exchanges + 1, pending=None, greeted=True)
        state = replace(state, lost=plan.skill == _LOST)
        if plan.call is None:
            state = replace(state, last=plan.clauses, last_heard=None)
        if plan.resumable:
            state = replace(state, telling=None)
        for effect in plan.effects:
            state = effect(state)
        self._state = state

    def heard(self, plan: Plan, chars: int) -> None:
        """The reply was interrupted when ``chars`` characters of it had been heard."""
        if plan.resumable:
            self._state = replace(self._state, telling=plan.clauses.after(chars))
        if self._state.last is plan.clauses:
            self._state = replace(self._state, last_heard=chars)

    def _scene(self, ask: Ask, picture: bytes | None = None) -> Scene:
        """Where it answers; a ``picture`` is known once it was looked at."""
        who: Persona = persona.read(ask.instructions or self._instructions)
        sight = self._looked[1] if self._looked is not None and self._looked[0] is picture else None
        dice = Random(f"{self._seed}/{self._state.exchanges}")
        return Scene(self._now(), self._state, who, dice, shown=picture is not None, sight=sight)


# -- pieces -------------------------------------------------------------------------------------------------


def _told(skill: str, reply: Reply) -> Plan:
    """A plan from a reply; what it asks back becomes pending only when it is committed."""
    pending = reply.pending
    effects = (*reply.effects, _asking(pending)) if pending else reply.effects
    return Plan(reply.clauses, skill, effects=effects, resumable=reply.resumable)


def _asking(pending: Pending) -> Effect:
    return lambda state: replace(state, pending=pending)


def _calling(name: str, arguments: str) -> Plan:
    return Plan(_NOTHING, "tool", call=(name, arguments))


def _asks_clearly(words: str) -> bool:
    """Whether words said with a picture ask for something, rather than only what it is."""
    asked = understand(words)
    if asked is None or asked.skill in _VAGUE:
        return False
    return asked.score >= _CLEARLY or BY_NAME[asked.skill] in pictures.SKILLS


def _last_picture(history: Sequence[HistoryItem]) -> bytes | None:
    return next((item.images[-1] for item in reversed(history) if isinstance(item, Message) and item.images), None)


def _results(history: Sequence[HistoryItem]) -> list[CallResult]:
    """What the client's functions returned since anybody spoke, oldest first."""
    found: list[CallResult] = []
    for item in reversed(history):
        if isinstance(item, Message):
            break
        if isinstance(item, CallResult):
            found.insert(0, item)
    return found


_ANSWER_LEADS: Final = tuple(
    tuple(lead.split())
    for lead in ("for", "in", "at", "to", "until", "it is", "make it", "let us say", "about", "that is", "of", "i said",
                 "set it for", "set it to", "remind me to", "remind me in", "remind me at", "i live in", "it is called",
                 "i like", "the word", "the word is", "he is called", "she is called", "into")
)  # fmt: skip


def _fill(pending: Pending, text: str) -> Parse | None:
    """``text`` as the answer to what was asked back; ``None`` if it is none."""
    if not pending.wanted:
        assent = understand(text)
        return Parse(pending.skill, pending.slots, 1.0) if assent and assent.skill == "yes" else None
    for words in variants(text):
        for lead in ((), *_ANSWER_LEADS):
            if words[: len(lead)] != lead or len(words) == len(lead):
                continue
            for slot, kind in pending.wanted:
                reading = _whole_reading(kind, words, len(lead))
                if reading is not None and not (KINDS[kind].free and not lead and _leads(words)):
                    return Parse(pending.skill, {**pending.slots, slot: reading[1]}, 1.0)
    return None


def _leads(words: Words) -> bool:
    return any(words[: len(lead)] == lead and len(words) > len(lead) for lead in _ANSWER_LEADS)


def _whole_reading(kind: str, words: Words, at: int) -> Reading | None:
    """The reading of a slot that takes all of the words from ``at`` on."""
    return next((reading for reading in KINDS[kind].read(words, at) if reading[0] == len(words)), None)


def _rather(parse: Parse, pending: Pending) -> bool:
    """Whether words that could answer its question are rather a request of their own.

    Where any words would do as an answer ("call my mother" as a task), what it can not do anyway is an answer.
    """
    skill = BY_NAME[parse.skill]
    return parse.score >= _SURE_OF_PENDING and (not skill.chat or _is_free(pending)) and skill.name != "beyond"


def _is_free(pending: Pending) -> bool:
    return any(KINDS[kind].free for _, kind in pending.wanted)


def _doubtful(utterance: Utterance, parse: Parse, bounds: Bounds) -> bool:
    """Whether words out of the blue are better taken for somebody else's."""
    bound = bounds.sure if parse.score >= _TO_THE_LETTER else bounds.sure_of_like
    wanted = bound.of(utterance.clarity)
    if utterance.confidence is not None:
        return utterance.confidence < wanted
    return at_odds(utterance.text, parse, utterance.open_text)


def _broken_off(utterance: Utterance, bounds: Bounds) -> bool:
    """Whether it is a request from near by whose end alone was misheard."""
    if not near(utterance.clarity) or utterance.confidence is None or bounds.fit > 1:
        return False
    if utterance.confidence < _HALF_SURE:
        return False
    known, more = judgement.broken_off(utterance.text)
    return known >= _BEGUN and 0 < more <= _LEFT_OVER


def _half_caught(scene: Scene) -> Reply:
    return say(
        scene.one_of(
            "Sorry, I didn't catch the end of that. Could you say it again?",
            "Sorry, I missed the last words. What was that again?",
        )
    )


def _below(utterance: Utterance, sure: float) -> bool:
    return utterance.confidence is not None and utterance.confidence < sure


def _not_understood(scene: Scene) -> Reply:
    return say(
        scene.one_of(
            "Sorry, I did not understand that. You can ask me for the time, a sum, a timer, or a story.",
            "I'm not sure what you mean. I'm good at timers, sums, units, jokes and stories.",
            "That is beyond me, I'm afraid. Say help, and I'll tell you what I can do.",
            "I did not get that. Try: set a timer for five minutes, or: tell me a joke.",
            "Sorry, that I can't do. But I can convert units, roll dice, or remind you of something.",
        )
    )

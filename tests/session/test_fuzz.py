"""Anything at any moment: the protocol's rules hold, and the session always comes to rest."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from duologue.audio import Wave, samples
from duologue.backends.contract import Delta, End, Failed, Hypothesis, Respond, Wants, Withdrawn
from protocol.realtime_rules import Client

from .scripted import Conversation, ScriptedBackend, silence, voice


@cache
def babble() -> Wave:
    return np.concatenate((voice("so what do you think of that"), silence(0.2), voice("yes well I do not know")))


def say(seconds: float) -> Callable[[Conversation], None]:
    return lambda talk: talk.hear(babble()[: samples(seconds)])


def hush(seconds: float) -> Callable[[Conversation], None]:
    return lambda talk: talk.hear(silence(seconds))


def stall(seconds: float) -> Callable[[Conversation], None]:
    return lambda talk: talk.wait(seconds)


def client(type: str, **fields: object) -> Callable[[Conversation], None]:
    return lambda talk: talk.send(type, **fields)


def settings_of(**fields: object) -> Callable[[Conversation], None]:
    return client("session.update", session={"type": "realtime", **fields})


def detection(value: object) -> Callable[[Conversation], None]:
    return settings_of(audio={"input": {"turn_detection": value}})


def truncate(talk: Conversation) -> None:
    items = [e["item"]["id"] for e in talk.of("response.output_item.added")] or ["item_none"]
    talk.send("conversation.item.truncate", item_id=items[-1], content_index=0, audio_end_ms=100)


def delete(talk: Conversation) -> None:
    items = [e["item"]["id"] for e in talk.of("conversation.item.added")] or ["item_none"]
    talk.send("conversation.item.delete", item_id=items[-1])


def written(talk: Conversation) -> None:
    content = [{"type": "input_text", "text": "hello"}]
    talk.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})


def backend(**changes: object) -> Callable[[Conversation], None]:
    def change(talk: Conversation) -> None:
        for name, value in changes.items():
            setattr(talk.backend, name, value)

    return change


def emit(make: Callable[[ScriptedBackend], object]) -> Callable[[Conversation], None]:
    def act(talk: Conversation) -> None:
        talk.backend.emit(make(talk.backend))  # type: ignore[arg-type]
        talk.collect()

    return act


def latest(backend: ScriptedBackend) -> int:
    asked = backend.sent(Respond)
    return asked[-1].epoch if asked else 0


TONE = np.full(samples(0.5), 0.1, np.float32)
TEXT_ASIDE = {"conversation": "none", "output_modalities": ["text"]}
MOVES = {
    "say a little": say(0.3),
    "say more": say(1.2),
    "say a lot": say(2.5),
    "hush briefly": hush(0.15),
    "hush": hush(0.6),
    "hush long": hush(2.5),
    "stall": stall(0.8),
    "create": client("response.create"),
    "create aside": client("response.create", response=TEXT_ASIDE),
    "create text": client("response.create", response={"output_modalities": ["text"]}),
    "cancel": client("response.cancel"),
    "commit": client("input_audio_buffer.commit"),
    "clear": client("input_audio_buffer.clear"),
    "push to talk": detection(None),
    "semantic": detection({"type": "semantic_vad", "eagerness": "high"}),
    "server": detection({"type": "server_vad", "idle_timeout_ms": 5000}),
    "no interruption": detection({"type": "semantic_vad", "interrupt_response": False}),
    "no creation": detection({"type": "server_vad", "create_response": False}),
    "truncate": truncate,
    "delete": delete,
    "written": written,
    "complete": backend(complete=True),
    "incomplete": backend(complete=False),
    "other words": backend(words="what is five"),
    "no words": backend(words=""),
    "mm-hm": backend(words="mm", backchannel=True),
    "mumbles": backend(words="mm time", backchannel=None),
    "no mm-hm": backend(words="hello", backchannel=False),
    "deaf": backend(deaf=True),
    "hears": backend(deaf=False),
    "silent": backend(silent=True),
    "speaks": backend(silent=False),
    "slow": backend(held=True),
    "quick": backend(held=False),
    "breaks": emit(lambda b: Failed("broken", epoch=latest(b))),
    "ear breaks": emit(lambda b: Failed("broken", turn=1)),
    "stale": emit(lambda b: Delta(max(0, latest(b) - 1), "late", TONE)),
    "more": emit(lambda b: Delta(latest(b), " more", TONE)),
    "ends": emit(lambda b: End(latest(b))),
    "wants": emit(lambda b: Wants("tea", "timer")),
    "withdraws": emit(lambda b: Withdrawn("tea")),
    "late words": emit(lambda b: Hypothesis(1, "late words", 10**9, final=True)),
    "drain": lambda talk: talk.session.drain(),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(sorted(MOVES)), min_size=3, max_size=25))
@example(["say a little", "slow", "create", "hush"])
def test_anything_at_any_moment(moves: list[str]) -> None:
    talk = Conversation(ScriptedBackend(seconds=1.5))
    for move in moves:
        MOVES[move](talk)
    # Let every reply that is still owed come, and all be quiet.
    talk.backend.held = talk.backend.deaf = False  # first: the end of one reply may ask for the next
    for epoch in range(latest(talk.backend) + 1):
        talk.backend.emit(End(epoch))
    talk.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
    talk.wait(20.0)
    assert not talk.session.busy, "it always comes to rest"
    follower = Client()
    follower.follow(event for _, event in talk.events if not event["type"].startswith("duologue."))
    created = [event["response"]["id"] for event in talk.of("response.created")]
    done = [event["response"]["id"] for event in talk.of("response.done")]
    assert sorted(created) == sorted(done), "every response has its end"

"""A chat endpoint as the brain: a real HTTP server of that protocol, asked by sessions of pocket."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from duologue.audio.level import first_audible
from duologue.backends import ModelOptions, UnknownModel, load
from duologue.backends.contract import (
    Ask,
    Call,
    CallMade,
    CallResult,
    Cancel,
    Close,
    Commit,
    Configure,
    Delta,
    End,
    EndTurn,
    Event,
    Failed,
    Hear,
    HistoryItem,
    Link,
    Message,
    Respond,
    Tool,
    Wants,
)
from duologue.backends.pocket import english
from duologue.backends.pocket.backend import PocketBackend
from duologue.backends.pocket.brain_url import BrainAddress, BrainAddressError, messages
from duologue.backends.pocket.brain_url.mind import APOLOGY, BROKEN_OFF, RemoteMinds
from duologue.backends.pocket.brain_url.stream import Answer, Lines, Nonsense, Thinking
from duologue.backends.pocket.mouth import choose_mouth
from duologue.backends.pocket.mouth.growing import Growing
from duologue.cli import main
from duologue.measure.ask import ask
from duologue.measure.voices import speak

from .endpoint import Endpoint, answer, chunk, end, running
from .parts import HOP, ScriptedEar, ScriptedMouth

WEATHER = Tool(
    "get_weather",
    "The weather in a city",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


@dataclass
class Talk:
    """A session whose brain is elsewhere."""

    endpoint: Endpoint
    mouth: ScriptedMouth
    link: Link = field(init=False)
    events: list[Event] = field(default_factory=list)

    def text(self, epoch: int) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta) and event.epoch == epoch)

    def of(self, epoch: int) -> list[Event]:
        return [event for event in self.events if getattr(event, "epoch", None) == epoch]

    async def until(self, holds: Callable[[], bool], within: float = 5.0) -> None:
        async with asyncio.timeout(within):
            while not holds():  # noqa: ASYNC110 (what a driver does)
                await asyncio.sleep(0.002)

    async def respond(self, epoch: int, ask: Ask | None = None, *history: HistoryItem, **more: Any) -> None:
        """A reply to the history, until it is over."""
        self.link.send(Respond(epoch, ask or Ask(), history, obliged=True, **more))
        await self.until(lambda: any(isinstance(event, End | Failed) for event in self.of(epoch)))

    def say(self, turn: int) -> None:
        """A turn of the ear's script."""
        for hop in range(8):
            self.link.send(Hear(turn, hop * HOP, np.zeros(HOP, np.float32)))


@asynccontextmanager
async def talk(
    endpoint: Endpoint, *, words: str = "what is the moon", mouth_delay: float = 0.0, **how: Any
) -> AsyncIterator[Talk]:
    mouth = ScriptedMouth(mouth_delay)
    async with running(endpoint):
        address = BrainAddress(endpoint.url, **how)
        backend = PocketBackend(
            ear=lambda: ScriptedEar(words), mouth=lambda: mouth, minds=RemoteMinds(address), ahead_seconds=None
        )
        await backend.start()
        mouth.said.clear()
        it = Talk(endpoint, mouth)
        it.link = backend.open(it.events.append)
        yield it
        await backend.stop()


# -- what is asked ------------------------------------------------------------------------------------------


async def test_the_words_the_history_and_the_instructions_are_passed() -> None:
    async with talk(Endpoint(answer("It is a ", "rock.")), key="sk-secret") as it:
        it.say(1)
        history = (
            Message("user", "hello"),
            Message("assistant", "Hello, what"),
            Message("system", "The user is nine."),
        )
        it.link.send(Respond(1, Ask(instructions="You are Luna."), history, turn=1))
        it.link.send(EndTurn(1))
        await it.until(lambda: any(isinstance(event, End) for event in it.of(1)))
        assert it.text(1) == "It is a rock."
        request = it.endpoint.asked[0]
        assert request["stream"] is True
        assert request["model"] == "tiny-chat"
        assert "tools" not in request
        system, *rest = request["messages"]
        assert system["role"] == "system"
        assert system["content"].startswith("You are Luna.\n\nThe user is nine.\n\n")
        assert "spoken aloud" in system["content"]
        assert rest == [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "Hello, what"},
            {"role": "user", "content": "what is the moon"},
        ]
        assert it.endpoint.keys == ["Bearer sk-secret"]


async def test_a_text_reply_is_not_said_to_be_spoken() -> None:
    async with talk(Endpoint(answer("**Hello.**"))) as it:
        await it.respond(1, Ask(speech=False), Message("user", "hello"))
        assert it.endpoint.messages == [{"role": "user", "content": "hello"}]
        assert it.text(1) == "**Hello.**"
        assert not it.mouth.said


async def test_images_go_as_data_urls_the_latest_ones() -> None:
    png, jpeg = b"\x89PNG\r\n\x1a\nxx", b"\xff\xd8yy"
    async with talk(Endpoint(answer("A cat."))) as it:
        old = tuple(Message("user", "", (png,)) for _ in range(messages.MOST_IMAGES))
        await it.respond(1, None, *old, Message("assistant", "Nice."), Message("user", "and this?", (jpeg,)))
        *_, before, _, last = it.endpoint.messages
        assert last["content"] == [
            {"type": "text", "text": "and this?"},
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9h5eQ=="}},
        ]
        assert [part["type"] for part in before["content"]] == ["text", *["image_url"] * (messages.MOST_IMAGES - 1)]
        assert before["content"][0]["text"] == "(an earlier picture)"


async def test_functions_and_the_choice_are_passed_and_calls_come_back() -> None:
    begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
    script = (
        chunk("Let me look. "),
        chunk(tool_calls=[begun]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"city": '}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '"Rome"}'}}]),
        chunk(
            tool_calls=[
                {"index": 1, "id": "call_2", "function": {"name": "get_weather", "arguments": '{"city": "Bari"}'}}
            ]
        ),
        end("tool_calls"),
    )
    async with talk(Endpoint(script)) as it:
        choice = "function:get_weather"
        await it.respond(1, Ask(tools=(WEATHER,), tool_choice=choice), Message("user", "weather in rome and bari"))
        calls = [(event.name, json.loads(event.arguments)) for event in it.of(1) if isinstance(event, Call)]
        assert calls == [("get_weather", {"city": "Rome"}), ("get_weather", {"city": "Bari"})]
        assert it.text(1) == "Let me look."
        request = it.endpoint.asked[0]
        assert request["tools"] == [
            {
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "description": WEATHER.description,
                    "parameters": WEATHER.parameters,
                },
            }
        ]
        assert request["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}


async def test_what_a_function_gave_stands_behind_its_call() -> None:
    async with talk(Endpoint(answer("Sunny."))) as it:
        await it.respond(
            1,
            Ask(tools=(WEATHER,)),
            Message("user", "weather in rome"),
            CallMade("get_weather", "c1", '{"city": "Rome"}'),
            CallMade("get_weather", "c2", ""),
            Message("user", "are you there"),
            CallResult("c1", "sun"),
            CallMade("get_weather", "c3", "{}"),
            CallResult("c3", "rain"),
        )
        told = [
            (m["role"], m["content"], [call["id"] for call in m.get("tool_calls", ())], m.get("tool_call_id"))
            for m in it.endpoint.messages[1:]
        ]
        assert told == [
            ("user", "weather in rome", [], None),
            ("assistant", "", ["c1", "c2"], None),
            ("tool", "sun", [], "c1"),
            ("tool", "(no result yet)", [], "c2"),
            ("user", "are you there", [], None),
            ("assistant", "", ["c3"], None),
            ("tool", "rain", [], "c3"),
        ]


async def test_where_no_function_may_be_called_none_is() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "get_weather", "arguments": "{}"}}
    async with talk(Endpoint((chunk("No."), chunk(tool_calls=[call]), end()))) as it:
        await it.respond(1, Ask(tools=(WEATHER,), tool_choice="none"), Message("user", "weather"))
        assert "tools" not in it.endpoint.asked[0]
        assert not [event for event in it.of(1) if isinstance(event, Call)]
        assert it.text(1) == "No."


async def test_a_function_that_must_be_called_is_called_even_if_the_endpoint_does_not() -> None:
    async with talk(Endpoint(answer("I would rather talk."))) as it:
        await it.respond(1, Ask(tools=(WEATHER,), tool_choice="required"), Message("user", "weather in rome"))
        assert it.endpoint.asked[0]["tool_choice"] == "required"
        (call,) = [event for event in it.of(1) if isinstance(event, Call)]
        assert json.loads(call.arguments) == {"city": "Rome"}


async def test_models_that_want_a_users_message_get_one() -> None:
    async with talk(Endpoint(answer("Hello."))) as it:
        await it.respond(1)
        assert it.endpoint.messages[-1] == {"role": "user", "content": english.GREET}
        await it.respond(2, None, Message("user", "tell me a story"), Message("assistant", "Once"))
        assert it.endpoint.messages[-1] == {"role": "user", "content": english.GO_ON}
        await it.respond(3, None, Message("user", "hello"), Message("assistant", "Hello."), idle=True)
        assert it.endpoint.messages[-1] == {"role": "user", "content": english.HELP_ON}


def test_a_long_history_is_cut_at_its_beginning_and_keeps_what_the_system_said() -> None:
    turns = [Message(role, f"{n} " + "x" * 3_000) for n in range(10) for role in ("user", "assistant")]
    told = messages.conversation("Be kind.", [Message("system", "Rules."), *turns], "go on", spoken=False)
    assert told[0]["content"] == "Be kind.\n\nRules."
    assert told[1]["role"] == "user"
    assert sum(len(message["content"]) for message in told) < messages.MOST_CHARACTERS + 100
    assert told[-1]["content"] == "go on"
    assert told[-2]["content"].startswith("9 ")


_ITEMS = st.lists(
    st.one_of(
        st.builds(Message, st.sampled_from(("system", "user", "assistant")), st.text(max_size=8)),
        st.builds(CallMade, st.just("f"), st.sampled_from(("a", "b", "c")), st.just("{}")),
        st.builds(CallResult, st.sampled_from(("a", "b", "c")), st.text(max_size=4)),
    ),
    max_size=12,
)


@given(_ITEMS, st.none() | st.text(min_size=1, max_size=8))
def test_no_history_breaks_the_rules_of_strict_endpoints(items: list[HistoryItem], words: str | None) -> None:
    told = messages.conversation("", items, words, spoken=True)
    roles = [message["role"] for message in told]
    assert roles[0] == "system"
    assert "system" not in roles[1:]
    assert roles[-1] in ("user", "tool")
    open_calls: list[str] = []
    for before, message in pairwise(told):
        if message["role"] == "tool":
            assert message["tool_call_id"] == open_calls.pop(0)
        else:
            assert not open_calls
            assert message["role"] != before["role"]
        open_calls += [call["id"] for call in message.get("tool_calls", ())]
    assert not open_calls


# -- when it is asked, and when it stops ----------------------------------------------------------------------


async def test_the_first_sound_is_there_before_the_answer_is_complete() -> None:
    rest = asyncio.Event()
    script = (chunk("The moon is a rock. "), chunk("It "), rest, chunk("shines at night."), end())
    async with talk(Endpoint(script)) as it:
        it.link.send(Respond(1, Ask(), (Message("user", "the moon"),)))
        await it.until(lambda: it.text(1) == "The moon is a rock.")
        assert any(isinstance(event, Delta) and event.wave is not None for event in it.of(1))
        rest.set()
        await it.until(lambda: isinstance(it.events[-1], End))
        assert it.text(1) == "The moon is a rock. It shines at night."
        assert [text for text, *_ in it.mouth.said] == ["The moon is a rock.", "It shines at night."]


async def test_a_tentative_reply_asks_only_once_it_is_committed() -> None:
    async with talk(Endpoint(answer("A rock."))) as it:
        it.say(1)
        it.link.send(Respond(1, Ask(), (), turn=1, tentative=True))
        await it.until(lambda: not it.link.busy)
        it.link.send(Cancel(1))
        it.link.send(Respond(2, Ask(), (), turn=1, tentative=True))
        await asyncio.sleep(0.1)
        assert not it.link.busy
        assert not it.endpoint.asked
        it.link.send(EndTurn(1))
        it.link.send(Commit(2))
        await it.until(lambda: any(isinstance(event, End) for event in it.of(2)))
        assert len(it.endpoint.asked) == 1
        assert it.text(2) == "A rock."
        assert not it.text(1)


async def test_an_operator_may_have_it_speculate() -> None:
    async with talk(Endpoint(answer("A rock.")), speculate=True) as it:
        it.say(1)
        it.link.send(Respond(1, Ask(), (), turn=1, tentative=True))
        await it.until(lambda: it.text(1) == "A rock.")
        it.link.send(Cancel(1))
        assert len(it.endpoint.asked) == 1


@pytest.mark.parametrize("mouth_delay", [0.0, 0.5])
async def test_a_barge_in_closes_the_connection(mouth_delay: float) -> None:
    never = asyncio.Event()
    script = (*(chunk(f"This is sentence number {n}. ") for n in range(30)), never, end())
    async with talk(Endpoint(script), mouth_delay=mouth_delay) as it:
        it.link.send(Respond(1, Ask(), (Message("user", "go on"),)))
        await it.until(lambda: bool(it.endpoint.asked) and (bool(it.text(1)) or mouth_delay > 0))
        await asyncio.sleep(0.05)
        it.link.send(Cancel(1, heard_chars=5))
        count = len(it.events)
        async with asyncio.timeout(2):
            await it.endpoint.hung_up.wait()
        assert len(it.events) == count
        it.endpoint.script = answer("Yes?")
        await it.respond(2, None, Message("user", "go on"), Message("assistant", "This "), Message("user", "wait"))
        assert it.text(2) == "Yes?"
        assert it.endpoint.messages[-2]["content"] == "This"


async def test_a_closed_session_closes_its_connection() -> None:
    endpoint = Endpoint((chunk("Once upon a time "), asyncio.Event()))
    async with talk(endpoint) as it:
        it.link.send(Respond(1, Ask(), (Message("user", "a story"),)))
        await it.until(lambda: bool(endpoint.asked))
        it.link.send(Close())
        async with asyncio.timeout(2):
            await endpoint.hung_up.wait()
        assert not it.of(1)


async def test_a_limit_on_the_reply_ends_the_asking_too() -> None:
    script = (*(chunk(f"Number {n}. ") for n in range(50)), asyncio.Event())
    async with talk(Endpoint(script)) as it:
        await it.respond(1, Ask(speech=False, max_tokens=7), Message("user", "count"))
        last = it.of(1)[-1]
        assert isinstance(last, End)
        assert last.reason == "length"
        assert it.text(1) == "Number 0. Number 1. Number 2. Number"
        async with asyncio.timeout(2):
            await it.endpoint.hung_up.wait()


async def test_an_answer_cut_for_length_is_said_to_be() -> None:
    async with talk(Endpoint((chunk("The moon is"), end("length")))) as it:
        await it.respond(1, None, Message("user", "the moon"))
        last = it.of(1)[-1]
        assert isinstance(last, End)
        assert last.reason == "length"


@pytest.mark.parametrize("words", ["uh huh", "stop", "mum can you pass the salt", ""])
async def test_what_wants_no_answer_costs_no_request(words: str) -> None:
    async with talk(Endpoint(answer("Yes.")), words=words) as it:
        it.say(1)
        it.link.send(Respond(1, Ask(), (Message("assistant", "I like the moon."),), turn=1))
        it.link.send(EndTurn(1))
        await it.until(lambda: bool(it.of(1)) and isinstance(it.of(1)[-1], End))
        end_ = it.of(1)[-1]
        assert isinstance(end_, End)
        assert end_.reason == "silent"
        assert not it.endpoint.asked


async def test_a_yes_to_its_question_is_an_answer() -> None:
    async with talk(Endpoint(answer("Good.")), words="yes") as it:
        it.say(1)
        it.link.send(Respond(1, Ask(), (Message("assistant", "Shall I go on?"),), turn=1))
        it.link.send(EndTurn(1))
        await it.until(lambda: it.text(1) == "Good.")


async def test_it_greets_where_the_instructions_want_it() -> None:
    async with talk(Endpoint(answer("Welcome."))) as it:
        it.link.send(Configure("Greet the user first.", "", 1.0))
        await it.until(lambda: any(isinstance(event, Wants) for event in it.events))
        (want,) = [event for event in it.events if isinstance(event, Wants)]
        await it.respond(1, None, token=want.token)
        assert it.text(1) == "Welcome."
        it.link.send(Configure("Greet the user first, warmly.", "", 1.0))
        await asyncio.sleep(0.4)
        assert len([event for event in it.events if isinstance(event, Wants)]) == 1


# -- its death and its nonsense -----------------------------------------------------------------------------

JUNK = {
    "an error": (
        {"status": 500, "kind": "application/json", "script": ('{"error": "out of memory"}',)},
        "500.*out of memory",
    ),
    "a wrong key": ({"status": 401, "kind": "application/json", "script": ("{}",)}, "401"),
    "a page": ({"kind": "text/html", "script": ("<html>hello</html>",)}, "text/html"),
    "no stream": ({"kind": "application/json", "script": ('{"choices": []}',)}, "application/json"),
    "no JSON": ({"script": ("data: {broken\n\n", end())}, "not JSON"),
    "a list": ({"script": ("data: [1, 2]\n\n", end())}, "list"),
    "odd choices": ({"script": ('data: {"choices": [5]}\n\n',)}, "choices"),
    "odd content": ({"script": (chunk(content=None, tool_calls=7), end())}, "delta"),
    "an error in the stream": ({"script": ('data: {"error": {"message": "overloaded"}}\n\n',)}, "overloaded"),
    "no UTF-8": ({"script": (b"data: \xff\xfe\n\n",)}, "UTF-8"),
    "a line without end": ({"script": (b"data: " + b"x" * (2**20 + 10),)}, "line"),
    "nothing": ({"script": (end(),)}, "empty"),
    "only space": ({"script": answer("  \n")}, "empty"),
    "only thoughts": ({"script": answer("<think>hmm", " what?</think>")}, "empty"),
    "no end": ({"script": ()}, "broke off"),
    "silence": ({"script": (chunk(role="assistant"), asyncio.Event())}, "no word came"),
    "only comments": ({"script": (*((": still here\n\n", 0.1) * 12), end())}, "no word came"),
    "arguments that are none": (
        {
            "script": (
                chunk(tool_calls=[{"index": 0, "function": {"name": "get_weather", "arguments": "{city"}}]),
                end(),
            )
        },
        "not JSON",
    ),
}


@pytest.mark.parametrize("kind", JUNK)
async def test_the_person_hears_an_apology_and_the_session_goes_on(kind: str) -> None:
    how, cause = JUNK[kind]
    async with talk(Endpoint(**how), model="m", patience=0.5) as it:
        with capture_logs() as logs:
            started = time.monotonic()
            await it.respond(1, Ask(tools=(WEATHER,)), Message("user", "hello"))
        assert time.monotonic() - started < 8
        assert it.text(1) == APOLOGY
        assert isinstance(it.of(1)[-1], End)
        assert [text for text, *_ in it.mouth.said]
        (line,) = [entry for entry in logs if entry["log_level"] in ("warning", "error")]
        assert re.search(cause, line["cause"]), line
        it.endpoint.status, it.endpoint.kind, it.endpoint.script = 200, "text/event-stream", answer("Here I am.")
        await it.respond(2, None, Message("user", "hello"), Message("assistant", APOLOGY), Message("user", "again"))
        assert it.text(2) == "Here I am."
        assert it.endpoint.messages[1:] == [{"role": "user", "content": "hello\nagain"}]


async def test_an_answer_that_breaks_off_ends_with_an_apology() -> None:
    async with talk(Endpoint((chunk("The moon is made of"),))) as it:
        await it.respond(1, None, Message("user", "the moon"))
        assert it.text(1) == "The moon is made of" + BROKEN_OFF
        it.endpoint.script = answer("Rock.")
        await it.respond(2, None, Message("assistant", it.text(1)), Message("user", "of what"))
        assert it.endpoint.messages[1] == {"role": "assistant", "content": "The moon is made of"}


async def test_nobody_listens_at_the_address() -> None:
    async with running(Endpoint()) as gone:
        url = gone.url
    async with talk(Endpoint(), model="m") as it:
        backend = PocketBackend(
            ear=ScriptedEar, mouth=ScriptedMouth, minds=RemoteMinds(BrainAddress(url, "m")), ahead_seconds=None
        )
        await backend.start()
        it.link = backend.open(it.events.append)
        with capture_logs() as logs:
            await it.respond(1, None, Message("user", "hello"))
        assert it.text(1) == APOLOGY
        assert "ConnectError" in logs[0]["cause"]
        await backend.stop()


async def test_the_apology_is_audible() -> None:
    async with running(Endpoint(status=503)) as endpoint:
        minds = RemoteMinds(BrainAddress(endpoint.url, "m"))
        backend = PocketBackend(ear=ScriptedEar, mouth=choose_mouth, minds=minds, ahead_seconds=None)
        await backend.start()
        it = Talk(endpoint, ScriptedMouth())
        it.link = backend.open(it.events.append)
        await it.respond(1, None, Message("user", "hello"))
        waves = [event.wave for event in it.of(1) if isinstance(event, Delta) and event.wave is not None]
        assert first_audible(np.concatenate(waves)) is not None
        await backend.stop()


# -- where it is --------------------------------------------------------------------------------------------


async def test_the_first_model_listed_is_taken_or_the_start_says_why_not() -> None:
    async with running(Endpoint(models=("first", "second"))) as endpoint:
        minds = RemoteMinds(BrainAddress(endpoint.url))
        await minds.start()
        assert minds.title == "first"
        await minds.stop()
        endpoint.models = ()
        with pytest.raises(BrainAddressError, match="lists no models; name one with --brain-model"):
            await RemoteMinds(BrainAddress(endpoint.url)).start()
        url = endpoint.url
    with pytest.raises(BrainAddressError, match=r"ConnectError.*start it"):
        await RemoteMinds(BrainAddress(url)).start()


@pytest.mark.parametrize(
    ("given_", "url"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/v1"),
        ("https://api.example.com/v1/chat/completions", "https://api.example.com/v1"),
        ("https://api.example.com/openai/v4/", "https://api.example.com/openai/v4"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_addresses_are_taken_as_people_write_them(given_: str, url: str) -> None:
    assert BrainAddress(given_).url == url


@pytest.mark.parametrize(
    "bad", ["", "localhost:8080", "ftp://x/v1", "http://user:pass@x/v1", "http://x/v1?key=a", "http://"]
)
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(BrainAddressError, match="brain"):
        BrainAddress(bad)


def test_a_key_stays_out_of_sight() -> None:
    assert "sk-1" not in repr(BrainAddress("http://x/v1", key="sk-1"))
    with pytest.raises(BrainAddressError, match="header"):
        BrainAddress("http://x/v1", key="sk-1\n")


def test_the_options_contradict_each_other() -> None:
    run = CliRunner().invoke
    assert (
        "--brain-model and --brain-speculate go with --brain URL" in run(main, ["serve", "--brain-model", "x"]).output
    )
    assert "no address of a brain" in run(main, ["serve", "--brain", "nonsense"]).output
    with pytest.raises(UnknownModel, match="has a brain of its own"):
        load("echo", options=ModelOptions(brain=BrainAddress("http://x/v1")))


# -- what comes back, however it is cut ---------------------------------------------------------------------


@given(st.text(alphabet="ab,.!? \n—and", max_size=200), st.data())
def test_a_growing_text_has_the_same_clauses_however_it_grows(text: str, data: st.DataObject) -> None:
    whole = Growing()
    expected = [*whole.push(text), *whole.finish()]
    assert "".join(expected) == text
    growing, clauses, at = Growing(), [], 0
    while at < len(text):
        step = data.draw(st.integers(1, 20))
        clauses += growing.push(text[at : at + step])
        at += step
    assert [*clauses, *growing.finish()] == expected


def test_a_clause_is_there_as_soon_as_the_next_word_begins() -> None:
    growing = Growing()
    assert not [*growing.push("Sure, I can do that. ")]
    assert [*growing.push("T")] == ["Sure, I can do that. "]
    assert [*growing.push("he rest"), *growing.finish()] == ["The rest"]


@given(st.lists(st.integers(1, 7), max_size=60))
def test_a_stream_is_read_the_same_however_it_is_cut(steps: list[int]) -> None:
    data = (
        chunk("Grüße ") + ": ping\r\n\r\nevent: x\n" + chunk("aus <think>") + 'data:{"usage": {}}\n' + end()
    ).encode()
    lines, answer_, said, at = Lines(), Answer(), "", 0
    for step in [*steps, len(data)]:
        said += "".join(answer_.take(line) for line in lines.push(data[at : at + step]))
        at += step
    said += answer_.take(lines.finish()) + answer_.rest()
    assert said == "Grüße aus <think>"
    assert answer_.done
    assert answer_.finish_reason == "stop"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>the user wants…</think>\n\nHello.", "Hello."),
        ("  <think></think>Hello <b>", "Hello <b>"),
        ("<thin air", "<thin air"),
        ("<", "<"),
        ("Hello </think> you", "Hello </think> you"),
        ("<think>never ends", ""),
    ],
)
@given(st.lists(st.integers(1, 5), max_size=30))
def test_thoughts_are_not_said(text: str, said: str, steps: list[int]) -> None:
    thinking, heard, at = Thinking(), "", 0
    for step in [*steps, len(text)]:
        heard += thinking.push(text[at : at + step])
        at += step
    assert heard + thinking.finish() == said


@pytest.mark.parametrize(
    ("parts", "calls"),
    [
        # one index for all calls, whole each (as some proxies do); no index; arguments as an object
        ([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
          {"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}}], [("f", "{}"), ("g", "{}")]),
        ([{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}], [("f", '{"x": 1}')]),
        ([{"index": 0, "id": "a", "function": {"name": "f"}}, {"index": 0, "id": "a", "function": {"arguments": ""}}],
         [("f", "{}")]),
    ],
)  # fmt: skip
def test_dialects_of_calls(parts: list[dict[str, Any]], calls: list[tuple[str, str]]) -> None:
    answer_ = Answer()
    for part in parts:
        answer_.take(chunk(tool_calls=[part]).strip())
    assert answer_.calls == calls


def test_arguments_must_be_an_object() -> None:
    answer_ = Answer()
    answer_.take(chunk(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": "[1]"}}]).strip())
    with pytest.raises(Nonsense, match="no JSON object"):
        _ = answer_.calls


# -- are these words finished -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("what is the capital of france", True), ("who are you", True), ("tell me a story", True),
        ("can you explain how a rainbow is made", True), ("please translate good morning into french", True),
        ("is it cold on mars", True), ("explain black holes to me", True),
        ("what is the capital of", False), ("i like apples and", False), ("tell me", False), ("can you tell me", False),
        ("what is", False), ("i went to the", False), ("i think that", False), ("because", False), ("well um", False),
        ("do you know", False), ("i would like to", False), ("what would you", False), ("the moon is", False),
        ("what is twenty five", False), ("how many inches", False), ("how do you spell", False),
        ("what is photosynthesis", None), ("who wrote the novel about the white whale", True),
        ("i was at the sea", None), ("yes i do", True), ("my dog is very old", None), ("paris", None), ("", None),
    ],
)  # fmt: skip
def test_completeness_by_form(text: str, complete: bool | None) -> None:
    assert english.judge(text).complete is complete


# -- as a whole -----------------------------------------------------------------------------------------------


async def test_spoken_to_aloud_it_answers_aloud() -> None:
    spoken = speak("tell me something about the history of the united states", "slt")
    async with running(Endpoint(answer("It began ", "in seventeen seventy six. ", "Shall I go on?"))) as endpoint:
        options = ModelOptions(sessions=1, brain=BrainAddress(endpoint.url))
        asked = await ask([spoken.wave], fast=True, options=options)
        (turn,) = asked.turns
        assert turn.said == "It began in seventeen seventy six. Shall I go on?"
        assert first_audible(turn.audio) is not None
        heard = endpoint.messages[-1]["content"]
        assert len({"history", "united", "states", "something", "about"} & set(heard.split())) >= 3, heard
        assert len(endpoint.asked) == 1, "a pause is no reason to ask"

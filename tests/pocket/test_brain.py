"""Conversations with the brain: what it says, when it stays silent, and what becomes true only when committed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.backends.contract import Ask, HistoryItem, Message, Strictness
from duologue.backends.pocket.brain import Brain, Plan, Utterance, persona, phrasings
from duologue.backends.pocket.brain.scene import Clauses, cut
from duologue.backends.pocket.brain.skills import BY_NAME
from duologue.backends.pocket.brain.skills.stories import jokes, stories

START = datetime(2025, 11, 25, 14, 23, 5)


class Talk:
    """A conversation in which every plan is committed."""

    def __init__(self, seed: int = 0, instructions: str = "", strictness: Strictness = "normal") -> None:
        self.now = START
        self.brain = Brain(now=lambda: self.now, seed=seed)
        self.brain.configure(instructions, strictness)
        self.plan: Plan | None = None

    def say(
        self,
        text: str | None,
        *,
        since: float | None = 2.0,
        history: Sequence[HistoryItem] = (),
        confidence: float | None = None,
        open_text: str | None = None,
        clarity: float | None = None,
        obliged: bool = False,
    ) -> str:
        """The reply, "" for silence."""
        utterance = None
        if text is not None:
            utterance = Utterance(text, confidence=confidence, open_text=open_text, clarity=clarity)
        self.plan = self.brain.plan(utterance, ask=Ask(), history=history, since_exchange=since, obliged=obliged)
        self.brain.commit(self.plan)
        return "" if self.plan.silent else self.plan.clauses.heard(None)

    def cut_short(self, chars: int) -> None:
        assert self.plan is not None
        self.brain.heard(self.plan, chars)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("what time is it", "twenty three minutes past two in the afternoon"),
        ("what day is it tomorrow", "Tomorrow is Wednesday, the twenty sixth of November."),
        ("what year is it", "twenty twenty five"),
        ("how many days until christmas", "thirty days"),
        ("how many days until the weekend", "There are four days until the weekend."),
        ("what day is the thirtieth of february", "February has no thirtieth."),
        ("what is five plus three times two", "Five plus three times two is eleven."),
        ("what is one divided by three", "about zero point three three three"),
        ("what is twenty percent of eighty", "sixteen"),
        ("what is five divided by zero", "nothing can be divided by zero"),
        ("convert five miles to kilometres", "Five miles are about eight point zero five kilometres."),
        ("how many minutes are in three hours", "one hundred and eighty minutes"),
        ("what is twenty degrees celsius in fahrenheit", "sixty eight degrees fahrenheit"),
        ("what is ten miles in kilograms", "can't be converted"),
        ("spell banana", "B, A, N, A, N, A"),
        ("count from three to six", "three, four, five, six."),
        ("count down from three", "three, two, one, zero."),
        ("repeat after me the sun is shining", "The sun is shining."),
        ("what can you do", "timer"),
        ("what is your name", "Pocket"),
        ("what is the weather today", "internet"),
        ("speak louder", "speaker"),
    ],
)
def test_answers(question: str, answer: str) -> None:
    assert answer in Talk().say(question)


@pytest.mark.parametrize("name", sorted(BY_NAME))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_skill_answers_every_phrasing(name: str, seed: int) -> None:
    for text, skill, _ in phrasings.known(seed, 8):
        if skill == name:
            talk = Talk(seed)
            assert talk.say(text)
            assert talk.plan is not None
            assert talk.plan.skill == skill or skill == "go_on"


def test_every_reply_is_short_clauses_of_plain_speech() -> None:
    for text, skill, _ in phrasings.known(3, 6):
        talk = Talk(4)
        talk.say(text)
        assert talk.plan is not None
        for clause in itertools.islice(talk.plan.clauses, 30):
            assert clause == clause.strip()
            assert 0 < len(clause) <= 100, (skill, clause)
            assert not any(letter.isdigit() for letter in clause), (skill, clause)


def test_a_timer_starts_when_committed_and_speaks_when_due() -> None:
    talk = Talk()
    plan = talk.brain.plan(Utterance("set a pasta timer for ten minutes"), ask=Ask(), since_exchange=None)
    assert talk.brain.wants() == []
    talk.brain.commit(plan)
    (want,) = talk.brain.wants()
    assert (want.reason, want.due) == ("timer", START + timedelta(minutes=10))
    talk.now += timedelta(minutes=4)
    assert "six minutes" in talk.say("how much time is left")
    due = talk.brain.initiative(want.token, ask=Ask())
    assert "pasta" in due.clauses.heard(None)
    assert talk.brain.wants() == [want], "it is wanted until it was said"
    talk.brain.commit(due)
    assert talk.brain.wants() == []
    assert talk.brain.initiative(want.token, ask=Ask()).silent


def test_timers_are_cancelled_by_kind_name_and_length() -> None:
    talk = Talk()
    for text in ("set a tea timer for four minutes", "set a timer for ten minutes", "set an alarm for seven",
                 "remind me to call the doctor in one hour"):  # fmt: skip
        talk.say(text)
    assert len({want.token for want in talk.brain.wants()}) == 4
    talk.say("cancel the tea timer")
    talk.say("cancel the alarm")
    assert sorted(want.reason for want in talk.brain.wants()) == ["reminder", "timer"]
    assert "no such alarm" in talk.say("cancel the alarm")
    talk.say("cancel everything")
    assert talk.brain.wants() == []


def test_a_missing_slot_is_asked_for_and_its_answer_may_be_bare() -> None:
    talk = Talk()
    assert talk.say("set a timer").endswith("?")
    assert talk.brain.judge("ten minutes").complete is True
    assert "ten minutes" in talk.say("um ten minutes").lower()
    assert talk.say("remind me to water the plants").endswith("?")
    assert "water the plants at five o'clock" in talk.say("at five")
    assert talk.say("remind me").endswith("?")
    assert talk.say("in ten minutes").endswith("?")
    assert "feed the cat" in talk.say("to feed the cat")
    talk.say("remind me")
    assert talk.say("in one hour").endswith("?")
    assert "call your mother" in talk.say("call my mother")
    assert len(talk.brain.wants()) == 4


def test_a_new_request_drops_the_question() -> None:
    talk = Talk()
    talk.say("set a timer")
    assert "past two" in talk.say("what time is it")
    talk.say("ten minutes")
    assert talk.brain.wants() == []


def test_an_offer_may_be_taken() -> None:
    talk = Talk()
    assert "Shall I" in talk.say("go on")
    talk.say("yes please")
    assert talk.plan is not None
    assert talk.plan.skill == "story"


def test_facts_are_kept_recalled_and_forgotten() -> None:
    talk = Talk()
    talk.say("my name is robin")
    talk.say("my dog is called max")
    talk.say("my favourite colour is blue")
    talk.say("remember that the keys are in the kitchen")
    assert "Robin" in talk.say("what is my name")
    assert "Max" in talk.say("what is my dog's name")
    assert "keys are in the kitchen" in talk.say("where are the keys")
    known = talk.say("what do you know about me")
    assert all(word in known for word in ("Robin", "Max", "blue", "kitchen"))
    talk.say("forget my name")
    assert "not told me" in talk.say("what is my name")
    assert "Anna" in talk.say("anna")
    talk.say("forget everything")
    assert "not told me anything" in talk.say("what do you know about me")


def test_free_words_come_from_the_open_ear_unless_the_closed_one_knows_them() -> None:
    talk = Talk()
    talk.say("my dog is called rose", open_text="my dog is called rosencrantz")
    assert "Rose" in talk.say("what is my dog's name")
    talk.say("remind me to eat the doctor in ten minutes", open_text="remind me to oil the gearbox in ten minutes")
    assert talk.plan is not None
    assert "oil the gearbox" in talk.plan.clauses.heard(None)


def test_a_story_goes_on_from_what_was_heard() -> None:
    talk = Talk()
    story = talk.say("tell me a story about the lighthouse")
    talk.cut_short(150)
    assert talk.say("stop")
    rest = talk.say("go on")
    assert story.endswith(rest)
    assert len(story) - 150 <= len(rest) < len(story) - 60
    talk.cut_short(200)
    again = talk.say("continue", since=60.0)
    assert rest.endswith(again)
    assert len(again) < len(rest)


def test_counting_is_endless_if_asked_and_resumes() -> None:
    talk = Talk()
    plan = talk.brain.plan(Utterance("count to one million"), ask=Ask(), since_exchange=None)
    talk.brain.commit(plan)
    assert list(itertools.islice(plan.clauses, 2)) == ["one, two, three, four,", "five, six, seven, eight,"]
    talk.brain.heard(plan, len("one, two, three, four, five, six"))
    resumed = talk.brain.plan(Utterance("go on"), ask=Ask(), since_exchange=3.0)
    assert next(iter(resumed.clauses)) == "five, six, seven, eight,"


def test_say_again_repeats_the_last_reply() -> None:
    talk = Talk()
    joke = talk.say("tell me a joke")
    talk.cut_short(5)
    assert talk.say("what did you say") == joke


def test_jokes_and_stories_do_not_repeat_before_all_are_told() -> None:
    talk = Talk()
    assert {talk.say("tell me a joke") for _ in jokes()} == set(jokes())
    assert len({talk.say("tell me a story") for _ in stories()}) == len(stories())
    assert len(jokes()) >= 12
    assert len(stories()) >= 3
    assert all(180 <= len(story.text.split()) <= 400 for story in stories())


@pytest.mark.parametrize("text", ["yes", "okay", "no", "right", "thank you", "stop", "go on", "wait", "i like music",
                                  "the senator voted against the bill yesterday", "i told you so", ""])  # fmt: skip
def test_out_of_the_blue_it_leaves_alone_what_is_not_for_it(text: str) -> None:
    for since in (None, 60.0):
        assert Talk().say(text, since=since) == ""


@pytest.mark.parametrize("text", ["what time is it", "set a timer for ten minutes", "tell me a joke", "hello",
                                  "my name is robin", "could you please convert ten miles to kilometres"])  # fmt: skip
def test_out_of_the_blue_it_answers_commands(text: str) -> None:
    assert Talk().say(text, since=None)


@pytest.mark.parametrize("text", ["how do i fly to the moon", "the senator voted against the bill yesterday"])
def test_in_a_conversation_it_says_what_it_did_not_understand(text: str) -> None:
    assert Talk().say(text, since=3.0)
    assert Talk().say(text, since=None, obliged=True)
    assert Talk().say(f"hey pocket {text}", since=None)
    assert Talk().say(text, since=9.0) == ""


def test_speech_for_somebody_else_and_backchannels_get_no_answer() -> None:
    for text in ("mum can you pass the salt", "mhm", "uh huh", "darling come here for a moment"):
        assert Talk().say(text, since=1.0) == ""


def test_doubtful_words_out_of_the_blue_get_no_answer() -> None:
    assert Talk().say("what time is it", since=None, confidence=0.1) == ""
    assert Talk().say("what time is it", since=None, confidence=0.9)
    assert Talk().say("tell me a joke", since=None, open_text="the jury was out for a while") == ""
    assert Talk().say("tell me a joke", since=None, open_text="tell me a choke")


@pytest.mark.parametrize(
    ("text", "since", "confidence", "answered_by"),
    [
        ("what time is it", None, 0.9, "loose normal"),
        ("what time is it", None, 0.1, "loose"),
        ("what time is it", 15.0, 0.1, "loose"),
        ("what time is it", 3.0, 0.1, "loose normal strict"),
        ("pocket what time is it", None, 0.2, "loose normal strict"),
        ("the committee met on the stairs", 3.0, 0.5, "loose normal strict"),
        ("the committee met on the stairs", 3.0, 0.2, "loose normal"),
        ("the committee met on the stairs", 3.0, 0.05, "loose"),
        ("the committee met on the stairs", 0.0, 0.05, "loose"),
        ("the committee met on the stairs", 0.0, 0.5, "loose normal strict"),
        ("the committee met on the stairs", None, 0.9, ""),
    ],
)
def test_strictness(text: str, since: float | None, confidence: float, answered_by: str) -> None:
    wills: tuple[Strictness, ...] = ("loose", "normal", "strict")
    answered = [will for will in wills if Talk(strictness=will).say(text, since=since, confidence=confidence)]
    assert answered == answered_by.split()


def test_called_by_its_name_it_listens() -> None:
    talk = Talk(instructions="Your name is Robin.")
    assert talk.say("hey robin", since=None)
    assert "Robin" in talk.say("what is your name")
    assert talk.say("it is in my pocket", since=None) == ""


def test_written_and_empty_histories_are_answered() -> None:
    talk = Talk()
    assert "eleven" in talk.say(None, history=(Message("user", "5 + 6?"),))
    assert talk.say(None, history=(), obliged=True)
    assert talk.plan is not None
    assert talk.plan.skill == "greeting"
    assert "picture" in talk.say(None, history=(Message("user", "what is this", images=(b"png",)),))
    assert talk.say(None, history=(Message("assistant", "Hello."),), obliged=True)


def test_a_greeting_is_wanted_once() -> None:
    talk = Talk(instructions="You are Ada, a kind helper. Greet the user with 'Good day, I am Ada.'")
    (want,) = talk.brain.wants()
    assert (want.token, want.due) == ("greeting", START)
    plan = talk.brain.initiative(want.token, ask=Ask())
    assert plan.clauses.heard(None) == "Good day, I am Ada."
    talk.brain.commit(plan)
    assert talk.brain.wants() == []
    assert Talk(instructions="You are Ada.").brain.wants() == []


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ("Your name is Robin.", ("Robin", None, False)),
        ("You are Ada, a helpful assistant. Be brief.", ("Ada", None, True)),
        ("You are a helpful assistant named Max. Keep your answers short.", ("Max", None, True)),
        ("You are a helpful assistant.", ("Pocket", None, False)),
        ("You are ChatGPT.", ("Pocket", None, False)),
        ('Start by saying "Welcome aboard!"', ("Pocket", "Welcome aboard!", False)),
        (
            "Call yourself Nova. Start by saying: How can I help you today?",
            ("Nova", "How can I help you today?", False),
        ),
        ("Greet the user.", ("Pocket", "", False)),
        ("Please answer in English and greet the caller by name.", ("Pocket", "", False)),
        ("Greet with 'I'm glad you're here' and be kind.", ("Pocket", "I'm glad you're here", False)),
        ("", ("Pocket", None, False)),
    ],
)
def test_instructions_settle_name_greeting_and_brevity(
    instructions: str, expected: tuple[str, str | None, bool]
) -> None:
    read = persona.read(instructions)
    assert (read.name, read.greeting, read.brief) == expected


def test_instructions_of_one_reply_override_the_session() -> None:
    talk = Talk(instructions="Your name is Robin.")
    plan = talk.brain.plan(
        Utterance("what is your name"), ask=Ask(instructions="Your name is Ada."), since_exchange=1.0
    )
    assert "Ada" in plan.clauses.heard(None)


def test_idle_it_says_something_that_helps_on() -> None:
    talk = Talk(seed=2)
    plan = talk.brain.idle(ask=Ask())
    assert plan.clauses.heard(None)
    assert not plan.silent


WORDS = st.sampled_from(
    [text for text, _, _ in phrasings.known(5, 2)] + ["ten minutes", "yes", "at five", "gibberish it is"]
)


@given(
    st.lists(st.tuples(WORDS, st.booleans(), st.one_of(st.none(), st.integers(0, 300))), max_size=12), st.integers(0, 5)
)
def test_plans_change_nothing_and_are_repeatable(steps: list[tuple[str, bool, int | None]], seed: int) -> None:
    """Whatever was planned and dropped in between, the same committed turns give the same conversation."""
    eager, plain = Talk(seed), Talk(seed)
    for text, dropped, heard in steps:
        wants = eager.brain.wants()
        for partial in (text.rsplit(" ", 1)[0], text, text):
            eager.brain.judge(partial)
            eager.brain.plan(Utterance(partial), ask=Ask(), since_exchange=1.0)
        assert eager.brain.wants() == wants
        if dropped:
            continue
        assert eager.say(text) == plain.say(text)
        if heard is not None:
            eager.cut_short(heard)
            plain.cut_short(heard)
        assert eager.brain.wants() == plain.brain.wants()


@given(st.lists(st.text(alphabet="abc ,.", min_size=1, max_size=30), min_size=1, max_size=8), st.integers(0, 200))
def test_what_is_left_follows_what_was_heard(parts: list[str], chars: int) -> None:
    clauses = Clauses(lambda: iter([part.strip() or "x" for part in parts]))
    whole, rest = clauses.heard(None), clauses.after(chars).heard(None)
    assert whole.endswith(rest)
    assert clauses.heard(chars) == whole[:chars]
    assert len(rest) >= len(whole) - chars - 1 or chars >= len(whole)


@given(st.text(alphabet="ab,. andbut;:", max_size=400))
def test_cutting_loses_no_words(text: str) -> None:
    assert " ".join(cut(text)).split() == text.split()


def test_out_of_the_blue_where_the_voice_comes_from_matters() -> None:
    near, afar = 25.0, 10.0
    assert Talk().say("tell me a joke", since=None, confidence=0.05, clarity=near)
    assert Talk().say("tell me a joke", since=None, confidence=0.05) == ""
    assert Talk().say("tell me a joke", since=None, confidence=0.8, clarity=afar) == ""
    assert Talk().say("tell me a joke", since=None, confidence=0.95, clarity=afar)
    assert Talk().say("pocket tell me a joke", since=None, confidence=0.5, clarity=afar), "it is called by its name"
    assert Talk().say("tell me joke now then", since=None, confidence=0.05, clarity=near) == "", "it only fits"


def test_a_request_from_near_by_whose_end_was_misheard_is_asked_about() -> None:
    words, near, afar = "what day is april sixty is", 25.0, 10.0
    talk = Talk()
    assert "again" in talk.say(words, since=None, confidence=0.8, clarity=near)
    assert "Thursday" in talk.say("what day is april sixteenth", since=3.0, confidence=0.01, clarity=near)
    assert Talk().say(words, since=None, confidence=0.8, clarity=afar) == ""
    assert Talk().say(words, since=None, confidence=0.8) == ""
    assert Talk().say(words, since=None, confidence=0.01, clarity=near) == ""
    assert Talk(strictness="strict").say(words, since=None, confidence=0.8, clarity=near) == ""
    assert Talk().say("i do not know him", since=None, confidence=0.55, clarity=near) == "", "too little of it is known"
    assert Talk().say("what day is april", since=None, confidence=0.3, clarity=near) == "", "it may go on"

"""Facts that the person tells, kept for as long as the conversation lasts."""

from __future__ import annotations

from dataclasses import replace

from duologue.backends.pocket.brain.scene import Effect, Pending, Reply, Scene, Slots, State, know, say
from duologue.backends.pocket.brain.skills.person import turned
from duologue.backends.pocket.brain.skills.skill import Skill
from duologue.backends.pocket.brain.slots import THINGS
from duologue.backends.pocket.brain.words import core, stem, word_set

_HABITS = {"home": ("you live in", "Where you live"), "likes": ("you like", "What you like")}


def _spoken(thing: str, value: str) -> str:
    """ "your dog is called Rex", as the second half of a sentence."""
    if thing == "name":
        return f"your name is {value.title()}"
    if thing in _HABITS:
        return f"{_HABITS[thing][0]} {turned(value)}"
    if thing in THINGS:
        return f"your {thing}'s name is {value.title()}"
    if thing.startswith("note "):
        return turned(value)
    return f"your {thing} is {turned(value)}"


def remember(scene: Scene, slots: Slots) -> Reply:
    thing, value = str(slots.get("thing", "")), str(slots.get("value", ""))
    if thing == "note":
        thing = f"note {1 + sum(known.startswith('note ') for known in scene.state.facts)}"
    if not value:
        return say("What should I remember?", pending=Pending("remember", {"thing": "note"}, (("value", "fact"),)))
    effect = know(thing, value)
    if thing == "name":
        you = value.title()
        return say(scene.one_of(f"Nice to meet you, {you}!", f"Hello {you}! I'll remember that."), effect)
    told = _spoken(thing, value)
    again = told[0].upper() + told[1:]
    return say(scene.one_of(f"I'll remember that {told}.", f"Okay: {told}.", f"Good to know. {again}."), effect)


def recall(scene: Scene, slots: Slots) -> Reply:
    thing = str(slots.get("thing", ""))
    if thing in scene.state.facts:
        told = _spoken(thing, scene.state.facts[thing])
        return say(f"{told[0].upper()}{told[1:]}.")
    what = _HABITS[thing][1] if thing in _HABITS else f"Your {thing}'s name" if thing in THINGS else f"Your {thing}"
    wanted = {"name": "name", "home": "place", "likes": "likes"}.get(thing, "name" if thing in THINGS else "phrase")
    pending = Pending("remember", {"thing": thing}, (("value", wanted),))
    return say(f"{what}? You have not told me yet.", pending=pending)


def recall_all(scene: Scene, slots: Slots) -> Reply:
    facts = scene.state.facts
    if not facts:
        return say("You have not told me anything about yourself yet.")
    told = [_spoken(thing, value) for thing, value in facts.items()]
    return say(f"I know that {', '.join(told[:-1])}{' and ' if told[1:] else ''}{told[-1]}.")


def note_about(scene: Scene, text: str) -> Reply | None:
    """An answer to a question that no skill knows, from the notes: "where are the keys"."""
    asked = {stem(word) for word in core(text)} - _COMMON
    best = max(
        (value for thing, value in scene.state.facts.items() if thing.startswith("note ")),
        key=lambda value: len(asked & {stem(word) for word in core(value)}),
        default="",
    )
    if not asked & ({stem(word) for word in core(best)} - _COMMON):
        return None
    return say(f"You told me that {turned(best)}.")


_COMMON = word_set(
    "the a an is are was were in on at of to for from and or my your i you me we it that this where what who when which"
    " how did do does have has had be been with by can tell about there"
)


def forget(scene: Scene, slots: Slots) -> Reply:
    thing = str(slots.get("thing", "everything"))
    if thing == "everything":
        return say("Okay, I have forgotten everything you told me.", lambda state: replace(state, facts={}))
    if thing not in scene.state.facts:
        return say("I did not know that anyway.")
    return say(f"Okay, I have forgotten {'that' if thing in _HABITS else f'your {thing}'}.", _without(thing))


def _without(thing: str) -> Effect:
    def effect(state: State) -> State:
        return replace(state, facts={key: value for key, value in state.facts.items() if key != thing})

    return effect


SKILLS = (
    Skill("remember", """
        my name is {value:name} @thing=name
        remember that my name is {value:name} @thing=name
        remember my name is {value:name} @thing=name
        remember my name it is {value:name} @thing=name
        call me {value:name} @thing=name
        you can call me {value:name} @thing=name
        i am called {value:name} @thing=name
        people call me {value:name} @thing=name
        the name is {value:name} @thing=name
        everybody calls me {value:name} @thing=name
        keep in your mind that {value:fact} @thing=note
        i want you to know that {value:fact} @thing=note
        save this {value:fact} @thing=note
        write down that {value:fact} @thing=note
        remember that my {thing:relation} is called {value:name}
        remember that my {thing:relation} is named {value:name}
        remember that my {thing:relation}'s name is {value:name}
        remember that the name of my {thing:relation} is {value:name}
        remember that my {thing:favourite} is {value:colour}
        remember that i live in {value:place} @thing=home
        remember that i like {value:likes} @thing=likes
        remember that i love {value:likes} @thing=likes
        remember that {value:fact} @thing=note
        remember this {value:fact} @thing=note
        make a note that {value:fact} @thing=note
        keep in mind that {value:fact} @thing=note
        note that {value:fact} @thing=note
        remember something @thing=note
    """, remember, "request", weight=2.5),
    Skill("own_fact", """
        my {thing:relation} is called {value:name}
        my {thing:relation} is named {value:name}
        my {thing:relation}'s name is {value:name}
        i have a {thing:relation} called {value:name}
        i have a {thing:relation} named {value:name}
        my {thing:relation} has the name {value:name}
        {value:name} is my {thing:relation}
        {value:name} is the name of my {thing:relation}
        {value:colour} is my favourite colour @thing=favourite colour
        we live in {value:place} @thing=home
        the name of my {thing:relation} is {value:name}
        my favourite colour is {value:colour} @thing=favourite colour
        my favourite food is {value:food} @thing=favourite food
        my {thing:favourite} is {value:colour}
        the {thing:favourite} i like most is {value:colour}
        i live in {value:place} @thing=home
        my home is in {value:place} @thing=home
        i come from {value:place} @thing=home
        i like {value:likes} @thing=likes
        i love {value:likes} @thing=likes
        i really like {value:likes} @thing=likes
    """, remember, "statement", chat=True, weight=2.0),
    Skill("recall", """
        what is my name @thing=name
        do you know my name @thing=name
        do you remember my name @thing=name
        who am i @thing=name
        tell me my name @thing=name
        say my name @thing=name
        what is my {thing:favourite}
        do you remember my {thing:favourite}
        what did i say my {thing:favourite} was
        which is my {thing:favourite}
        what is my {thing:relation} called
        what is my {thing:relation}'s name
        what is the name of my {thing:relation}
        do you remember the name of my {thing:relation}
        do you remember what my {thing:relation} is called
        who is my {thing:relation}
        do you remember my {thing:relation}'s name
        where do i live @thing=home
        do you know where i live @thing=home
        what do i like @thing=likes
        do you know what i like @thing=likes
        how is my {thing:relation} called
        what is the name of my {thing:relation} again
        do you still know my name @thing=name
        do you still know my {thing:favourite}
        do you know what my {thing:favourite} is
        do you remember what my {thing:favourite} is
        tell me what my {thing:favourite} is
        do you know the name of my {thing:relation}
        tell me what my name is @thing=name
        what am i called @thing=name
        how am i called @thing=name
        which colour is my favourite @thing=favourite colour
        what did i say my name was @thing=name
        in which city do i live @thing=home
        in what city do i live @thing=home
        where is my home @thing=home
        what was my name again @thing=name
    """, recall, "question", weight=2.0),
    Skill("recall_all", """
        what do you know about me
        what do you remember about me
        what did i tell you
        what do you remember
        what have i told you
        what did i tell you about me
        tell me what you know about me
        do you remember anything about me
        do you know anything about me
        do you remember me
        do you know me
        what did i ask you to remember
        tell me everything you know about me
        what do you have in your memory
        what do you know of me
        what did i tell you to remember
        what can you remember about me
        is there anything you know about me
        tell me what you remember
        tell me what i told you
        say what you know about me
        which things did i tell you
        what things do you know about me
        what have you learned about me
        tell me all you know about me
        what do you know about my life
        list what you know about me
    """, recall_all, "question"),
    Skill("forget", """
        forget everything @thing=everything
        forget all about me @thing=everything
        forget everything about me @thing=everything
        forget what i told you @thing=everything
        forget what i said @thing=everything
        forget my name @thing=name
        forget my {thing:favourite}
        forget where i live @thing=home
        forget what i like @thing=likes
        forget about my {thing:relation}
        forget my {thing:relation}'s name
        clear your memory @thing=everything
        erase your memory @thing=everything
        erase everything @thing=everything
        do not remember my name @thing=name
        forget all [that] i said @thing=everything
        forget all [that] i told you @thing=everything
        forget all that you know @thing=everything
        forget it all @thing=everything
        delete everything you know about me @thing=everything
        delete (all|what) i told you @thing=everything
        you should forget everything @thing=everything
        lose everything i told you @thing=everything
        delete my name @thing=name
        erase all you know @thing=everything
        erase what you know about me @thing=everything
    """, forget),
)  # fmt: skip

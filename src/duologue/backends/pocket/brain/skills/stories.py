"""Stories and jokes, from two plain text files beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from duologue.backends.pocket.brain.scene import Reply, Scene, Slots, say, told, unheard
from duologue.backends.pocket.brain.skills.skill import Skill


@dataclass(frozen=True, slots=True)
class Story:
    topic: str
    title: str
    text: str


@cache
def stories() -> tuple[Story, ...]:
    """All stories. In the file each begins with a line ``# topic: title``."""
    found = []
    for block in _read("stories.txt").split("\n# ")[1:]:
        heading, _, text = block.partition("\n")
        topic, _, title = heading.partition(": ")
        found.append(Story(topic, title.strip(), " ".join(text.split())))
    return tuple(found)


@cache
def jokes() -> tuple[str, ...]:
    """All jokes, one a line."""
    return tuple(line for line in _read("jokes.txt").splitlines() if line and not line.startswith("#"))


def _read(name: str) -> str:
    return "\n" + files(__package__).joinpath(name).read_text(encoding="utf-8")


def tell_story(scene: Scene, slots: Slots) -> Reply:
    titles = tuple(story.title for story in stories() if slots.get("topic") in (None, story.topic))
    title = unheard(scene, titles)
    story = next(each for each in stories() if each.title == title)
    return say(f"{story.title}. {story.text}", told(title), resumable=True)


def tell_joke(scene: Scene, slots: Slots) -> Reply:
    joke = unheard(scene, jokes())
    return say(joke, told(joke))


SKILLS = (
    Skill("story", """
        tell me a story
        tell a story
        read me a story
        i want to hear a story
        i would like to hear a story
        tell me another story
        tell me a story about {topic}
        tell a story about {topic}
        a story please
        tell me a bedtime story
        do you know a story
        do you know any stories
        tell me something nice
        tell us a story
        tell me the story of {topic}
        i want a story about {topic}
        give me a story
        tell me a long story
        tell me a short story
        do you know a story about {topic}
        i would like a story
        i would like a story about {topic}
        tell me a nice story
        tell us a story about {topic}
        read a story to me
        tell me some story
        tell me one of your stories
        let me hear a story
        a story about {topic} please
        another story please
        do you have a story for me
        tell me a new story
        i am ready for a story
        let us have a story
        i want the story about {topic}
        can i hear a story
        can i hear the story about {topic}
        story please
        start a story
        begin a story
    """, tell_story, weight=1.8),
    Skill("joke", """
        tell me a joke
        tell a joke
        tell me another joke
        do you know a joke
        do you know any jokes
        make me laugh
        say something funny
        another joke please
        tell me something funny
        i want to hear a joke
        give me a joke
        tell us a joke
        one more joke
        do you have a joke for me
        be funny
        tell me a good joke
        do you have any jokes
        do you have any good jokes
        let me hear a joke
        tell me one of your jokes
        a joke please
        tell me something to laugh about
        say something to make me laugh
        i need a joke
        i need a good laugh
        tell me a new joke
        let us hear a joke
        make me laugh with a joke
        one joke please
        can i hear a joke
        joke please
        i am ready for a joke
        tell me the best joke you know
    """, tell_joke, weight=1.5),
)  # fmt: skip

"""Questions about a picture that the person has shown: its colours and simple shapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from duologue.backends.pocket.brain.numbers import cardinal
from duologue.backends.pocket.brain.pictures import Sight, Thing
from duologue.backends.pocket.brain.scene import Reply, Scene, Slots, say
from duologue.backends.pocket.brain.skills.skill import Skill

_MOST_KINDS = 6
"""Kinds of things that are told one by one."""

_NO_PICTURE = "I have no picture yet. Show me one, and I will tell you its colours and shapes."
_UNREADABLE = "I could not see your picture: the file is broken, or too large. Please try another."


def describe(scene: Scene, slots: Slots) -> Reply:
    """All that is to be seen; also the answer to a picture that comes without a word."""
    sight = scene.sight
    if sight is None:
        return _blind(scene)
    return say(f"I see {in_words(sight)}.")


def in_words(sight: Sight) -> str:
    """All that is to be seen, as in "I see …"."""
    if sight.things:
        return f"{_listed(_kinds(sight.things))} on {_a(f'{sight.ground} background')}"
    if sight.ground is not None and len(sight.shares) <= 1:
        return f"nothing but {sight.ground}"
    return f"{_colours(sight)}, but no simple shapes"


def colour(scene: Scene, slots: Slots) -> Reply:
    sight = scene.sight
    if sight is None:
        return _blind(scene)
    if slots.get("part") == "background":
        return say(f"The background is {sight.ground}." if sight.ground else "There is no plain background.")
    shape = slots.get("shape")
    things = _those(sight, shape=shape)
    if not things:
        if shape is not None:
            return say(f"I see no {shape} in it.")
        return say(f"I see {_colours(sight)}.")
    if len(things) == 1:
        return say(f"{_the(things[0]) if shape else 'It'} is {things[0].colour}.")
    names = list(dict.fromkeys(thing.colour for thing in things))
    if slots.get("part") == "all":
        return say(f"I see {_listed(names)} on {sight.ground}.")
    subject = f"The {cardinal(len(things))} {shape or 'thing'}s"
    return say(f"{subject} are {'all ' if len(names) == 1 else ''}{_listed(names)}.")


def shapes(scene: Scene, slots: Slots) -> Reply:
    sight = scene.sight
    if sight is None:
        return _blind(scene)
    shade = slots.get("shade")
    things = _those(sight, shade=shade)
    if not things:
        return say(f"I see nothing {shade} there." if shade is not None else "I see no simple shapes in it.")
    if len(things) == 1:
        shape = things[0].shape
        return say(f"It is {_a(shape)}." if shape else "It is no shape that I have a name for.")
    return say(f"I see {_listed(_kinds(things))}.")


def count(scene: Scene, slots: Slots) -> Reply:
    sight = scene.sight
    if sight is None:
        return _blind(scene)
    shade, shape = slots.get("shade"), slots.get("shape")
    number = len(_those(sight, shade=shade, shape=shape))
    noun = " ".join(str(word) for word in (shade, shape or "thing") if word)
    return say(f"I see {f'one {noun}' if number == 1 else _several(number, noun)}.")


def is_there(scene: Scene, slots: Slots) -> Reply:
    sight = scene.sight
    if sight is None:
        return _blind(scene)
    shade, shape = slots.get("shade"), slots.get("shape")
    things = _those(sight, shade=shade, shape=shape)
    if things:
        return say(f"Yes, I see {_listed(_kinds(things))}.")
    if shape is None:
        return say(f"Yes, there is some {shade}." if shade in sight.shares else f"No, I see nothing {shade}.")
    others = _those(sight, shape=shape)
    if others:
        return say(f"No, I only see {_listed(_kinds(others))}.")
    return say(f"No, I see no {shape}." if shade is None else f"No, I see no {shade} {shape}.")


def _blind(scene: Scene) -> Reply:
    return say(_UNREADABLE if scene.shown else _NO_PICTURE)


def _those(sight: Sight, *, shade: object = None, shape: object = None) -> list[Thing]:
    return [thing for thing in sight.things if shade in (None, thing.colour) and shape in (None, thing.shape)]


def _kinds(things: Iterable[Thing]) -> list[str]:
    """ "a red circle", "two blue squares": each kind once, those with the largest of them first."""
    kinds: dict[str, int] = {}
    for thing in things:
        noun = f"{thing.colour} {thing.shape or 'thing'}"
        kinds[noun] = kinds.get(noun, 0) + 1
    told = [_a(noun) if number == 1 else _several(number, noun) for noun, number in kinds.items()]
    return told if len(told) <= _MOST_KINDS else [*told[:_MOST_KINDS], "more"]


def _colours(sight: Sight) -> str:
    names = list(sight.shares)[:3]
    return f"mostly {_listed(names)}" if len(sight.shares) > 1 else _listed(names or ["many colours"])


def _several(number: int, noun: str) -> str:
    return f"{cardinal(number) if number else 'no'} {noun}s"


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _the(thing: Thing) -> str:
    return f"The {thing.shape}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


SKILLS = (
    Skill("picture", """
        what do you see
        what do you see (in|on) (the|this|my) (picture|image|photo)
        what can you see [(in|on) (the|this|my) (picture|image|photo)]
        describe (the|this|my) (picture|image|photo)
        describe what you see
        what is (in|on) (the|this|my) (picture|image|photo)
        what is this a (picture|photo) of
        what does (the|this|my) (picture|image|photo) show
        look at (the|this|my) (picture|image|photo)
        can you see (the|this|my) (picture|image|photo)
        what am i showing you
        what is to be seen (in|on) (the|this|my) (picture|image|photo)
        tell me what you see [(in|on) (the|this|my) (picture|image|photo)]
    """, describe, "question"),
    Skill("picture_colour", """
        what colour is (it|this|that)
        what colour is the {shape}
        what colour does the {shape} have
        what is the colour of the {shape}
        what colour are the {shape:shapes}
        what colour is the background @part=background
        what is the colour of the background @part=background
        (what|which) colours (do|can) you see @part=all
        what colours are (there|in the picture|in the image|in it) @part=all
        tell me the colour of the {shape}
        tell me what colour (it|this|that) is
        in what colour is the {shape}
        which colour is the {shape}
        which colour is (it|this|that)
        name the colours [in (the|this|my) (picture|image|photo)] @part=all
    """, colour, "question"),
    Skill("picture_shapes", """
        (what|which) shapes (do|can) you see
        what shapes are (there|in the picture|in the image|in it)
        (what|which) shape is (it|this|that)
        what kind of shape is (it|this|that)
        (what|which) shape is the {shade} (one|thing)
        (what|which) shape is {shade}
        what is the {shade} (one|thing)
        what shape does (it|this|that) have
        what shape do you see
        tell me what shape (it|this|that) is
        tell me the shape of the {shade} (one|thing)
        name the shapes [in (the|this|my) (picture|image|photo)]
        what shape is in (the|this|my) (picture|image|photo)
    """, shapes, "question"),
    Skill("picture_count", """
        how many {shape:shapes} (do|can) you see
        how many {shape:shapes} are (there|in the picture|in the image|in it)
        how many {shade} {shape:shapes} (do|can) you see
        how many {shade} {shape:shapes} are (there|in the picture|in the image|in it)
        how many {shade} (things|shapes|ones) (do|can) you see
        how many {shade} (things|shapes|ones) are (there|in the picture|in the image|in it)
        how many (things|shapes|objects) (do|can) you see
        how many (things|shapes|objects) are (there|in the picture|in the image|in it)
        count the {shape:shapes}
        count the {shade} {shape:shapes}
        how many {shape:shapes}
        how many {shade} {shape:shapes}
    """, count, "question", needs=("shape", "shade")),
    Skill("picture_is_there", """
        is there a {shape} [in (the picture|the image|it)]
        is there a {shade} {shape} [in (the picture|the image|it)]
        (do|can) you see a {shape}
        (do|can) you see a {shade} {shape}
        are there any {shape:shapes} [in (the picture|the image|it)]
        are there any {shade} {shape:shapes} [in (the picture|the image|it)]
        is there (anything|something) {shade} [in (the picture|the image|it)]
        (do|can) you see (anything|something) {shade}
        is (it|this|that) a {shape}
        is (it|this|that) a {shade} {shape}
        is (it|this|that) {shade}
        is the {shape} {shade}
    """, is_there, "question"),
)  # fmt: skip

"""Dice, coins and random numbers. The draw is made when the reply is planned,
and is the same if it is planned again before anything else was said.
"""

from __future__ import annotations

from duologue.backends.pocket.brain.numbers import cardinal
from duologue.backends.pocket.brain.scene import Reply, Scene, Slots, say
from duologue.backends.pocket.brain.skills.skill import Skill


def dice(scene: Scene, slots: Slots) -> Reply:
    sides, many = max(2, min(1_000_000, int(slots.get("sides", 6)))), max(1, min(20, int(slots.get("many", 1))))
    rolls = [scene.random.randint(1, sides) for _ in range(many)]
    if many == 1:
        return say(scene.one_of(f"You rolled a {cardinal(rolls[0])}.", f"It's a {cardinal(rolls[0])}."))
    listed = ", ".join(cardinal(roll) for roll in rolls[:-1]) + " and " + cardinal(rolls[-1])
    return say(f"You rolled {listed}. That makes {cardinal(sum(rolls))}.")


def coin(scene: Scene, slots: Slots) -> Reply:
    side = scene.one_of("heads", "tails")
    return say(scene.one_of(f"It's {side}.", f"The coin says {side}."))


def random_number(scene: Scene, slots: Slots) -> Reply:
    low, high = int(slots.get("low", 1)), int(slots.get("high", 100))
    low, high = min(low, high), max(low, high)
    return say(f"{scene.one_of('How about', 'I pick')} {cardinal(scene.random.randint(low, high))}.")


def _sensible(slots: Slots) -> bool:
    return int(slots.get("low", 1)) < int(slots.get("high", 101))


SKILLS = (
    Skill("dice", """
        roll a dice
        roll the dice
        throw a dice
        throw the dice
        roll {many:small} dice
        throw {many:small} dice
        roll a {sides} sided dice
        roll a dice with {sides} sides
        roll a dice for me
        roll {many:small} {sides} sided dice
        throw a dice with {sides} sides
        let the dice roll
        give me a dice roll
        play dice
        let us roll the dice
        roll {many:small} dice for me
        give me a roll of the dice
        roll again
        roll the dice again
        cast the dice
        one dice please
        roll another dice
        roll some dice
        roll a dice that has {sides} sides
        i want to roll {many:small} dice
        dice please
        play with dice
    """, dice),
    Skill("coin", """
        flip a coin
        toss a coin
        throw a coin
        heads or tails
        flip the coin
        toss the coin
        do a coin flip
        do a coin toss
        let us flip a coin
        flip a coin for me
        give me heads or tails
        flip another coin
        decide with a coin
        coin toss please
        coin flip please
        throw the coin
        flip it again
        toss another coin
        heads or tails please
        give the coin a flip
        will it be heads or tails
        heads or tails what is it
        let the coin decide
        flip one coin
    """, coin),
    Skill("random_number", """
        give me a random number
        pick a random number
        pick a number
        choose a random number
        say a random number
        pick a number between {low:whole} and {high:whole}
        give me a number between {low:whole} and {high:whole}
        choose a number between {low:whole} and {high:whole}
        give me a random number between {low:whole} and {high:whole}
        tell me a number from {low:whole} to {high:whole}
        a random number from {low:whole} to {high:whole}
        pick a number from {low:whole} to {high:whole}
        think of a number
        think of a number between {low:whole} and {high:whole}
        tell me a random number
        choose a number
        tell me a number between {low:whole} and {high:whole}
        i need a number between {low:whole} and {high:whole}
        i need a random number
        any number between {low:whole} and {high:whole}
        what about a random number
        some number between {low:whole} and {high:whole}
        a number between {low:whole} and {high:whole} please
        any random number
        choose a number from {low:whole} to {high:whole}
    """, random_number, weight=1.3, sensible=_sensible),
)  # fmt: skip

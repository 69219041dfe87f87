"""Durations and times of day: read from words, and said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

from duologue.backends.pocket.brain import numbers
from duologue.backends.pocket.brain.numbers import cardinal, count_of, ordinal, say
from duologue.backends.pocket.brain.words import stem

SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip

# -- durations ----------------------------------------------------------------------------------------


def read_duration(words: Sequence[str], at: int) -> Iterator[tuple[int, int, float]]:
    """Durations in whole seconds at ``at``: (end, seconds, trust), the longest first."""
    yield from sorted(_durations(words, at, None), key=lambda part: -part[0])


def _durations(words: Sequence[str], at: int, above: int | None) -> Iterator[tuple[int, int, float]]:
    """Amounts of ever smaller units, all below ``above`` seconds: "an hour, two minutes and ten seconds"."""
    for end, seconds, trust, unit in _spans(words, at):
        if above is not None and unit >= above:
            continue
        yield end, seconds, trust
        joined = end + 1 if words[end : end + 1] and words[end] == "and" else end
        for more_end, more, surely in _durations(words, joined, unit):
            yield more_end, seconds + more, min(trust, surely)
        if joined == end and unit in (60, 3600):  # "one minute thirty"
            for more_end, value, surely in numbers.read(words, end):
                if isinstance(value, int) and 0 < value < 60 and surely > 0.5:
                    yield more_end, seconds + value * unit // 60, min(trust, 0.8)


def _spans(words: Sequence[str], at: int) -> Iterator[tuple[int, int, float, int]]:
    """One number with one unit of time: (end, seconds, trust, seconds of the unit)."""
    rest = [stem(word) for word in words[at : at + 6]]
    if not rest:
        return
    for pattern, share in _FRACTIONS:
        if tuple(rest[: len(pattern)]) == pattern and len(rest) > len(pattern) and rest[len(pattern)] in SECONDS:
            unit = SECONDS[rest[len(pattern)]]
            yield at + len(pattern) + 1, round(unit * share), 1.0, unit
    amounts: list[tuple[int, numbers.Number, float]] = list(numbers.read(words, at))
    if rest[0] in ("a", "an", "one"):
        amounts.append((at + 1, 1, 1.0))
    if rest[:2] == ["a", "couple"]:
        amounts.append((at + 2 + (rest[2:3] == ["of"]), 2, 1.0))
    for end, value, trust in amounts:
        following = [stem(word) for word in words[end : end + 4]]
        half = 0.0
        if following[:3] == ["and", "a", "half"]:
            end, half, following = end + 3, 0.5, [stem(word) for word in words[end + 3 : end + 7]]
        if following[:1] and following[0] in SECONDS and value >= 0:
            unit = SECONDS[following[0]]
            if following[1:4] == ["and", "a", "half"] and not half:
                yield end + 4, round(unit * (value + 0.5)), trust, unit
                yield end + 1, round(unit * value), trust * 0.9, unit
            else:
                yield end + 1, round(unit * (value + half)), trust, unit


_FRACTIONS: Final = (
    (("half", "an"), 0.5), (("half", "a"), 0.5), (("half",), 0.5), (("a", "half"), 0.5),
    (("quarter", "of", "an"), 0.25), (("a", "quarter", "of", "an"), 0.25), (("a", "quarter"), 0.25),
    (("three", "quarter", "of", "an"), 0.75),
)  # fmt: skip


def say_duration(seconds: float) -> str:
    """ "an hour and thirty minutes" is "one hour and thirty minutes" here: units that count, largest first."""
    left = max(0, round(seconds))
    parts = []
    for name, size in reversed(SECONDS.items()):
        amount, left = divmod(left, size)
        if amount:
            parts.append(count_of(amount, name))
    if not parts:
        return "no time at all"
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def sample_duration(random: Random) -> tuple[str, int]:
    kind = random.random()
    if kind < 0.55:
        amount = random.choice((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 18, 20, 25, 30, 40, 45, 50, 60, 90))
        return count_of(amount, "minute"), amount * 60
    if kind < 0.75:
        amount = random.choice((5, 10, 15, 20, 30, 40, 45, 60, 90, 3, 2))
        return count_of(amount, "second"), amount
    if kind < 0.86:
        amount = random.randint(1, 12)
        return count_of(amount, "hour"), amount * 3600
    return random.choice(
        (
            ("half an hour", 1800), ("an hour", 3600), ("a minute", 60), ("one hour and thirty minutes", 5400),
            ("an hour and a half", 5400), ("a quarter of an hour", 900), ("two and a half minutes", 150),
            ("one minute and thirty seconds", 90), ("two hours and fifteen minutes", 8100), ("half a minute", 30),
            ("a couple of minutes", 120), ("an hour and ten minutes", 4200),
        )
    )  # fmt: skip


# -- times of day ---------------------------------------------------------------------------------------

_PARTS: Final = {"morning": "am", "afternoon": "pm", "evening": "pm", "night": "pm", "tonight": "pm"}


def read_clock(words: Sequence[str], at: int) -> Iterator[tuple[int, str, float]]:
    """Times of day at ``at``: (end, "7:30 am tomorrow", trust), the longest first.

    The value is ``H:MM``, then ``am`` or ``pm`` if it was said, then ``tomorrow`` if it was said.
    """
    found: list[tuple[int, str, float]] = []
    start, day, half = _day_part(words, at)
    for end, hour, minute, trust in _hands(words, start):
        after, later_day, later_half = _day_part(words, end)
        value = f"{hour}:{minute:02d}"
        suffix = half or later_half
        tomorrow = " tomorrow" if day or later_day else ""
        if suffix and 0 < hour <= 12:
            value += f" {suffix}"
        found.append((after, value + tomorrow, trust))
    yield from sorted(found, key=lambda clock: -clock[0])


def _day_part(words: Sequence[str], at: int) -> tuple[int, bool, str]:
    """ "tomorrow morning at", "in the evening", "p m": (end, tomorrow?, half of the day)."""
    tomorrow, half = False, ""
    while at < len(words):
        word, following = words[at], tuple(words[at : at + 3])
        if word == "tomorrow":
            tomorrow, at = True, at + 1
        elif word == "today":
            at += 1
        elif word in ("am", "pm"):
            half, at = word, at + 1
        elif following[:2] in (("a", "m"), ("p", "m")):
            half, at = following[0] + "m", at + 2
        elif following[:2] in (("in", "the"), ("this",), ("at", "night")) or word == "this":
            size = 1 if word in ("this", "at") else 2
            part = words[at + size] if at + size < len(words) else ""
            if part not in _PARTS:
                break
            half, at = _PARTS[part], at + size + 1
        elif word in _PARTS and (tomorrow or word == "tonight"):
            half, at = _PARTS[word], at + 1
        elif word == "at" and (tomorrow or half):
            at += 1
        else:
            break
    return at, tomorrow, half


def _hands(words: Sequence[str], at: int) -> Iterator[tuple[int, int, int, float]]:
    """(end, hour 0–23, minute, trust)."""
    if at >= len(words):
        return
    if words[at] in ("noon", "midday"):
        yield at + 1, 12, 0, 1.0
    if words[at] == "midnight":
        yield at + 1, 0, 0, 1.0
    if match := re.fullmatch(r"(\d{1,2}):(\d{2})", words[at]):
        hour, minute = int(match[1]), int(match[2])
        if hour < 24 and minute < 60:
            yield at + 1, hour, minute, 1.0
        return
    shift = at + 1 if words[at] == "a" else at
    if words[shift : shift + 1] and words[shift] in ("half", "quarter"):
        minutes = 30 if words[shift] == "half" else 15
        spans: list[tuple[int, int, float]] = [(shift + 1, minutes, 1.0)]
    else:
        spans = [(end, number, trust) for end, number, trust in numbers.read(words, at) if isinstance(number, int)]
    for end, minutes, trust in spans:
        after = end + 1 if [stem(w) for w in words[end : end + 1]] == ["minute"] else end
        if words[after : after + 1] and words[after] in ("past", "after", "to", "before") and 0 < minutes < 60:
            before = words[after] in ("to", "before")
            for hour_end, named, surely in numbers.read(words, after + 1):
                if isinstance(named, int) and 0 < named <= 12:
                    past = 60 - minutes if before else minutes
                    yield _oclock(words, hour_end), (named - 2) % 12 + 1 if before else named, past, min(trust, surely)
        if words[shift] in ("half", "quarter") or not 0 <= minutes < 24:
            continue
        for minute_end, minute, minute_trust in _minutes(words, end):
            yield minute_end, minutes, minute, min(trust, minute_trust)
        yield _oclock(words, end), minutes, 0, trust


def _minutes(words: Sequence[str], at: int) -> Iterator[tuple[int, int, float]]:
    if words[at : at + 1] and words[at] in ("oh", "zero"):
        for end, value, trust in numbers.read(words, at + 1):
            if isinstance(value, int) and 0 < value < 10:
                yield end, value, trust
        return
    for end, value, trust in numbers.read(words, at):
        if isinstance(value, int) and 10 <= value < 60 and trust > 0.5:
            yield end, value, trust


def _oclock(words: Sequence[str], at: int) -> int:
    return at + 1 if words[at : at + 1] and words[at] == "oclock" else at


def sample_clock(random: Random) -> tuple[str, str]:
    hour = random.randint(1, 12)
    kind = random.random()
    if kind < 0.2:
        words, value = cardinal(hour), f"{hour}:00"
    elif kind < 0.4:
        words, value = f"{cardinal(hour)} o'clock", f"{hour}:00"
    elif kind < 0.55:
        words, value = f"half past {cardinal(hour)}", f"{hour}:30"
    elif kind < 0.65:
        words, value = f"quarter past {cardinal(hour)}", f"{hour}:15"
    elif kind < 0.75:
        words, value = f"quarter to {cardinal(hour % 12 + 1)}", f"{hour}:45"
    elif kind < 0.95:
        minute = random.choice((10, 15, 20, 25, 30, 40, 45, 50, 55))
        words, value = f"{cardinal(hour)} {cardinal(minute)}", f"{hour}:{minute:02d}"
    else:
        return random.choice((("noon", "12:00"), ("midnight", "0:00")))
    part = random.random()
    if part < 0.15:
        return f"{words} in the morning", f"{value} am"
    if part < 0.25:
        return f"{words} in the evening", f"{value} pm"
    if part < 0.4:
        return random.choice(((f"{words} a m", f"{value} am"), (f"{words} p m", f"{value} pm")))
    if part < 0.45:
        return f"tomorrow at {words}", f"{value} tomorrow"
    return words, value


def next_at(clock: str, now: datetime) -> datetime:
    """The next moment after ``now`` that ``clock`` (a value of :func:`read_clock`) names."""
    hands, *words = clock.split()
    hour, minute = (int(part) for part in hands.split(":"))
    if "am" in words or "pm" in words:
        hour = hour % 12 + (12 if "pm" in words else 0)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if "tomorrow" in words:
        day += timedelta(days=1)
        return day + timedelta(hours=hour, minutes=minute)
    hours = (hour,) if "am" in words or "pm" in words or not 0 < hour <= 12 else (hour % 12, hour % 12 + 12)
    return min(
        moment
        for offset in (0, 1)
        for each in hours
        if (moment := day + timedelta(days=offset, hours=each, minutes=minute)) > now
    )


def say_clock(moment: datetime) -> str:
    """ "ten past four in the afternoon": the way people say it, to the minute."""
    hour, minute = moment.hour, moment.minute
    if minute == 0 and hour in (0, 12):
        return "midnight" if hour == 0 else "noon"
    part = "in the morning" if hour < 12 else "in the afternoon" if hour < 18 else "in the evening"
    this, following = cardinal((hour - 1) % 12 + 1), cardinal(hour % 12 + 1)
    if minute == 0:
        return f"{this} o'clock {part}"
    if minute == 30:
        return f"half past {this} {part}"
    if minute in (15, 45):
        return f"quarter past {this} {part}" if minute == 15 else f"quarter to {following} {part}"
    if minute < 30:
        return f"{_minute(minute)} past {this} {part}"
    return f"{_minute(60 - minute)} to {following} {part}"


def _minute(value: int) -> str:
    return cardinal(value) if value % 5 == 0 else count_of(value, "minute")


def say_year(year: int) -> str:
    if 2000 <= year < 2010 or not 1100 <= year < 10000 or year % 1000 < 10:
        return say(year)
    rest = year % 100
    return f"{cardinal(year // 100)} {cardinal(rest) if rest > 9 else 'oh ' + cardinal(rest) if rest else 'hundred'}"


def say_date(day: date) -> str:
    """ "Tuesday, the third of May"."""
    return f"{WEEKDAYS[day.weekday()].capitalize()}, the {ordinal(day.day)} of {MONTHS[day.month - 1].capitalize()}"

"""What the words of a request give for the arguments of a function: numbers, dates, times, places, names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final

from duologue.backends.pocket.brain import numbers, times
from duologue.backends.pocket.brain.words import Words, plain, stem, word_set


class Heard:
    """The words of one request, asked for values by *hints*: the words of a property's name and description."""

    def __init__(self, words: Words, now: datetime) -> None:
        self.words = words
        self._now = now
        self._numbers = _numbers_in(words)

    def numbers(self, hints: Words) -> Iterator[numbers.Number]:
        """Numbers of the words, those beside the property's own name first; durations in the property's unit."""
        stems = {stem(word) for word in hints}
        unit = next((size for name, size in times.SECONDS.items() if name in stems), None)
        if unit:
            for at in range(len(self.words)):
                for _, seconds, _ in times.read_duration(self.words, at):
                    yield seconds / unit
                    break
        near = [value for start, end, value in self._numbers
                if any(stem(word) in stems for word in self.words[max(0, start - 1) : end + 1])]  # fmt: skip
        yield from near
        yield from (value for _, _, value in self._numbers if value not in near)

    def moments(self, form: str | None, hints: Words) -> Iterator[str]:
        """Texts for the formats of JSON Schema; dates and times are taken from the words."""
        day, clock = self._day(), self._clock()
        names = set(hints[:3])
        if form == "date" or (form is None and names & {"date", "day"} and (day or {"yyyy"} & set(hints))):
            yield (day or self._now.date()).isoformat()
        if form == "time" or (form is None and "time" in names and clock):
            yield (clock or self._now).strftime("%H:%M:%S+00:00" if form else "%H:%M")
        if form == "date-time":
            moment = clock or self._now
            yield f"{(day or moment.date()).isoformat()}T{moment.strftime('%H:%M:%S')}+00:00"
        fixed = {
            "email": "someone@example.com", "idn-email": "someone@example.com", "uri": "https://example.com/",
            "url": "https://example.com/", "iri": "https://example.com/", "uri-reference": "https://example.com/",
            "hostname": "example.com", "idn-hostname": "example.com", "ipv4": "127.0.0.1", "ipv6": "::1",
            "uuid": "00000000-0000-4000-8000-000000000000", "duration": "PT1M", "regex": ".*", "json-pointer": "/a",
            "relative-json-pointer": "0", "uri-template": "https://example.com/{id}", "iri-reference": "/a",
            "color": "#000000", "byte": "",
        }  # fmt: skip
        if form in fixed:
            if form == "duration":
                for at in range(len(self.words)):
                    for _, seconds, _ in times.read_duration(self.words, at):
                        yield f"PT{seconds}S"
                        break
            yield fixed[form]

    def _day(self) -> date | None:
        today = self._now.date()
        for at, word in enumerate(self.words):
            shift = {"today": 0, "tomorrow": 1, "yesterday": -1, "tonight": 0}.get(word)
            if shift is not None:
                return today + timedelta(days=shift)
            if word in times.WEEKDAYS:
                return today + timedelta(days=(times.WEEKDAYS.index(word) - today.weekday() - 1) % 7 + 1)
            if word in times.MONTHS:
                month = times.MONTHS.index(word) + 1
                number = numbers.read_ordinal(self.words, at + 1)
                before = next((found for back in (3, 2) if at >= back
                               and (found := numbers.read_ordinal(self.words, at - back))
                               and found[0] in (at, at - 1)), None)  # fmt: skip
                chosen = number or before
                if chosen:
                    for year in (today.year, today.year + 1):
                        try:
                            day = date(year, month, chosen[1])
                        except ValueError:
                            continue
                        if day >= today:
                            return day
        return None

    def _clock(self) -> datetime | None:
        for at, word in enumerate(self.words):
            if word in ("at", "by", "for", "until") or ":" in word:
                start = at if ":" in word else at + 1
                for _, clock, _ in times.read_clock(self.words, start):
                    return times.next_at(clock, self._now)
        return None

    def phrases(self, hints: Words) -> Iterator[str]:
        """Words for a text property, by what its name says it holds."""
        names, words = set(hints[:3]), self.words
        if names & _WHOLE:
            for lead in _SAYING:
                if lead in words[:-1]:
                    yield " ".join(words[words.index(lead) + 1 :])
                    break
            yield " ".join(words)
        if names & _PLACES or set(hints) & {"city", "town", "country"}:
            yield from (each.title() for each in _after(words, ("in", "at", "to", "for", "from", "near", "of")))
        if names & _PEOPLE:
            yield from (each.title() for each in _after(words, ("to", "for", "called", "named", "call", "with", "is")))
        for name in hints[:2]:
            stems = [stem(word) for word in words]
            if stem(name) in stems[:-1]:
                yield from _after(words, (words[stems.index(stem(name))],))
        if not names & _WHOLE:
            yield from _after(words, ("for", "about", "in", "to", "of", "called", "on"))
            yield " ".join(words)

    def mentions(self, value: str) -> bool:
        """Whether ``value`` occurs in the words, in whatever number."""
        sought = tuple(stem(word) for word in plain(value.replace("_", " ")))
        stems = [stem(word) for word in self.words]
        return bool(sought) and any(tuple(stems[at : at + len(sought)]) == sought for at in range(len(stems)))

    def truth(self, hints: Words) -> bool | None:
        """Yes or no, where the words say either."""
        spoken = set(self.words)
        if spoken & {"without", "off", "not", "no", "disable", "false"}:
            return False
        named = {stem(word) for word in hints} & {stem(word) for word in spoken}
        return True if spoken & {"on", "with", "yes", "enable", "true"} or named else None


_WHOLE: Final = word_set(
    "query text message question prompt content input body note title search request subject "
    "description task reminder topic expression"
)
_SAYING: Final = ("that", "saying", "says")
_PLACES: Final = word_set("location city place country town address destination origin area region where")
_PEOPLE: Final = word_set("name person contact recipient who user customer guest")
_STOPS: Final = word_set(
    "in at to for from on with and that saying tomorrow today tonight please by until yesterday "
    "this next now right about"
)


def _after(words: Words, leads: tuple[str, ...]) -> Iterator[str]:
    """The stretches of words that follow one of ``leads``, up to the next preposition."""
    for at, word in enumerate(words):
        if word in leads:
            start = at + 2 if words[at + 1 : at + 2] in (("the",), ("a",)) else at + 1
            end = start
            while end < len(words) and words[end] not in _STOPS:
                end += 1
            if end > start:
                yield " ".join(words[start:end])


def _numbers_in(words: Words) -> list[tuple[int, int, numbers.Number]]:
    found, at = [], 0
    while at < len(words):
        reading = next((each for each in numbers.read(words, at) if each[2] == 1.0), None)
        if reading and words[at] not in ("a", "an", "hundred", "thousand"):
            found.append((at, reading[0], reading[1]))
            at = reading[0]
        else:
            at += 1
    return found

"""The time and the calendar."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from duologue.backends.pocket.brain.numbers import count_of, ordinal
from duologue.backends.pocket.brain.scene import Reply, Scene, Slots, say
from duologue.backends.pocket.brain.skills.skill import Skill
from duologue.backends.pocket.brain.times import MONTHS, WEEKDAYS, say_clock, say_date, say_year


def tell_time(scene: Scene, slots: Slots) -> Reply:
    return say(scene.one_of(f"It is {say_clock(scene.now)}.", f"It's {say_clock(scene.now)}."))


def tell_date(scene: Scene, slots: Slots) -> Reply:
    today, part = scene.now.date(), slots.get("part")
    if part == "year":
        return say(f"It is the year {say_year(today.year)}.")
    if part == "month":
        return say(f"It is {MONTHS[today.month - 1].capitalize()}.")
    return say(f"Today is {say_date(today)}.")


_SHIFTS: Final = {"today": 0, "tomorrow": 1, "yesterday": -1, "after": 2}


def tell_weekday(scene: Scene, slots: Slots) -> Reply:
    today = scene.now.date()
    if "day" in slots and "month" in slots:
        month = MONTHS.index(str(slots["month"])) + 1
        wanted = int(slots["day"])
        for year in range(today.year, today.year + 8):
            try:
                day = date(year, month, wanted)
            except ValueError:
                continue
            if day >= today:
                return say(f"The {ordinal(wanted)} of {MONTHS[month - 1].capitalize()} {_year(day, today)}is a "
                           f"{WEEKDAYS[day.weekday()].capitalize()}.")  # fmt: skip
        return say(f"{MONTHS[month - 1].capitalize()} has no {ordinal(wanted)}.")
    which = str(slots.get("which", "today"))
    day = today + timedelta(days=_SHIFTS[which])
    opening = {"today": "Today is", "tomorrow": "Tomorrow is", "yesterday": "Yesterday was",
               "after": "The day after tomorrow is"}[which]  # fmt: skip
    return say(f"{opening} {say_date(day)}.")


def _year(day: date, today: date) -> str:
    return "" if day.year == today.year else f"in {say_year(day.year)} "


_FEASTS: Final = {
    "christmas": (12, 25), "christmas eve": (12, 24), "new year": (1, 1), "new year's eve": (12, 31),
    "halloween": (10, 31), "valentine's day": (2, 14), "spring": (3, 20), "summer": (6, 21), "autumn": (9, 22),
    "winter": (12, 21),
}  # fmt: skip


def days_until(scene: Scene, slots: Slots) -> Reply:
    today = scene.now.date()
    if "weekday" in slots:
        name = str(slots["weekday"])
        left = (WEEKDAYS.index(name) - today.weekday()) % 7
        name = name.capitalize()
    elif slots.get("event") == "weekend":
        left, name = (5 - today.weekday()) % 7 if today.weekday() < 5 else 0, "the weekend"
        if left == 0:
            return say("It is the weekend already!")
    elif "event" in slots:
        name = str(slots["event"])
        month, day = _FEASTS[name]
        left = min(gap for year in (0, 1) if (gap := (date(today.year + year, month, day) - today).days) >= 0)
        name = name if name in ("spring", "summer", "autumn", "winter") else name.title().replace("'S", "'s")
    else:
        return say("Until what? You can ask about Christmas, for example.")
    if left == 0:
        return say(f"That's today! Today is {name}.")
    are = "is" if left == 1 else "are"
    return say(f"There {are} {count_of(left, 'day')} until {name}.")


SKILLS = (
    Skill("time", """
        what time is it
        what time is it [right] now
        what is the time
        tell me the time
        what is the time [right] now
        what does the clock say
        what is the current time
        how late is it
        give me the time
        do you have the time
        do you know what time it is
        say the time
        what time do you have
        check the time
        time please
        what is the exact time
        can you see what time it is
        which time is it
        what hour is it
        what time is it in the moment
        is it late
        how late is it now
        do you have the exact time
        what time do we have [now]
        tell me what the clock says
        i need to know the time
        the time please
        how much time is it
    """, tell_time, "question", weight=1.6),
    Skill("date", """
        what is the date
        what is the date today
        what is today's date
        what date is it
        what date is it today
        tell me the date
        what is the date of today
        give me today's date
        what is the current date
        which date is it today
        say the date
        what is today date
        which date do we have
        what date do we have today
        date please
        today is what date
        i forgot the date
        what is the date again
        can you say the date
        the date please
        today's date please
        what year is it @part=year
        which year is it @part=year
        what year do we have @part=year
        what month is it @part=month
        which month is it @part=month
        what month are we in @part=month
        which year are we in @part=year
        what year are we in @part=year
        which month do we have @part=month
    """, tell_date, "question", weight=1.4),
    Skill("weekday", """
        what day is it @which=today
        what day is it today @which=today
        what day is today @which=today
        which day is it @which=today
        which day of the week is it @which=today
        what day of the week is it [today] @which=today
        tell me what day it is @which=today
        what day is tomorrow @which=tomorrow
        what day is it tomorrow @which=tomorrow
        which day is tomorrow @which=tomorrow
        what date is tomorrow @which=tomorrow
        what is the date tomorrow @which=tomorrow
        what day was yesterday @which=yesterday
        what day was it yesterday @which=yesterday
        tell me what day it is tomorrow @which=tomorrow
        which day was yesterday @which=yesterday
        which weekday is it @which=today
        what weekday is today @which=today
        what weekday is tomorrow @which=tomorrow
        tomorrow is which day @which=tomorrow
        which day of the week is tomorrow @which=tomorrow
        what day of the week was yesterday @which=yesterday
        which day of the week was yesterday @which=yesterday
        what will the date be tomorrow @which=tomorrow
        today is which day @which=today
        what day do we have today @which=today
        what date was yesterday @which=yesterday
        what day is the day after tomorrow @which=after
        what day is the {day} of {month}
        what day of the week is the {day} of {month}
        on which day is the {day} of {month}
        what day is {month} [the] {day}
        what weekday is the {day} of {month}
        which day is the {day} of {month}
        what day will it be on the {day} of {month}
    """, tell_weekday, "question", weight=1.4),
    Skill("days_until", """
        how many days until {event}
        how many days [are there] until {event}
        how long is it until {event}
        how long until {event}
        how many days are left until {event}
        when is {event}
        how far away is {event}
        how many days is it to {event}
        how many more days until {event}
        how soon is {event}
        how many days until {weekday}
        how many days [are there] until {weekday}
        how long is it until {weekday}
        count the days until {event}
        when is it {event}
        how many days do we have until {event}
        how many days until it is {event}
        how long do we have to wait until {event}
        how long do we have to wait until {weekday}
        is it long until {event}
        how many days are (between now and|before) {event}
        when will it be {event}
        how many days away is {event}
        tell me the days until {event}
        when does {event} (start|begin)
        how many days to {weekday}
    """, days_until, "question"),
)  # fmt: skip

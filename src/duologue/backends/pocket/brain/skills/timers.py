"""Timers, alarms and reminders: what it will speak about first, when due."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from duologue.backends.pocket.brain.numbers import cardinal
from duologue.backends.pocket.brain.scene import Effect, Pending, Reply, Scene, Slots, State, Timer, say
from duologue.backends.pocket.brain.skills.person import turned
from duologue.backends.pocket.brain.skills.skill import Skill
from duologue.backends.pocket.brain.times import next_at, say_clock, say_duration

_WHEN: Final = (("duration", "duration"), ("clock", "clock"))
LONGEST = timedelta(days=366)


def _start(kind: str, due: datetime, label: str, seconds: int | None) -> Effect:
    def effect(state: State) -> State:
        timer = Timer(f"{kind}-{state.tokens + 1}", kind, due, label, seconds)
        return replace(state, timers=(*state.timers, timer), tokens=state.tokens + 1)

    return effect


def _called(label: str) -> str:
    return f" for the {label}" if label else ""


def set_timer(scene: Scene, slots: Slots) -> Reply:
    if "duration" not in slots:
        return say(
            scene.one_of("A timer for how long?", "For how long should I set it?"),
            pending=Pending("timer", slots, (("duration", "duration"),)),
        )
    seconds, label = int(slots["duration"]), str(slots.get("label", ""))
    if not 0 < seconds <= LONGEST.total_seconds():
        return say("A timer can run from one second to one year. How long should it be?",
                   pending=Pending("timer", _without_duration(slots), _WHEN[:1]))  # fmt: skip
    effect = _start("timer", scene.now + timedelta(seconds=seconds), label, seconds)
    length = say_duration(seconds)
    return say(
        scene.one_of(
            f"Timer{_called(label)} set for {length}.",
            f"{length.capitalize()}{_called(label)}, starting now.",
            f"Okay, {length}{_called(label)}. I'll tell you when it's over.",
        ),
        effect,
    )


def _without_duration(slots: Slots) -> Slots:
    return {name: value for name, value in slots.items() if name != "duration"}


def set_alarm(scene: Scene, slots: Slots) -> Reply:
    if "clock" not in slots:
        return say("For what time should I set the alarm?", pending=Pending("alarm", slots, (("clock", "clock"),)))
    due = next_at(str(slots["clock"]), scene.now)
    return say(f"Okay, the alarm is set for {_moment(scene, due)}.", _start("alarm", due, "", None))


def _moment(scene: Scene, due: datetime) -> str:
    return say_clock(due) + (" tomorrow" if due.date() == scene.now.date() + timedelta(days=1) else "")


def remind(scene: Scene, slots: Slots) -> Reply:
    task = str(slots.get("task", ""))
    if "duration" not in slots and "clock" not in slots:
        return say(
            scene.one_of("When should I remind you?", "Sure. At what time, or in how many minutes?"),
            pending=Pending("reminder", slots, _WHEN),
        )
    if "duration" in slots and not 0 < int(slots["duration"]) <= LONGEST.total_seconds():
        return say("That is too far away for me. When should I remind you?",
                   pending=Pending("reminder", _without_duration(slots), _WHEN))  # fmt: skip
    if not task and not slots.get("anything"):
        asked = {**slots, "anything": "yes"}
        return say("What should I remind you of?", pending=Pending("reminder", asked, (("task", "task"),)))
    if "duration" in slots:
        seconds: int | None = int(slots["duration"])
        due = scene.now + timedelta(seconds=int(slots["duration"]))
        when = f"in {say_duration(int(slots['duration']))}"
    else:
        seconds, due = None, next_at(str(slots["clock"]), scene.now)
        when = f"at {_moment(scene, due)}"
    what = f" to {turned(task)}" if task else ""
    return say(f"Okay, I'll remind you{what} {when}.", _start("reminder", due, task, seconds))


def remaining(scene: Scene, slots: Slots) -> Reply:
    timers = sorted(scene.state.timers, key=lambda timer: timer.due)
    if not timers:
        return say("There is no timer, alarm or reminder set.")
    chosen = [timer for timer in timers if timer.label == slots.get("label")] or timers
    kind = slots.get("kind")
    chosen = [timer for timer in chosen if timer.kind == kind] or chosen
    told = [f"{_named(timer)} {_left(scene, timer)}" for timer in chosen[:4]]
    more = f" And {cardinal(len(chosen) - 4)} more." if len(chosen) > 4 else ""
    return say(". ".join(each[0].upper() + each[1:] for each in told) + "." + more)


def _named(timer: Timer) -> str:
    if timer.kind == "reminder":
        return f"the reminder to {turned(timer.label)}" if timer.label else "the reminder"
    return f"the {timer.label} {timer.kind}" if timer.label else f"the {timer.kind}"


def _left(scene: Scene, timer: Timer) -> str:
    if timer.kind == "alarm":
        return f"is set for {_moment(scene, timer.due)}"
    left = (timer.due - scene.now).total_seconds()
    return f"has {say_duration(left)} left" if left >= 1 else "is due now"


def cancel(scene: Scene, slots: Slots) -> Reply:
    kind, timers = slots.get("kind"), scene.state.timers
    chosen = [timer for timer in timers if kind in (None, timer.kind)]
    if "label" in slots:
        chosen = [timer for timer in chosen if timer.label == slots["label"]]
    if "duration" in slots:
        chosen = [timer for timer in chosen if timer.seconds == slots["duration"]]
    if not chosen:
        what = str(kind or "timer")
        return say(f"There is no such {what} to cancel." if timers else f"There is no {what} set.")
    if slots.get("extent") != "all":
        chosen = chosen[-1:]
    tokens = {timer.token for timer in chosen}

    def effect(state: State) -> State:
        return replace(state, timers=tuple(timer for timer in state.timers if timer.token not in tokens))

    what = f"{_named(chosen[0])} is" if len(chosen) == 1 else f"all {cardinal(len(chosen))} are"
    return say(f"Okay, {what} cancelled.", effect)


def due(scene: Scene, timer: Timer) -> Reply:
    """What it says of its own accord when ``timer`` is due."""

    def effect(state: State) -> State:
        return replace(state, timers=tuple(other for other in state.timers if other.token != timer.token))

    if timer.kind == "reminder":
        text = f"This is your reminder to {turned(timer.label)}." if timer.label else "Here is your reminder."
    elif timer.kind == "alarm":
        part = "morning" if 4 <= scene.now.hour < 12 else "day"
        text = f"Good {part}! It is {say_clock(timer.due)}. This is your alarm."
    elif timer.label or not timer.seconds:
        text = f"Your {timer.label} timer is done."
    else:
        length = say_duration(timer.seconds)
        single = length.startswith("one ") and " and " not in length
        text = f"Time's up! {length.capitalize()} {'is' if single else 'are'} over."
    return say(text, effect)


SKILLS = (
    Skill("timer", """
        set a timer for {duration}
        set a timer to {duration}
        set a {duration} timer
        start a timer for {duration}
        start a {duration} timer
        make a timer for {duration}
        set the timer for {duration}
        timer for {duration}
        {duration} timer
        set a timer
        start a timer
        set a {label} timer for {duration}
        set a timer for {duration} for the {label}
        start a {label} timer for {duration}
        set a timer called {label} for {duration}
        tell me when {duration} are over
        tell me when {duration} have passed
        wake me [up] in {duration}
        count down {duration}
        set an alarm in {duration}
        i need a timer for {duration}
        give me a timer for {duration}
        set another timer for {duration}
        put {duration} on the timer
        let me know in {duration}
        set me a timer for {duration}
        a timer for {duration} for the {label}
        start the timer for {duration}
        {label} timer for {duration}
        a timer of {duration}
        set a timer of {duration}
        set up a timer for {duration}
        timer {duration}
        set the timer to {duration}
        run a timer for {duration}
        begin a timer for {duration}
        in {duration} let me know
        start counting down {duration}
        the timer should run for {duration}
        let the timer run for {duration}
        make that a timer for {duration}
        a timer for {duration}
        i need {duration} on the timer
        ring in {duration}
        time {duration} for me
    """, set_timer, needs=("duration",), weight=4.0),
    Skill("alarm", """
        set an alarm for {clock}
        set an alarm at {clock}
        set the alarm for {clock}
        set the alarm to {clock}
        wake me [up] at {clock}
        set an alarm
        i need an alarm for {clock}
        make an alarm for {clock}
        alarm for {clock}
        alarm at {clock}
        i want to get up at {clock}
        i have to wake up at {clock}
        get me up at {clock}
        put the alarm on {clock}
        start an alarm for {clock}
        make me an alarm at {clock}
        set up an alarm for {clock}
        could you wake me at {clock}
        the alarm should ring at {clock}
        i must get up at {clock}
        set an alarm clock for {clock}
        ring at {clock}
        i want to wake up at {clock}
        please wake me at {clock}
        my alarm should (go off|ring) at {clock}
        let the alarm ring at {clock}
        have the alarm set for {clock}
        i want an alarm at {clock}
    """, set_alarm, needs=("clock",), weight=2.5),
    Skill("reminder", """
        remind me to {task} in {duration}
        remind me in {duration} to {task}
        in {duration} remind me to {task}
        remind me to {task} at {clock}
        remind me at {clock} to {task}
        remind me to {task}
        remind me in {duration} @anything=yes
        remind me at {clock} @anything=yes
        set a reminder for {clock} to {task}
        set a reminder to {task} in {duration}
        set a reminder to {task} at {clock}
        set a reminder in {duration} to {task}
        set a reminder
        remind me
        remind me of something
        do not let me forget to {task}
        tell me in {duration} to {task}
        tell me to {task} in {duration}
        tell me to {task} at {clock}
        tell me at {clock} to {task}
        i have to {task} in {duration} remind me
        make a reminder to {task}
        create a reminder to {task} at {clock}
        make a reminder to {task} in {duration}
        make a reminder in {duration} to {task}
        make a reminder at {clock} to {task}
        i must not forget to {task} remind me in {duration}
        i must not forget to {task} remind me at {clock}
        remind me about {task} in {duration}
        remind me about {task} at {clock}
        remind me of {task} in {duration}
        remind me of {task} at {clock}
        i need a reminder to {task} in {duration}
        set up a reminder to {task} at {clock}
        remind me that i have to {task} in {duration}
        remind me that i have to {task} at {clock}
        remind me that i must {task} in {duration}
        at {clock} remind me to {task}
        at {clock} tell me to {task}
        in {duration} tell me to {task}
        give me a reminder to {task} in {duration}
        give me a reminder at {clock} to {task}
        do not let me forget to {task} at {clock}
        do not let me forget to {task} in {duration}
    """, remind, needs=("duration", "clock"), weight=4.0),
    Skill("remaining", """
        how much time is left
        how much time is left on the timer @kind=timer
        how long is left on the timer @kind=timer
        how much longer
        how long does the timer have left @kind=timer
        how much time is left on the {label} timer
        what timers are running @kind=timer
        which timers are set @kind=timer
        is there a timer running @kind=timer
        when is my alarm @kind=alarm
        what alarms are set @kind=alarm
        what reminders do i have @kind=reminder
        list my (timers|alarms|reminders)
        check the timer @kind=timer
        how many minutes are left
        how many timers are running @kind=timer
        how much time do i have left
        when does the timer end @kind=timer
        when does the timer go off @kind=timer
        how much longer on the timer @kind=timer
        how many minutes does the timer have left @kind=timer
        how many minutes are left on the timer @kind=timer
        how long will the timer still run @kind=timer
        how long is the timer still running @kind=timer
        what is left on the timer @kind=timer
        which alarms are set @kind=alarm
        which reminders are set @kind=reminder
        which timers are running @kind=timer
        what time is my alarm @kind=alarm
        do i have any alarms @kind=alarm
        do i have any reminders @kind=reminder
        do i have any timers @kind=timer
        tell me how long the timer has left @kind=timer
        is my timer still running @kind=timer
        is the timer still running @kind=timer
        what time did i set the alarm for @kind=alarm
        when will the alarm ring @kind=alarm
        when do you wake me @kind=alarm
        how long does the timer still run @kind=timer
        how long until the timer is done @kind=timer
    """, remaining, "question", weight=1.6),
    Skill("cancel", """
        cancel the timer @kind=timer
        cancel the alarm @kind=alarm
        cancel the reminder @kind=reminder
        stop the timer @kind=timer
        stop the alarm @kind=alarm
        delete the timer @kind=timer
        delete the alarm @kind=alarm
        delete the reminder @kind=reminder
        turn off the alarm @kind=alarm
        turn off the timer @kind=timer
        turn the alarm off @kind=alarm
        cancel all timers @kind=timer @extent=all
        cancel all alarms @kind=alarm @extent=all
        cancel all reminders @kind=reminder @extent=all
        cancel my (timer|timers) @kind=timer
        cancel my alarm @kind=alarm
        delete all [my] timers @kind=timer @extent=all
        cancel the {label} timer @kind=timer
        stop the {label} timer @kind=timer
        cancel the {duration} timer @kind=timer
        cancel everything @extent=all
        remove the timer @kind=timer
        i do not need the timer [any more] @kind=timer
        i do not need the alarm [any more] @kind=alarm
        switch off the alarm @kind=alarm
        cancel that (timer) @kind=timer
        cancel that alarm @kind=alarm
        delete my alarm @kind=alarm
        turn my alarm off @kind=alarm
        switch the timer off @kind=timer
        stop all timers @kind=timer @extent=all
        delete all [my] alarms @kind=alarm @extent=all
        delete all [my] reminders @kind=reminder @extent=all
        i do not need the reminder [any more] @kind=reminder
        cancel all of them @extent=all
        stop my timer @kind=timer
        remove my reminder @kind=reminder
        clear the timer @kind=timer
        get rid of the timer @kind=timer
        get rid of the alarm @kind=alarm
        the alarm is not needed [any more] @kind=alarm
        the timer is not needed [any more] @kind=timer
        i want to cancel all [the] alarms @kind=alarm @extent=all
        no alarm tomorrow please @kind=alarm
        do not wake me @kind=alarm
        no more timer @kind=timer
        do not remind me @kind=reminder
    """, cancel, weight=2.0),
)  # fmt: skip

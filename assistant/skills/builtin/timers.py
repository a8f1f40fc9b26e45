"""Kitchen timers: several at once, with names.

The loop checks the timer book after every skill, so anything silenced here stops ringing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from assistant.skills.builtin.picking import picked, which
from assistant.skills.builtin.ringing import title
from assistant.skills.contract import Outcome, Question
from assistant.skills.slot_types import NO_NAME, Name
from assistant.skills.timer_book import Timer, TimerBook
from assistant.text.en import wording
from assistant.text.en.moments import ExactMoment, Moment
from assistant.text.en.numbers import whole
from assistant.text.en.words import keys, words

_SNOOZE = timedelta(minutes=9)
"""The interval of clock radios."""


def set_timer(duration: timedelta, timers: TimerBook, name: Name = NO_NAME) -> str:
    """Set a timer that rings after a while, with a name if one was given."""
    timers.count_down("timer", duration, _bare(name))
    called = f", {_bare(name)}" if name else ""
    return f"{wording.capital(wording.duration(duration))}{called}, starting now."


def set_timer_for_time(at: ExactMoment, timers: TimerBook, now: datetime, name: Name = NO_NAME) -> str:
    """Set a timer that rings at a time of day, which is said so that it is no duration: "5 pm"."""
    return set_timer_until(at, timers, now, name)


def set_timer_until(at: Moment, timers: TimerBook, now: datetime, name: Name = NO_NAME) -> str:
    """Set a timer that rings at a time of day."""
    local = at.after(now.replace(tzinfo=None))
    if local is None:
        return "That time has already passed."
    timers.set_for("timer", local, _bare(name), at.every)
    return f"Your {f'{_bare(name)} ' if name else ''}timer will ring at {wording.when(local, now)}."


def set_several_timers(duration: timedelta, count: int, timers: TimerBook) -> str:
    """Set several timers of the same length."""
    if not 1 <= count <= _MOST_AT_ONCE:
        return f"I can set up to {wording.number(_MOST_AT_ONCE)} timers at once."
    for _ in range(count):
        timers.count_down("timer", duration)
    length = wording.duration(duration)
    return f"{wording.capital(wording.count(count, 'timer'))} for {length}, starting now."


_MOST_AT_ONCE = 5


def set_two_timers(duration: timedelta, other: timedelta, timers: TimerBook) -> str:
    """Set two timers."""
    timers.count_down("timer", duration)
    timers.count_down("timer", other)
    return f"Two timers, for {wording.duration(duration)} and for {wording.duration(other)}, starting now."


def ask_duration(name: Name = NO_NAME, heard: str = "") -> Outcome:
    """Ask for the duration of a timer, or again for one that was not understood or may be two."""
    called = f" {_bare(name)}" if name else ""
    again = (f"set a timer for {heard} ...",) if heard else ()
    question = Question((*again, f"set a{called} timer for ...", f"set a{called} timer ..."))
    found = list(keys(words(heard)))
    if len(found) == 1 and ":" in found[0]:
        large, small = (int(part) for part in found[0].split(":"))
        of_hours = wording.duration(timedelta(hours=large, minutes=small))
        of_minutes = wording.duration(timedelta(minutes=large, seconds=small))
        return Outcome(f"Do you mean {of_hours}, or {of_minutes}?", question=question)
    if (bare := whole(found)) is not None:
        return Outcome(f"{wording.capital(wording.number(bare))} minutes, or hours?", question=question)
    return Outcome("How long?", question=question)


def timer_left(timers: TimerBook, name: str = "") -> str:
    """Tell how long is left on the timers, or on the one with this name."""
    found, damage = picked(timers.all("timer"), name)[0], timers.damage()
    if damage:
        return f"{damage} {timer_left(timers, name)}"
    if not found:
        return _none(name)
    if len(found) == 1 and not found[0].ringing and not found[0].is_paused:
        left = wording.time_left(timedelta(seconds=found[0].left_s))
        return f"{wording.capital(left)} left{_on(found[0])}."
    return wording.capital(wording.listing([_state(timer) for timer in found])) + "."


def list_timers(timers: TimerBook) -> str:
    """Tell which timers are running."""
    found, damage = timers.all("timer"), timers.damage()
    if damage:
        return f"{damage} {list_timers(timers)}"
    if not found:
        return "There are no timers."
    states = wording.listing([_state(timer) for timer in found])
    return f"You have {wording.count(len(found), 'timer')}: {states}."


def cancel_timer(timers: TimerBook, name: str = "", duration: timedelta | None = None) -> Outcome:
    """Cancel the timer, or the one with this name or duration."""
    running = timers.all("timer")
    found, is_sure = picked([timer for timer in running if duration in (None, timer.duration)], name)
    if ringing := [timer for timer in found if timer.ringing]:
        timers.acknowledge(ringing)
        return Outcome("Okay.")
    if not found:
        return Outcome(_none(name) if not running else f"There is no such timer. {list_timers(timers)}")
    if len(found) > 1 and not is_sure:
        return which(list_timers(timers), found, "cancel the ... timer", title)
    timers.cancel(found)
    if len(found) > 1:
        return Outcome(f"{wording.all_of(len(found), 'timer')} canceled.")
    return Outcome(f"The {title(found[0])} is canceled.")


def cancel_all_timers(timers: TimerBook) -> str:
    """Cancel every timer."""
    found = timers.all("timer")
    timers.cancel(found)
    return f"{wording.all_of(len(found), 'timer')} canceled." if found else "There are no timers."


_Which = Literal[
    "both",
    "all",
    "first",
    "second",
    "third",
    "fourth",
    "last",
    "shortest",
    "longest",
    "next",
    "newest",
    "oldest",
]


def cancel_these(which: _Which, timers: TimerBook) -> Outcome:
    """Cancel those that were just spoken of: "both", "the first one"."""
    entries = timers.all()
    kinds = sorted({timer.kind for timer in entries})
    if len(kinds) != 1:
        if not kinds:
            return Outcome("There is nothing to cancel.")
        question = Question((f"cancel {which} ...", f"cancel the {which} ..."))
        return Outcome(f"{wording.capital(' or '.join(f'{kind}s' for kind in kinds))}?", question=question)
    found, _ = picked(entries, which)
    timers.cancel(found)
    if len(found) == 1:
        return Outcome(f"The {title(found[0])} is canceled.")
    return Outcome(f"{wording.all_of(len(found), kinds[0])} canceled." if found else "I can't find that one.")


def extend_timer(duration: timedelta, timers: TimerBook, name: str = "") -> Outcome:
    """Let the timer, or the one with this name, run longer."""
    return _changed(timers, name, duration, f"add {wording.duration(duration)} to the ... timer")


def shorten_timer(duration: timedelta, timers: TimerBook, name: str = "") -> Outcome:
    """Let the timer, or the one with this name, end sooner."""
    return _changed(timers, name, -duration, f"take {wording.duration(duration)} off the ... timer")


def _changed(timers: TimerBook, name: str, by: timedelta, command: str) -> Outcome:
    found, _ = picked([timer for timer in timers.all("timer") if not timer.ringing], name)
    if not found:
        return Outcome(_none(name))
    if len(found) > 1:
        return which(list_timers(timers), found, command, title)
    left = timedelta(seconds=found[0].left_s) + by
    if left <= timedelta(0):
        return Outcome(f"Only {wording.time_left(left - by)} left{_on(found[0])}.")
    timers.extend(found[0], by)
    return Outcome(f"Okay, {wording.time_left(left)} left{_on(found[0])}.")


def pause_timer(timers: TimerBook, name: str = "") -> Outcome:
    """Pause the timer, or the one with this name."""
    running = [timer for timer in timers.all("timer") if not timer.ringing and not timer.is_paused]
    found, is_sure = picked(running, name)
    if not found:
        return Outcome(_none(name) if not timers.all("timer") else "No timer is running.")
    if len(found) > 1 and not is_sure:
        return which(list_timers(timers), found, "pause the ... timer", title)
    for timer in found:
        timers.pause(timer)
    left = wording.time_left(timedelta(seconds=found[0].left_s))
    return Outcome(f"Paused with {left} left{_on(found[0])}." if len(found) == 1 else "Paused.")


def resume_timer(timers: TimerBook, name: str = "") -> Outcome:
    """Let a paused timer run on."""
    found, is_sure = picked([timer for timer in timers.all("timer") if timer.is_paused], name)
    if not found:
        return Outcome("No timer is paused." if timers.all("timer") else "There are no timers.")
    if len(found) > 1 and not is_sure:
        return which(list_timers(timers), found, "resume the ... timer", title)
    for timer in found:
        timers.resume(timer)
    left = wording.time_left(timedelta(seconds=found[0].left_s))
    return Outcome(f"{wording.capital(left)} left{_on(found[0])}." if len(found) == 1 else "They run on.")


def restart_timer(timers: TimerBook, name: str = "") -> Outcome:
    """Let the timer, or the one with this name, begin anew."""
    found, _ = picked([timer for timer in timers.all("timer") if timer.duration], name)
    if not found:
        return Outcome(_none(name))
    if len(found) > 1:
        return which(list_timers(timers), found, "restart the ... timer", title)
    timers.restart(found[0])
    length = wording.duration(found[0].duration or timedelta())
    called = f", {found[0].name}" if found[0].name else ""
    return Outcome(f"{wording.capital(length)}{called}, starting again.")


def snooze(timers: TimerBook, duration: timedelta = _SNOOZE) -> str:
    """Silence what is ringing and let it ring again later."""
    if not timers.snooze(duration):
        return "Nothing is ringing."
    return f"Okay, {wording.duration(duration)} more."


def snooze_minutes(minutes: float, timers: TimerBook) -> Outcome:
    """Let what is ringing ring again after this many minutes, or else the timer run longer."""
    if not 0 < minutes <= 24 * 60:
        return Outcome("I can't snooze for that long.")
    return more_time(timedelta(minutes=minutes), timers)


def more_time(duration: timedelta, timers: TimerBook) -> Outcome:
    """Let what is ringing ring again after a while, or else the timer run longer."""
    if any(timer.ringing for timer in timers.all()):
        return Outcome(snooze(timers, duration))
    return extend_timer(duration, timers) if timers.all("timer") else Outcome("Nothing is ringing.")


def ask_what_for(duration: timedelta) -> Outcome:
    """Ask what a duration alone is meant for."""
    length = wording.duration(duration)
    return Outcome(
        f"Should I set a timer for {length}?", question=Question((f"set a timer for {length}",), _YES)
    )


_YES = frozenset(("yes", "yeah", "yep", "sure", "ok", "okay", "please", "do", "it", "right", "go", "ahead"))


def _state(timer: Timer) -> str:
    if timer.ringing:
        return f"the {title(timer)} is ringing"
    left = wording.time_left(timedelta(seconds=timer.left_s))
    return f"the {title(timer)} {'paused ' if timer.is_paused else ''}with {left} left"


def _on(timer: Timer) -> str:
    return f" on the {timer.name} timer" if timer.name else ""


def _bare(name: str) -> str:
    """Return a name without its article."""
    first, _, rest = name.partition(" ")
    return rest if rest and first.lower() in {"the", "my", "a", "an", "our"} else name


def _none(name: str) -> str:
    return f"There is no {_bare(name)} timer." if name else "There are no timers."

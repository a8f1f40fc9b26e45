"""Alarms: at a time of day, once or on certain weekdays."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from assistant.skills.builtin.picking import picked, which
from assistant.skills.contract import Outcome, Question
from assistant.skills.slot_types import NO_NAME, Name, unread_repetition
from assistant.skills.timer_book import Timer, TimerBook
from assistant.text.en import wording
from assistant.text.en.moments import Days, Moment
from assistant.text.en.words import keys, words


def set_alarm(
    at: Moment, timers: TimerBook, now: datetime, name: Name = NO_NAME, days: Days | None = None
) -> Outcome:
    """Set an alarm for a time of day, on a day or repeating if one was named."""
    moment = days.at(at) if days else at
    if moment is None:
        return Outcome("Those are two different days. When should it ring?", question=_QUESTION)
    return Outcome(_set(moment, timers, now, name, likely_morning=False))


def wake_me(at: Moment, timers: TimerBook, now: datetime, days: Days | None = None) -> Outcome:
    """Set an alarm to wake somebody."""
    moment = days.at(at) if days else at
    if moment is None:
        return Outcome("Those are two different days. When should it ring?", question=_QUESTION)
    return Outcome(_set(moment, timers, now, "", likely_morning=True))


def set_two_alarms(at: Moment, other: Moment, timers: TimerBook, now: datetime) -> str:
    """Set two alarms."""
    first = _set(at, timers, now, "", likely_morning=False)
    second = _set(other, timers, now, "", likely_morning=False)
    return f"{first} {second.replace('Your', 'Another', 1)}"


def set_alarm_after(duration: timedelta, timers: TimerBook, name: Name = NO_NAME) -> str:
    """Set an alarm that rings after a while."""
    timers.count_down("alarm", duration, name)
    return f"Your alarm is set for {wording.duration(duration)} from now."


def _set(at: Moment, timers: TimerBook, now: datetime, name: str, *, likely_morning: bool) -> str:
    local = at.after(now.replace(tzinfo=None), likely_morning=likely_morning)
    if local is None:
        return "That day has already passed."
    timers.set_for("alarm", local, name, at.every)
    called = f" called {name}" if name else ""
    return f"Your alarm{called} is set for {_when(local, at.every, now)}."


def _when(local: datetime, every: frozenset[int], now: datetime) -> str:
    return f"{wording.clock_of_day(local)}, {wording.weekdays(every)}" if every else wording.when(local, now)


_QUESTION = Question(("set an alarm for ...", "set an alarm ..."))


def ask_alarm_time(heard: str = "", name: Name = NO_NAME) -> Outcome:
    """Ask for the time of an alarm, or say why one cannot be set."""
    said = list(keys(words(heard)))
    if unread_repetition(said):
        return Outcome("Alarms can only repeat on days of the week. When should it ring?", question=_QUESTION)
    if Days.from_keys(said) is not None:
        question = Question((f"set an alarm for ... {heard}", f"set an alarm ... {heard}"))
        return Outcome(f"What time {heard}?", question=question)
    if heard:
        return Outcome(f"I didn't understand the time '{heard}'. What time?", question=_QUESTION)
    called = f" called {name}" if name else ""
    commands = (f"set an alarm for ...{called}", f"set an alarm ...{called}")
    return Outcome("What time?", question=Question(commands))


def list_alarms(timers: TimerBook, now: datetime) -> str:
    """Tell which alarms are set."""
    alarms, damage = timers.all("alarm"), timers.damage()
    if damage:
        return f"{damage} {list_alarms(timers, now)}"
    if not alarms:
        return "No alarm is set."
    times = wording.listing([_time(alarm, now) for alarm in alarms])
    return f"Your alarm is set for {times}." if len(alarms) == 1 else f"Your alarms are set for {times}."


def cancel_alarm(timers: TimerBook, now: datetime, at: Moment | None = None, name: str = "") -> Outcome:
    """Cancel the alarm, or the one for this time or with this name. Silences one that rings."""
    alarms = timers.all("alarm")
    found, is_sure = picked([alarm for alarm in alarms if _is_at(alarm, at, now)], name)
    if ringing := [alarm for alarm in found if alarm.ringing]:
        timers.acknowledge(ringing)
        return Outcome("Okay.")
    if not found:
        told = "No alarm is set." if not alarms else f"There is no such alarm. {list_alarms(timers, now)}"
        return Outcome(told)
    if len(found) > 1 and not is_sure:
        return which(list_alarms(timers, now), found, "cancel the ... alarm", lambda alarm: _time(alarm, now))
    timers.cancel(found)
    if len(found) > 1:
        return Outcome(f"{wording.all_of(len(found), 'alarm')} canceled.")
    return Outcome(f"The alarm for {_time(found[0], now)} is canceled.")


def cancel_all_alarms(timers: TimerBook) -> str:
    """Cancel every alarm."""
    found = timers.all("alarm")
    timers.cancel(found)
    return f"{wording.all_of(len(found), 'alarm')} canceled." if found else "No alarm is set."


def move_alarm(
    to: Moment, timers: TimerBook, now: datetime, at: Moment | None = None, name: str = ""
) -> Outcome:
    """Move the alarm, or the one for this time or with this name, to another time."""
    alarms = timers.all("alarm")
    found, _ = picked([alarm for alarm in alarms if alarm.local and _is_at(alarm, at, now)], name)
    if not found:
        told = "No alarm is set." if not alarms else f"There is no such alarm. {list_alarms(timers, now)}"
        return Outcome(told)
    if len(found) > 1:
        return Outcome(f"{list_alarms(timers, now)} Which one?")
    old = found[0]
    assert old.local is not None  # noqa: S101 - chosen for it
    moment = replace(to, every=to.every or (old.every if to.day is None else frozenset()))
    if not moment.exact:  # in the same half of the day
        moment = replace(moment, hour=moment.hour % 12 + 12 * (old.local.hour >= 12), exact=True)
    before = old.local.replace(hour=0, minute=0) if to.day is None and not moment.every else now
    local = moment.after(max(before.replace(tzinfo=None), now.replace(tzinfo=None)))
    if local is None:
        return Outcome("That day has already passed.")
    timers.set_for("alarm", local, old.name, moment.every)
    timers.cancel([old])
    return Outcome(f"Your alarm is now set for {_when(local, moment.every, now)}.")


def _time(alarm: Timer, now: datetime) -> str:
    if alarm.local is None:  # a snoozed one counts down
        return wording.from_now(alarm.left_s)
    called = f" called {alarm.name}" if alarm.name else ""
    return f"{_when(alarm.local, alarm.every, now)}{called}"


def _is_at(alarm: Timer, at: Moment | None, now: datetime) -> bool:
    """True if people would use that time for it: in either half of the day unless they said which."""
    if at is None:
        return True
    if alarm.local is None or alarm.local.minute != at.minute:
        return False
    if at.day is not None and alarm.local.date() not in at.day.dates(now.date()):
        return False
    if at.every and not at.every <= alarm.every:
        return False
    return alarm.local.hour == at.hour if at.exact else alarm.local.hour % 12 == at.hour % 12

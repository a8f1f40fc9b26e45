"""Alarms: at a time of day, once or on certain weekdays."""

from __future__ import annotations

from datetime import datetime

from assistant.skills.timer_book import Timer, TimerBook
from assistant.text.en import wording
from assistant.text.en.moments import Moment


def set_alarm(at: Moment, timers: TimerBook, now: datetime, name: str = "") -> str:
    """Set an alarm for a time of day, on a day or repeating if one was named."""
    return _set(at, timers, now, name, likely_morning=False)


def wake_me(at: Moment, timers: TimerBook, now: datetime) -> str:
    """Set an alarm to wake somebody."""
    return _set(at, timers, now, "", likely_morning=True)


def _set(at: Moment, timers: TimerBook, now: datetime, name: str, *, likely_morning: bool) -> str:
    local = at.after(now.replace(tzinfo=None), likely_morning=likely_morning)
    timers.set_for("alarm", local, name, at.every)
    if at.every:
        return f"Your alarm is set for {wording.clock_of_day(local)}, {wording.weekdays(at.every)}."
    return f"Your alarm is set for {wording.when(local, now)}."


def ask_alarm_time() -> str:
    """Say how to set an alarm when no time was understood."""
    return "For what time? Say, for example: set an alarm for seven in the morning."


def list_alarms(timers: TimerBook, now: datetime) -> str:
    """Tell which alarms are set."""
    alarms = timers.all("alarm")
    if not alarms:
        return "No alarm is set."
    times = wording.listing([_time(alarm, now) for alarm in alarms])
    return f"Your alarm is set for {times}." if len(alarms) == 1 else f"Your alarms are set for {times}."


def cancel_alarm(timers: TimerBook, now: datetime, at: Moment | None = None, name: str = "") -> str:
    """Cancel the alarm, or the one for this time or with this name. Silences one that rings."""
    alarms = timers.all("alarm")
    found = [
        alarm for alarm in alarms if _is_at(alarm, at) and name.casefold() in ("", alarm.name.casefold())
    ]
    if ringing := [alarm for alarm in found if alarm.ringing]:
        timers.acknowledge(ringing)
        return "Okay."
    if not found:
        return "No alarm is set." if not alarms else f"There is no such alarm. {list_alarms(timers, now)}"
    if len(found) > 1:
        return f"{list_alarms(timers, now)} Which one?"
    timers.cancel(found)
    return f"The alarm for {_time(found[0], now)} is canceled."


def cancel_all_alarms(timers: TimerBook) -> str:
    """Cancel every alarm."""
    found = timers.all("alarm")
    timers.cancel(found)
    return f"{wording.all_of(len(found), 'alarm')} canceled." if found else "No alarm is set."


def _time(alarm: Timer, now: datetime) -> str:
    if alarm.local is None:  # a snoozed one counts down
        return wording.from_now(alarm.left_s)
    called = f" called {alarm.name}" if alarm.name else ""
    if alarm.every:
        return f"{wording.clock_of_day(alarm.local)}, {wording.weekdays(alarm.every)}{called}"
    return f"{wording.when(alarm.local, now)}{called}"


def _is_at(alarm: Timer, at: Moment | None) -> bool:
    """Whether people would call it by that time: in either half of the day unless they said which."""
    if at is None:
        return True
    if alarm.local is None or alarm.local.minute != at.minute:
        return False
    return alarm.local.hour == at.hour if at.exact else alarm.local.hour % 12 == at.hour % 12

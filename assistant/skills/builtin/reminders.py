"""Reminders: something to say at a time of day, or after a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from assistant.skills.timer_book import Timer, TimerBook
from assistant.text.en import wording
from assistant.text.en.moments import DatedMoment, Moment


def remind_after(what: str, duration: timedelta, timers: TimerBook) -> str:
    """Remind somebody of something after a while."""
    timers.count_down("reminder", duration, _turned(what))
    return f"Okay, I'll remind you in {wording.duration(duration)}."


def remind_at(what: str, at: Moment, timers: TimerBook, now: datetime) -> str:
    """Remind somebody of something at a time of day."""
    local = at.after(now.replace(tzinfo=None))
    timers.set_for("reminder", local, _turned(what), at.every)
    if at.every:
        return f"Okay, I'll remind you {wording.weekdays(at.every)} at {wording.clock_of_day(local)}."
    return f"Okay, I'll remind you at {wording.when(local, now)}."


def remind_on(what: str, at: DatedMoment, timers: TimerBook, now: datetime) -> str:
    """Remind somebody of something on a day they name."""
    return remind_at(what, at, timers, now)


def ask_reminder_time() -> str:
    """Say how to set a reminder when no time was understood."""
    return "When? Say, for example: remind me to call home at six, or: in ten minutes."


def list_reminders(timers: TimerBook, now: datetime) -> str:
    """Tell which reminders are set."""
    reminders = timers.all("reminder")
    if not reminders:
        return "There are no reminders."
    things = wording.listing([f"{reminder.name} {_time(reminder, now)}" for reminder in reminders])
    return f"You have {wording.count(len(reminders), 'reminder')}: {things}."


def cancel_reminder(timers: TimerBook, now: datetime, what: str = "") -> str:
    """Cancel the reminder, or the one of this."""
    reminders = timers.all("reminder")
    wanted = _turned(what).casefold()
    found = [reminder for reminder in reminders if wanted in ("", reminder.name.casefold())]
    if not found:
        return "There is no such reminder." if reminders else "There are no reminders."
    if len(found) > 1:
        return f"{list_reminders(timers, now)} Which one?"
    timers.cancel(found)
    return f"The reminder to {found[0].name} is canceled."


def cancel_all_reminders(timers: TimerBook) -> str:
    """Cancel every reminder."""
    found = timers.all("reminder")
    timers.cancel(found)
    return f"{wording.all_of(len(found), 'reminder')} canceled." if found else "There are no reminders."


def _time(reminder: Timer, now: datetime) -> str:
    if reminder.local is None:
        return wording.from_now(reminder.left_s)
    if reminder.every:
        return f"{wording.weekdays(reminder.every)} at {wording.clock_of_day(reminder.local)}"
    return f"at {wording.when(reminder.local, now)}"


_TURNED = {"my": "your", "me": "you", "i": "you", "myself": "yourself", "mine": "yours", "im": "you're"}


def _turned(what: str) -> str:
    """ "call my mother" as the assistant says it: "call your mother"."""
    return " ".join(_TURNED.get(word.lower(), word) for word in what.split())

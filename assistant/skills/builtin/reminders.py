"""Reminders: something to say at a time of day, or after a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from assistant.skills.builtin.picking import picked, which
from assistant.skills.contract import Outcome, Question
from assistant.skills.slot_types import Task, unread_repetition
from assistant.skills.timer_book import Timer, TimerBook
from assistant.text.en import wording
from assistant.text.en.dates import WEEKDAYS
from assistant.text.en.durations import duration as read_duration
from assistant.text.en.moments import Days, Moment, PlainMoment, moment
from assistant.text.en.words import Word, keys, said, words


def remind_after(what: Task, duration: timedelta, timers: TimerBook) -> str:
    """Remind somebody of something after a while."""
    timers.count_down("reminder", duration, _turned(what))
    return f"Okay, I'll remind you in {wording.duration(duration)}: {_turned(what)}."


def remind_at(what: Task, at: Moment, timers: TimerBook, now: datetime, days: Days | None = None) -> Outcome:
    """Remind somebody of something at a time of day."""
    at_days = days.at(at) if days else at
    local = at_days.after(now.replace(tzinfo=None), likely_awake=True) if at_days else None
    if at_days is None or local is None:
        return Outcome("When? That day has already passed, or you named two.")
    timers.set_for("reminder", local, _turned(what), at_days.every)
    return Outcome(f"Okay, I'll remind you {_when(local, at_days.every, now)}: {_turned(what)}.")


def remind_on(what: Task, at: PlainMoment, timers: TimerBook, now: datetime) -> Outcome:
    """Remind somebody of something at a time that can be nothing else."""
    return remind_at(what, at, timers, now)


class OnDays(str):
    """Words that name days."""

    __slots__ = ()

    @classmethod
    def from_words(cls, words: Sequence[Word]) -> OnDays | None:
        return cls(said(words)) if Days.from_keys(list(keys(words))) else None


class When(str):
    """Words that name a time, a day or a duration."""

    __slots__ = ()

    @classmethod
    def from_words(cls, words: Sequence[Word]) -> When | None:
        found = list(keys(words))
        length = read_duration(found[1:] if found[:1] == ["in"] else found)
        is_when = length is not None or moment(found) is not None or Days.from_keys(found) is not None
        return cls(said(words)) if is_when else None


def ask_reminder_time(what: str = "") -> Outcome:
    """Ask when to remind."""
    if unread_repetition(list(keys(words(what)))):
        return Outcome("Reminders can only repeat on days of the week.")
    if not what:
        return Outcome("Remind you of what, and when? For example: remind me to call home at six.")
    commands = (f"remind me to {what} at ...", f"remind me to {what} in ...", f"remind me to {what} ...")
    return Outcome("When?", question=Question(commands))


def ask_reminder_clock(what: Task, on: OnDays) -> Outcome:
    """Ask at what time of a day to remind."""
    question = Question((f"remind me {on} at ... to {what}", f"remind me {on} ... to {what}"))
    days = f"on {on}" if on.split()[0].lower() in WEEKDAYS else on
    return Outcome(f"What time {days}?", question=question)


def ask_reminder_what(when: When) -> Outcome:
    """Ask of what to remind."""
    found = list(keys(words(when)))
    bare = found[1:] if found[:1] == ["in"] else found
    if read_duration(bare) is None and moment(found) is None:
        return Outcome(f"Remind you of what, and what time {when}?")
    at = ("", "in ")[read_duration(bare) is not None and bare is found]
    commands = (f"remind me {at}{when} ...", f"remind me {at}{when} to ...")
    return Outcome("Remind you of what?", question=Question(commands))


def list_reminders(timers: TimerBook, now: datetime) -> str:
    """Tell which reminders are set."""
    reminders = timers.all("reminder")
    if not reminders:
        return "There are no reminders."
    things = wording.listing([f"{reminder.name} {_time(reminder, now)}" for reminder in reminders])
    return f"You have {wording.count(len(reminders), 'reminder')}: {things}."


def cancel_reminder(timers: TimerBook, now: datetime, what: str = "") -> Outcome:
    """Cancel the reminder, or the one of this."""
    reminders = timers.all("reminder")
    found, is_sure = picked(reminders, _turned(what))
    if not found:
        return Outcome("There is no such reminder." if reminders else "There are no reminders.")
    if len(found) > 1 and not is_sure:
        told = list_reminders(timers, now)
        return which(told, found, "cancel the reminder to ...", lambda reminder: _time(reminder, now))
    timers.cancel(found)
    if len(found) > 1:
        return Outcome(f"{wording.all_of(len(found), 'reminder')} canceled.")
    return Outcome(f"The reminder to {found[0].name} is canceled.")


def cancel_all_reminders(timers: TimerBook) -> str:
    """Cancel every reminder."""
    found = timers.all("reminder")
    timers.cancel(found)
    return f"{wording.all_of(len(found), 'reminder')} canceled." if found else "There are no reminders."


def _time(reminder: Timer, now: datetime) -> str:
    if reminder.local is None:
        return wording.from_now(reminder.left_s)
    return _when(reminder.local, reminder.every, now)


def _when(local: datetime, every: frozenset[int], now: datetime) -> str:
    if every:
        return f"{wording.weekdays(every)} at {wording.clock_of_day(local)}"
    return f"at {wording.when(local, now)}"


_TURNED = {"my": "your", "me": "you", "i": "you", "myself": "yourself", "mine": "yours", "im": "you're"}


def _turned(what: str) -> str:
    """Turn "call my mother" into what the assistant says: "call your mother"."""
    return " ".join(_TURNED.get(word.lower(), word) for word in what.split())

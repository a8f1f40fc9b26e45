"""What to say when timers, alarms and reminders ring, including late ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from assistant.skills.timer_book import Timer
from assistant.text.en import wording

LATE_S = 90.0
"""From this delay on it was missed: the appliance was off, or its clock was wrong."""


def announcement(ringing: Sequence[Timer], now: datetime) -> str:
    """Return one sentence for each: "Your pasta timer is done.", "It's seven o'clock." """
    return " ".join(_one(timer, now) for timer in ringing)


def _one(timer: Timer, now: datetime) -> str:
    if -timer.left_s >= LATE_S:
        due = now + timedelta(seconds=timer.left_s)
        return f"You missed {_what(timer)} {_ago(due, now)}."
    if timer.kind == "reminder":
        return f"Here is your reminder: {timer.name}."
    if timer.local:
        called = f" {wording.capital(timer.name)}." if timer.name else ""
        return f"It's {wording.clock(timer.local)}.{called}"
    return f"Your {title(timer)} is done."


def _what(timer: Timer) -> str:
    if timer.kind == "reminder":
        return f"a reminder to {timer.name}"
    return f"your {title(timer)}"


def _ago(due: datetime, now: datetime) -> str:
    days = (now.date() - due.date()).days
    if days == 0:
        return f"at {wording.clock(due)}"
    return f"at {wording.clock(due)} {'yesterday' if days == 1 else f'on {wording.calendar_day(due)}'}"


def title(timer: Timer) -> str:
    """Return what to call it: "pasta timer", "ten minute timer", "alarm"."""
    if timer.name and timer.kind != "reminder":
        return f"{timer.name} {timer.kind}"
    if timer.kind != "timer" or timer.duration is None:
        return timer.kind
    words = wording.duration(timer.duration)
    for unit in ("second", "minute", "hour", "day"):
        words = words.replace(f"{unit}s", unit)
    return f"{words} timer"

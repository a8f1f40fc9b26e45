"""English times of day: "half past six tomorrow", "7 am every weekday".

Pure and independent of the current time: "tomorrow" stays "tomorrow" until ``Moment.after`` is given the
time. If any word is left over, the result is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

from assistant.text.en.numbers import occur_in, whole

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_EVERY = {
    **dict.fromkeys(("day", "morning", "afternoon", "evening", "night"), frozenset(range(7))),
    **dict.fromkeys(("weekday", "weekdays", "workday", "workdays"), frozenset(range(5))),
    **dict.fromkeys(("weekend", "weekends"), frozenset((5, 6))),
}
_HALF = {"am": "am", "morning": "am", "pm": "pm", "afternoon": "pm", "evening": "pm", "night": "night"}
# fmt: off
_VOCABULARY = frozenset([
    *WEEKDAYS, *(f"{day}s" for day in WEEKDAYS), *_EVERY, "noon", "midday", "midnight", "oclock", "half",
    "quarter", "past", "pass", "after", "before", "to", "of", "at", "on", "in", "the", "minute", "minutes",
    "am", "pm", "tonight", "today", "tomorrow", "this", "next", "every", "each", "daily",
])
# fmt: on
_PLAIN = {"noon": 12, "midday": 12, "midnight": 0}


_WEEKDAY = "(" + " | ".join(f'"{day}"' for day in WEEKDAYS) + ")"


@dataclass(frozen=True, slots=True)
class Moment:
    """A clock time, with a day if one was named."""

    GRAMMAR: ClassVar[str] = (
        '("noon" | "midnight" | ([1-9] | "1" [0-2]) (":" [0-5] [0-9])? (" am" | " pm")) '
        f'(" " ("today" | "tomorrow" | ("on " | "every ") {_WEEKDAY} | "every day" | "every weekday"))?'
    )

    hour: int
    """0 to 23, or 1 to 12 if it could be either half of the day."""
    minute: int
    exact: bool = False
    """True if ``hour`` is on a 24-hour clock; otherwise it could be either half of the day."""
    day: str | None = None
    """today, tomorrow, overmorrow or a weekday; None means the next time the clock shows this."""
    every: frozenset[int] = frozenset()
    """Weekdays on which it repeats; Monday is 0."""

    def after(self, now: datetime, *, likely_morning: bool = False) -> datetime:
        """Return the first such moment after ``now``, both in local time without a zone.

        "seven" alone is the next seven o'clock. It is in the morning if another day is named, if it repeats,
        or if ``likely_morning``; then 5 to 11 are in the morning, and 12 to 4 in the afternoon.
        """
        hours = {self.hour} if self.exact else {self.hour % 12, self.hour % 12 + 12}
        if len(hours) == 2 and (self.every or likely_morning or self.day not in {None, "today"}):
            hours = {self.hour if 5 <= self.hour < 12 else self.hour % 12 + 12}
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        moments = (
            today + timedelta(days=ahead, hours=hour, minutes=self.minute)
            for ahead in range(9)
            for hour in hours
            if self._may_be(ahead, (now.weekday() + ahead) % 7)
        )
        return min(moment for moment in moments if moment > now)

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Moment | None:
        return moment(keys)

    def _may_be(self, days_ahead: int, weekday: int) -> bool:
        if self.every:
            return weekday in self.every
        if self.day in WEEKDAYS:
            return WEEKDAYS[weekday] == self.day and days_ahead > 0
        if self.day in {"tomorrow", "overmorrow"}:
            return days_ahead == (1 if self.day == "tomorrow" else 2)
        return True  # also "today": a time that has passed today can only mean the next


class DatedMoment(Moment):
    """A clock time with a day, such as "tomorrow at seven"."""

    __slots__ = ()

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Moment | None:
        dated = moment(keys)
        return dated if dated and (dated.day or dated.every) else None


class _When(NamedTuple):
    """What the words around a clock time say about its day, half of the day and repetition."""

    day: str | None = None
    half: str | None = None
    every: frozenset[int] = frozenset()


def moment(keys: Sequence[str]) -> Moment | None:
    """ "7 am", "half past six tomorrow", "tomorrow morning at 7:30", "18:05", "noon on friday"."""
    if not occur_in(_VOCABULARY, keys):
        return None
    left, when = list(keys), _When()
    while taken := _cut_end(left) or _cut_start(left):
        left, more = taken
        if any(old and new for old, new in zip(when, more, strict=True)):
            return None
        when = _When(when.day or more.day, when.half or more.half, when.every or more.every)
    if left[:1] == ["at"]:
        left = left[1:]
    clock = _clock(left)
    if clock is None or (when.day and when.every):
        return None
    clock = _in_half(clock, when.half) if when.half else clock
    return replace(clock, day=when.day, every=when.every) if clock else None


def _cut_end(left: list[str]) -> tuple[list[str], _When] | None:
    """Remove "... am", "... in the morning", "... tomorrow", "... on friday" from the end."""
    for length in (4, 3, 2, 1):
        if len(left) > length and (when := _when(tuple(left[-length:]))):
            return left[:-length], when
    return None


def _cut_start(left: list[str]) -> tuple[list[str], _When] | None:
    """Remove "tomorrow morning at ...", "on friday at ...", "every day at ..." from the start."""
    for length in (4, 3, 2, 1):
        if len(left) > length and (when := _when(tuple(left[:length]))) and (when.day or when.every):
            return left[length:], when
    return None


def _when(phrase: tuple[str, ...]) -> _When | None:  # noqa: PLR0911 - a table of phrases
    match phrase:
        case ("am" | "pm" as half,):
            return _When(half=half)
        case ("in", "the", "morning" | "afternoon" | "evening" | "night" as part) | ("at", "night" as part):
            return _When(half=_HALF[part])
        case ("tonight",):
            return _When("today", "night")
        case ("today" | "tomorrow" as day,):
            return _When(day)
        case ("this" | "tomorrow" as day, "morning" | "afternoon" | "evening" | "night" as part):
            return _When("today" if day == "this" else day, _HALF[part])
        case ("the", "day", "after", "tomorrow") | ("day", "after", "tomorrow"):
            return _When("overmorrow")
        case (day,) | ("on" | "this" | "next", day) if day in WEEKDAYS:
            return _When(day)
        case (day, part) | ("on" | "this" | "next", day, part) if day in WEEKDAYS and part in _HALF:
            return _When(day, _HALF[part])
        case ("daily",):
            return _When(every=_EVERY["day"])
        case ("every" | "each", day) if day in _EVERY:
            return _When(half=_HALF.get(day), every=_EVERY[day])
        case ("on" | "at", day) if day in {"weekdays", "workdays", "weekends"}:
            return _When(every=_EVERY[day])
        case ("every" | "each", day) | ("on", day) if day.removesuffix("s") in WEEKDAYS:
            return _When(every=frozenset((WEEKDAYS.index(day.removesuffix("s")),)))
    return None


def _clock(left: Sequence[str]) -> Moment | None:  # noqa: PLR0911 - a table of forms
    """Parse a clock time alone: "7", "7:30", "seven thirty", "730", "half past six", "ten to 8", "noon"."""
    match list(left):
        case ["half", "past" | "pass", hour] | ["half", hour]:
            return _at(hour, 30)
        case [*minutes, "past" | "pass" | "after", hour] if minutes:
            past = _minutes(minutes)
            return _at(hour, past) if past else None
        case [*minutes, "to" | "2" | "before" | "of", hour] if minutes:
            left_minutes, full = _minutes(minutes), _at(hour, 0)
            if not left_minutes or not full:
                return None
            earlier = (full.hour - 1) % 24 if full.exact else (full.hour - 2) % 12 + 1
            return replace(full, hour=earlier, minute=60 - left_minutes)
        case [hour, "oclock"] | [hour]:
            return _from_digits(hour) or _at(hour, 0)
        case [hour, "oh" | "o" | "zero" | "0", minute]:
            past = whole([minute])
            return _at(hour, past) if past is not None and past < 10 else None
        case [hour, *minutes]:
            past = whole(minutes)
            return _at(hour, past) if past is not None and past >= 10 else None
    return None


def _minutes(keys: Sequence[str]) -> int | None:
    if list(keys) in (["quarter"], ["a", "quarter"]):
        return 15
    minutes = whole([key for key in keys if key not in {"minute", "minutes"}])
    return minutes if minutes is not None and 0 < minutes < 60 else None


def _from_digits(digits: str) -> Moment | None:
    """7:30, 7.30, 730, 1830."""
    hour, colon, minute = digits.replace(".", ":").partition(":")
    if not colon and len(digits) in (3, 4):
        hour, minute = digits[:-2], digits[-2:]
    if len(minute) != 2 or not (hour + minute).isdecimal():
        return None
    return _at(hour, int(minute))


def _at(hour_key: str, minute: int) -> Moment | None:
    if hour_key in _PLAIN:
        return Moment(_PLAIN[hour_key], minute, exact=True)
    hour = whole([hour_key])
    if hour is None or not (0 <= hour < 24 and 0 <= minute < 60):
        return None
    return Moment(hour, minute, exact=hour == 0 or hour > 12 or hour_key.startswith("0"))


def _in_half(clock: Moment, half: str) -> Moment | None:
    """Place the clock time in that half of the day; None if it cannot be ("18:00 am")."""
    if half == "night":  # twelve to four at night are after midnight, five to eleven before it
        half = "am" if clock.hour in {0, 12, 1, 2, 3, 4} else "pm"
    if clock.exact:
        return clock if (clock.hour >= 12) == (half == "pm") else None
    return replace(clock, hour=clock.hour % 12 + (12 if half == "pm" else 0), exact=True)

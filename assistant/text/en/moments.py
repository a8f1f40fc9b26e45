"""English words for when: "half past six tomorrow", "7 am on weekdays", "december 24th at 6 pm".

Pure and independent of the current time: "tomorrow" stays "tomorrow" until ``Moment.after`` is given the
time. If any word is left over, the result is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import ClassVar, NamedTuple

from assistant.text.en.dates import VOCABULARY as _DATE_WORDS
from assistant.text.en.dates import WEEKDAYS, Day, day, repeating
from assistant.text.en.numbers import occur_in, whole

_HALF = {"am": "am", "morning": "am", "pm": "pm", "afternoon": "pm", "evening": "pm", "night": "night"}
_HALF |= {f"{part}s": half for part, half in _HALF.items() if len(part) > 2}
# fmt: off
_VOCABULARY = _DATE_WORDS | frozenset([
    *_HALF, "noon", "midday", "midnight", "oclock", "half", "quarter", "past", "pass", "after", "before",
    "to", "til", "of", "at", "minute", "minutes", "p", "m", "tonight", "hours", "hundred", "daily", "around",
])
# fmt: on
_PLAIN = {"noon": 12, "midday": 12, "midnight": 0}
_LONGEST_DAY = 9
"""Words: "on the twenty fourth of december twenty twenty five" has one more and is peeled in two."""

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
    """``hour`` counts to 24; otherwise it may be in either half of the day."""
    day: Day | None = None
    """None is the next time the clock shows it."""
    every: frozenset[int] = frozenset()
    """Weekdays on which it repeats; Monday is 0."""
    is_plain: bool = False
    """Said so that it can be nothing else: with a day, a half of the day, "past", "o'clock" or a colon."""

    def after(
        self, now: datetime, *, likely_morning: bool = False, likely_awake: bool = False
    ) -> datetime | None:
        """The first such moment after ``now``, both local time without a zone; None when it is over.

        "seven" alone is the next seven o'clock. It is the morning's when another day is named,
        when it repeats, and when ``likely_morning``; so are 5 to 11, but 12 to 4 are the afternoon's.
        With ``likely_awake`` it is between seven in the morning and half past ten at night.
        """
        hours = {self.hour} if self.exact else {self.hour % 12, self.hour % 12 + 12}
        if len(hours) == 2 and likely_awake:
            hours = {hour for hour in hours if 7 <= hour < 22} or hours
        elif len(hours) == 2 and (self.every or likely_morning or not self._may_be_today):
            hours = {self.hour if 5 <= self.hour < 12 else self.hour % 12 + 12}
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        moments = (
            datetime.combine(date, time(hour, self.minute))
            for date in self._dates(today.date())
            for hour in sorted(hours)
        )
        return next((moment for moment in moments if moment > now), None)

    @property
    def _may_be_today(self) -> bool:
        return self.day is None or self.day.ahead == 0

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Moment | None:
        return moment(keys)

    def _dates(self, today: date) -> Iterator[date]:
        if self.day is not None and self.day.ahead != 0:
            return self.day.dates(today)
        # Also for "today": a time that has passed today can only mean the next.
        dates = (today + timedelta(days=ahead) for ahead in range(9))
        return (date for date in dates if not self.every or date.weekday() in self.every)


class PlainMoment(Moment):
    """A moment that is said so that it can be nothing else: "tomorrow at seven", "5 pm", "half past six"."""

    __slots__ = ()

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Moment | None:
        found = moment(keys)
        return found if found and found.is_plain else None


class ExactMoment(Moment):
    """A moment that cannot also be a duration: "5 pm", "18:30", "noon", "tomorrow at seven"."""

    __slots__ = ()

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Moment | None:
        found = moment(keys)
        is_clear = found and (found.day or found.every or (found.exact and found.is_plain and found.hour > 0))
        return found if is_clear else None


@dataclass(frozen=True, slots=True)
class Days:
    """Days without a time: "tomorrow", "on weekdays", "daily"."""

    GRAMMAR: ClassVar[str] = (
        f'("today" | "tomorrow" | ("on " | "every ") {_WEEKDAY} | "every day" | "every weekday")'
    )

    day: Day | None
    every: frozenset[int]
    half: str | None = None

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Days | None:
        if not occur_in(_VOCABULARY, keys):
            return None
        said = tuple(keys)
        if said in (("weekday",), ("weekend",), ("workday",)):  # "a weekday alarm"
            said = ("every", *said)
        found = _when(said)
        return cls(found.day, found.every, found.half) if found and (found.day or found.every) else None

    def at(self, clock: Moment) -> Moment | None:
        """That clock time on these days; None when it names days itself."""
        if clock.day or clock.every:
            return None
        timed = _in_half(clock, self.half) if self.half else clock
        return replace(timed, day=self.day, every=self.every, is_plain=True) if timed else None


class _When(NamedTuple):
    """What the words around a clock time say about its day, half of the day and repetition."""

    day: Day | None = None
    half: str | None = None
    every: frozenset[int] = frozenset()


def moment(keys: Sequence[str]) -> Moment | None:
    """ "7 am", "half past six tomorrow", "tomorrow morning at 7:30", "18:05", "noon on friday"."""
    if not occur_in(_VOCABULARY, keys):
        return None
    left, when = _joined(keys), _When()
    while taken := _cut_end(left) or _cut_start(left):
        left, more = taken
        both = _both(when, more)
        if both is None:
            return None
        when = both
    is_apart = False
    while left and left[0] in {"at", "for", "around"}:
        left, is_apart = left[1:], True
    clock = _clock(left) if left else None
    if clock is None or (when.day and when.every):
        return None
    if when.day and when.day.number and not when.day.month and not (is_apart or when.half or len(left) > 1):
        return None  # "the first one" is no time
    is_plain = any(when) or len(left) > 1 or ":" in left[0] or left[0] in _PLAIN
    clock = _in_half(clock, when.half) if when.half else clock
    return replace(clock, day=when.day, every=when.every, is_plain=is_plain) if clock else None


def _both(one: _When, other: _When) -> _When | None:
    """What two phrases say together; None where they say the same thing twice, but for "tonight at 8 pm"."""
    if (one.day and other.day) or (one.every and other.every):
        return None
    half = one.half or other.half
    if one.half and other.half and one.half != other.half:
        if {one.half, other.half} != {"night", "pm"}:
            return None
        half = "pm"
    return _When(one.day or other.day, half, one.every or other.every)


def _joined(keys: Sequence[str]) -> list[str]:
    """The keys with "p m" as one."""
    joined: list[str] = []
    for key in keys:
        if key == "m" and joined and joined[-1] in {"a", "p"}:
            joined[-1] += "m"
        else:
            joined.append(key)
    return joined


def _cut_end(left: list[str]) -> tuple[list[str], _When] | None:
    """Take off "... am", "... in the morning", "... tomorrow", "... on friday"."""
    for length in range(min(_LONGEST_DAY, len(left) - 1), 0, -1):
        if when := _when(tuple(left[-length:])):
            return left[:-length], when
    return None


def _cut_start(left: list[str]) -> tuple[list[str], _When] | None:
    """Take off "tomorrow morning at ...", "on friday at ...", "every day at ..."."""
    for length in range(min(_LONGEST_DAY, len(left) - 1), 0, -1):
        if (when := _when(tuple(left[:length]))) and (when.day or when.every or length > 1):
            return left[length:], when
    return None


@cache
def _when(phrase: tuple[str, ...]) -> _When | None:  # noqa: PLR0911 - a table of phrases
    match phrase:
        case ("am" | "pm" as half,):
            return _When(half=half)
        case ("in", "the", "morning" | "afternoon" | "evening" | "night" as part) | ("at", "night" as part):
            return _When(half=_HALF[part])
        case ("tonight",):
            return _When(Day(ahead=0), "night")
        case ("this", part) | ("this", part, "at") if part in _HALF:
            return _When(Day(ahead=0), _HALF[part])
        case ("every" | "each", part) if part in _HALF:
            return _When(half=_HALF[part], every=frozenset(range(7)))
    *before, last = phrase
    if last in _HALF and len(last) > 2 and before:  # tomorrow morning, mondays in the evening
        in_the = before[-2:] == ["in", "the"]
        days = tuple(before[:-2] if in_the else before)
        # "monday mornings" come every week
        found = (_every(("every", *days)) if last.endswith("s") else None) or (_when(days) if days else None)
        return found._replace(half=_HALF[last]) if found and not found.half else None
    found_day = day(phrase)
    if found_day is not None:
        return _When(found_day) if found_day.ahead is None or found_day.ahead >= 0 else None
    return _every(phrase)


def _every(phrase: tuple[str, ...]) -> _When | None:
    days = repeating(phrase)
    return _When(every=days) if days else None


def _clock(left: Sequence[str]) -> Moment | None:  # noqa: PLR0911 - a table of forms
    """Parse a clock time alone: "7", "7:30", "seven thirty", "730", "half past six", "ten to 8", "noon"."""
    match list(left):
        case ["12" | "twelve", "noon" | "midday" | "midnight" as name]:
            return _at(name, 0)
        case [*hour, "hours"] if len(hour) < 4:
            return _in_hours(hour)
        case [*hour, "hundred"] if len(hour) in (1, 2):
            return _in_hours(left)
        case ["half", "past" | "pass", hour] | ["half", hour]:
            return _at(hour, 30)
        case [*minutes, "past" | "pass" | "after", hour] if minutes:
            past = _minutes(minutes)
            return _at(hour, past) if past else None
        case [*minutes, "to" | "2" | "before" | "of" | "till" | "til" | "until", hour] if minutes:
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
            zero = len(minutes) == 1 and len(minutes[0]) == 2 and minutes[0].isdecimal()  # 6 05
            return _at(hour, past) if past is not None and (past >= 10 or zero) else None
    return None


def _in_hours(keys: Sequence[str]) -> Moment | None:
    """ "0600" hours, "six hundred" hours, "eighteen thirty" hours: the clock of 24 hours."""
    if len(keys) == 1 and len(keys[0]) == 4 and keys[0].isdecimal():
        hour, minute = int(keys[0][:2]), int(keys[0][2:])
    else:
        plain = [key for key in keys if key not in {"zero", "oh", "o"}]
        if not plain or (len(plain) == 1 and "hundred" not in keys):
            return None
        if plain[-1] == "hundred":
            hour_said, minute_said = whole(plain[:-1]), 0
        else:
            hour_said, minute_said = whole(plain[:1]), whole(plain[1:]) or 60
        hour, minute = 24 if hour_said is None else hour_said, minute_said
    return Moment(hour, minute, exact=True) if hour < 24 and minute < 60 else None


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

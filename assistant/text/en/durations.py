"""English durations: "ten minutes", "an hour and a half". Pure; every word must be used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction

from assistant.text.en.numbers import number, occur_in

_SECONDS = {
    **dict.fromkeys(("second", "seconds", "sec", "secs"), 1),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), 60),
    **dict.fromkeys(("hour", "hours", "hr", "hrs"), 3600),
    **dict.fromkeys(("day", "days"), 86_400),
    **dict.fromkeys(("week", "weeks"), 7 * 86_400),
}

_HEARD = {"to": 2, "too": 2, "for": 4, "fore": 4, "won": 1, "ate": 8}
"""Words that a recognizer may write for numbers. Before a unit nothing else makes sense."""

_VOCABULARY = frozenset([*_SECONDS, *_HEARD, "of", "single", "couple", "in"])

LONGEST = timedelta(days=36_600)
"""A hundred years stand for everything longer."""


def duration(keys: Sequence[str]) -> timedelta | None:
    """ "ten minutes", "1 hour and 30 seconds", "an hour and a half", "half an hour"."""
    if not occur_in(_VOCABULARY, keys) or _is_clock_of_24_hours(keys):
        return None
    seconds = Fraction(0)
    unit_before = int(LONGEST.total_seconds()) + 1
    start = 0
    for position, key in enumerate(keys):
        unit_s = _SECONDS.get(key)
        if unit_s is None:
            continue
        is_bare = position == 0 and len(keys) > 1 and key in {"hour", "minute"}  # "hour and a half"
        count = Fraction(1) if is_bare else _count(keys[start:position], first=start == 0)
        if count is None or unit_s >= unit_before:
            return None
        seconds += count * unit_s
        unit_before, start = unit_s, position + 1
    rest = keys[start:]
    if rest:
        part = number(rest[1:] if rest[0] == "and" else rest) if start else None
        if part is None or (part.denominator != 1 and rest[0] != "and"):
            return None
        if part.denominator != 1:  # an hour and a half
            seconds += part * Fraction(unit_before)
        elif unit_before in _SMALLER and 10 <= part < 60 and len(_units(keys)) == 1:  # an hour thirty
            seconds += part * _SMALLER[unit_before]
        else:
            return None
    length = timedelta(seconds=round(float(min(seconds, Fraction(LONGEST.total_seconds()))), 3))
    return length if timedelta(0) < length else None


_SMALLER = {3600: 60, 60: 1}


def _units(keys: Sequence[str]) -> list[str]:
    return [key for key in keys if key in _SECONDS]


def _is_clock_of_24_hours(keys: Sequence[str]) -> bool:
    """ "0600 hours" and "six hundred hours" are times of day."""
    return keys[-1] == "hours" and (
        (keys[0].startswith("0") and len(keys[0]) == 4) or keys[-2:-1] in (["hundred"], ("hundred",))
    )


def _count(keys: Sequence[str], *, first: bool) -> Fraction | None:
    """The amount before a unit: "ten", "an", "and 30", "half an", "three quarters of an"."""
    if keys and keys[0] in {"and", "in"} and not first:  # "and" is often recognized as "in"
        keys = keys[1:]
    if not keys:
        return None
    if list(keys) in (["a"], ["an"], ["one", "single"]):
        return Fraction(1)
    if len(keys) == 1 and keys[0] in _HEARD:
        return Fraction(_HEARD[keys[0]])
    if keys[-1] in {"a", "an"}:
        keys = keys[:-2] if len(keys) > 2 and keys[-2] == "of" else keys[:-1]
        part = number(keys)
        return part if part is not None and 0 < part < 1 else None
    if list(keys) in (["a", "couple", "of"], ["a", "couple"], ["couple", "of"]):
        return Fraction(2)
    count = number(keys)
    return count if count is not None and count >= 0 else None

"""Numbers, times and durations as a person says them. Pure; American English."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction

from assistant.text.en.numbers import cardinal, digits, ordinal, year

# fmt: off
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)
# fmt: on
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LARGEST = 10**15
"""Numbers from here on have no everyday name."""


def number(value: int | float | Fraction, decimals: int = 3) -> str:
    """Say a number: "eighty-four", "minus two point five"; rounded to ``decimals``. The absolute value must
    be below LARGEST.
    """
    exact = round(Fraction(value), decimals)
    whole, rest = divmod(abs(exact), 1)
    words = ("minus " if exact < 0 else "") + cardinal(int(whole))
    if rest:
        words += " point " + digits(f"{int(rest * 10**decimals):0{decimals}d}".rstrip("0"))
    return words


def about(value: Fraction) -> str:
    """Say a result: exact if it is short, otherwise "about" and roughly three digits."""
    if (value * 10_000).denominator == 1:
        return number(value, 4)
    size = abs(value)
    decimals = 2 if size >= 1 else 2 - math.floor(math.log10(size))
    return f"about {number(value, min(decimals, 12))}"


_PARTS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 8: "eighth", 10: "tenth"}


def fraction(value: Fraction) -> str:
    """Say a fraction: "half", "a third", "three quarters"; in decimals if it has no name."""
    part = _PARTS.get(value.denominator)
    if part is None or value.numerator >= value.denominator:
        return number(value)
    if value.numerator == 1:
        return part if part == "half" else f"a {part}" if part != "eighth" else "an eighth"
    return f"{number(value.numerator)} {part}s"


def part(value: Fraction) -> str:
    """ "one third", "two and a half": a number that was said as a fraction; others as ``number``."""
    whole, rest = divmod(value, 1)
    if rest.denominator not in _PARTS or value < 0:
        return number(value)
    if not whole:
        one = fraction(rest)
        return f"one {one.split(' ')[-1]}" if rest.numerator == 1 else one
    return f"{number(whole)} and {fraction(rest) if rest != Fraction(1, 2) else 'a half'}"


def count(value: int, thing: str, things: str = "") -> str:
    """Say a count: "one timer", "two timers"."""
    return f"{number(value)} {thing if value == 1 else things or thing + 's'}"


def all_of(value: int, thing: str) -> str:
    """Begin a sentence: "The timer is", "Both timers are", "All three timers are"."""
    if value == 1:
        return f"The {thing} is"
    return f"{'Both' if value == 2 else f'All {number(value)}'} {thing}s are"


def capital(words: str) -> str:
    """Capitalize the first letter."""
    return words[:1].upper() + words[1:]


def listing(things: Sequence[str]) -> str:
    """Say a list: "milk", "milk and eggs", "milk, eggs, and bread"."""
    if len(things) > 2:
        return f"{', '.join(things[:-1])}, and {things[-1]}"
    return " and ".join(things)


def duration(length: timedelta) -> str:
    """Say a duration: "one hour and thirty minutes"; at least one second."""
    seconds = max(1, round(length.total_seconds()))
    units = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
    said = []
    for unit_s, name in units:
        of_unit, seconds = divmod(seconds, unit_s)
        if of_unit:
            said.append(count(of_unit, name))
    return listing(said)


def time_left(length: timedelta) -> str:
    """Say a duration as precisely as someone waiting needs it: no seconds beside hours, no minutes beside
    days.
    """
    seconds = length.total_seconds()
    if seconds >= 600:
        step_s = 3600 if seconds >= 2 * 86_400 else 60
        length = timedelta(seconds=max(step_s, round(seconds / step_s) * step_s))
    return duration(length)


def from_now(seconds: float) -> str:
    """Say "in ten minutes" or "now"."""
    return f"in {time_left(timedelta(seconds=seconds))}" if seconds > 0 else "now"


def clock(moment: datetime) -> str:
    """Say a clock time: "three o'clock", "ten past three", "half past six", "quarter to five", "noon"."""
    hour, minute = moment.hour, moment.minute
    if minute == 0:
        return {0: "midnight", 12: "noon"}.get(hour, f"{_hour(hour)} o'clock")
    if minute == 30:
        return f"half past {_hour(hour)}"
    if minute in (15, 45):
        return f"quarter past {_hour(hour)}" if minute == 15 else f"quarter to {_hour(hour + 1)}"
    if minute in (5, 10, 20, 25):
        return f"{cardinal(minute)} past {_hour(hour)}"
    if minute in (35, 40, 50, 55):
        return f"{cardinal(60 - minute)} to {_hour(hour + 1)}"
    return f"{_hour(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)}"


def _hour(hour: int) -> str:
    return cardinal((hour - 1) % 12 + 1)


def clock_of_day(moment: datetime) -> str:
    """Say a clock time with its part of the day: "half past six in the morning", "noon"."""
    if moment.minute == 0 and moment.hour in (0, 12):
        return clock(moment)
    if moment.hour < 12:
        part = "in the morning"
    elif moment.hour < 18:
        part = "in the afternoon"
    else:
        part = "in the evening" if moment.hour < 22 else "at night"
    return f"{clock(moment)} {part}"


def day(moment: date, today: date) -> str:
    """Say a day: "today", "tomorrow", "on Friday", "on March second"."""
    ahead = (moment - today).days
    if ahead in (0, 1):
        return ("today", "tomorrow")[ahead]
    if 1 < ahead < 7:
        return f"on {DAYS[moment.weekday()]}"
    far = f", {year(moment.year)}" if abs(ahead) > 300 else ""
    return f"on {DAYS[moment.weekday()]}, {calendar_day(moment)}{far}"


def when(moment: datetime, now: datetime) -> str:
    """Say a time with its day: "half past six tomorrow morning", "three o'clock this afternoon", "noon on
    Friday".
    """
    ahead = (moment.date() - now.date()).days
    if moment.minute == 0 and moment.hour == 0 and ahead == 1:
        return "midnight tonight"
    if moment.minute == 0 and moment.hour in (0, 12):
        return f"{clock(moment)} {day(moment.date(), now.date())}"
    part = clock_of_day(moment).removeprefix(clock(moment)).split()[-1]
    if ahead == 0:
        return f"{clock(moment)} {'tonight' if part == 'night' else f'this {part}'}"
    if ahead == 1:
        return f"{clock(moment)} tomorrow {part}"
    return f"{clock_of_day(moment)} {day(moment.date(), now.date())}"


def calendar_day(moment: date) -> str:
    """Say a date: "November twenty-third"."""
    return f"{_MONTHS[moment.month - 1]} {ordinal(moment.day)}"


def month(moment: date) -> str:
    return _MONTHS[moment.month - 1]


def weekdays(every: frozenset[int]) -> str:
    """ "every day", "Monday to Friday", "every Saturday and Sunday", "every day except Sunday"."""
    if every == frozenset(range(7)):
        return "every day"
    if every == frozenset(range(5)):
        return "Monday to Friday"
    if len(every) == 6:
        (free,) = frozenset(range(7)) - every
        return f"every day except {DAYS[free]}"
    return "every " + listing([DAYS[weekday] for weekday in sorted(every)])

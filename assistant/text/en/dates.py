"""English dates: "tomorrow", "friday the 28th", "in two weeks", "christmas eve", "weekdays".

Pure and independent of the current date: "friday" stays "friday" until ``Day.dates`` is given today's date.
Every word must be used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count

from assistant.text.en.numbers import occur_in, ordinal_number, whole

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# fmt: off
_MONTH_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)
# fmt: on
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)} | {
    **{name[:3]: number for number, name in enumerate(_MONTH_NAMES, 1) if name not in ("march", "may")},
    "sept": 9,
}
MONTHS_WORD = frozenset(name for name in _MONTH_NAMES if name not in ("march", "may"))
"""Names of months that have no other meaning."""
_GROUPS = {"day": range(7), "weekday": range(5), "workday": range(5), "weekend": (5, 6)}
_UNIT_DAYS = {"day": 1, "days": 1, "week": 7, "weeks": 7, "fortnight": 14, "fortnights": 14}
_NEAR = {"today": 0, "tomorrow": 1, "overmorrow": 2, "yesterday": -1}
_YEARS_TRIED = 8
"""February 29th recurs after eight years at the latest, from 1896 to 1904."""


def _nth(month: int, nth: int, weekday: int) -> Callable[[int], date]:
    """Return the ``nth`` such weekday of that month; -1 is the last."""

    def of(year: int) -> date:
        if nth > 0:
            first = date(year, month, 1)
            return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7)

    return of


def _after_easter(days: int) -> Callable[[int], date]:
    """Return the day that many days after Easter Sunday (Butcher's rule, for the Gregorian calendar)."""

    def of(year: int) -> date:
        a, b, c = year % 19, year // 100, year % 100
        h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
        k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
        m = (a + 11 * h + 22 * k) // 451
        month, day = divmod(h + k - 7 * m + 114, 31)
        return date(year, month, day + 1) + timedelta(days=days)

    return of


def _on(month: int, day: int) -> Callable[[int], date]:
    return lambda year: date(year, month, day)


HOLIDAYS: dict[str, Callable[[int], date]] = {
    **dict.fromkeys(("new years day", "new years", "new year", "new year day"), _on(1, 1)),
    **dict.fromkeys(("mlk day", "martin luther king day"), _nth(1, 3, 0)),
    **dict.fromkeys(("valentines day", "valentines", "valentine day"), _on(2, 14)),
    "presidents day": _nth(2, 3, 0),
    **dict.fromkeys(("st patricks day", "saint patricks day"), _on(3, 17)),
    **dict.fromkeys(("april fools day", "april fools"), _on(4, 1)),
    "epiphany": _on(1, 6),
    "groundhog day": _on(2, 2),
    "earth day": _on(4, 22),
    "cinco de mayo": _on(5, 5),
    "bastille day": _on(7, 14),
    "all saints day": _on(11, 1),
    **dict.fromkeys(("guy fawkes night", "bonfire night"), _on(11, 5)),
    **dict.fromkeys(("st nicholas day", "saint nicholas day"), _on(12, 6)),
    **dict.fromkeys(("mardi gras", "shrove tuesday", "pancake day"), _after_easter(-47)),
    "ascension day": _after_easter(39),
    "whit monday": _after_easter(50),
    "corpus christi": _after_easter(60),
    "ash wednesday": _after_easter(-46),
    "palm sunday": _after_easter(-7),
    "good friday": _after_easter(-2),
    **dict.fromkeys(("easter", "easter sunday"), _after_easter(0)),
    "easter monday": _after_easter(1),
    **dict.fromkeys(("pentecost", "whit sunday"), _after_easter(49)),
    **dict.fromkeys(("mothers day", "mother day"), _nth(5, 2, 6)),
    "memorial day": _nth(5, -1, 0),
    **dict.fromkeys(("fathers day", "father day"), _nth(6, 3, 6)),
    "juneteenth": _on(6, 19),
    "independence day": _on(7, 4),
    **dict.fromkeys(("labor day", "labour day"), _nth(9, 1, 0)),
    **dict.fromkeys(("columbus day", "indigenous peoples day"), _nth(10, 2, 0)),
    "halloween": _on(10, 31),
    "veterans day": _on(11, 11),
    "thanksgiving": _nth(11, 4, 3),
    "thanksgiving day": _nth(11, 4, 3),
    "cyber monday": lambda year: _nth(11, 4, 3)(year) + timedelta(days=4),
    "black friday": lambda year: _nth(11, 4, 3)(year) + timedelta(days=1),
    "christmas eve": _on(12, 24),
    **dict.fromkeys(("christmas", "christmas day", "xmas"), _on(12, 25)),
    "boxing day": _on(12, 26),
    **dict.fromkeys(("new years eve", "new year eve"), _on(12, 31)),
}
"""Holidays of the United States and the major Christian ones: name, and the date in a year."""

# fmt: off
VOCABULARY = frozenset([
    *WEEKDAYS, *(f"{name}s" for name in WEEKDAYS), *_MONTHS, *_GROUPS, *(f"{name}s" for name in _GROUPS),
    *_UNIT_DAYS, *_NEAR, *(word for name in HOLIDAYS for word in name.split()), "the", "of", "on", "in",
    "from", "now", "after", "before", "this", "next", "coming", "every", "each", "daily", "all", "and", "to",
    "through", "thru", "till", "until", "except", "but", "not", "for", "a", "an", "couple", "at",
])
"""Words that name days, besides numbers."""
# fmt: on


@dataclass(frozen=True, slots=True)
class Day:
    """A day as people name it."""

    ahead: int | None = None
    """Days from today."""
    weekday: int | None = None
    """Monday is 0; alone, the next such day after today."""
    weeks: int = 0
    """Weeks after the next ``weekday``."""
    month: int | None = None
    number: int | None = None
    """Day of the month."""
    year: int | None = None
    holiday: str = ""

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Day | None:
        return day(keys)

    def dates(self, today: date) -> Iterator[date]:
        """Yield the days it may be, from today on, nearest first; only "yesterday" is in the past."""
        if self.ahead is not None:
            yield today + timedelta(days=self.ahead)
        elif self.holiday:
            for year in range(today.year, today.year + _YEARS_TRIED):
                if (day := HOLIDAYS[self.holiday](year)) >= today:
                    yield day
        elif self.number is not None:
            yield from (day for day in self._numbered(today) if self.weekday in {None, day.weekday()})
        elif self.weekday is not None:
            first = today + timedelta(days=(self.weekday - today.weekday() - 1) % 7 + 1 + 7 * self.weeks)
            yield from (first + timedelta(days=7 * week) for week in range(2))

    def _numbered(self, today: date) -> Iterator[date]:
        assert self.number is not None  # noqa: S101 - only asked then
        months: Iterator[tuple[int, int]] = (
            divmod(today.year * 12 + today.month - 1 + more, 12) for more in count()
        )
        if self.year is not None:
            months = iter([(self.year, (self.month or 1) - 1)])
        for year, month in months:
            if year >= today.year + _YEARS_TRIED and self.year is None:
                return
            day = _date(year, month + 1, self.number) if self.month in {None, month + 1} else None
            if day and (day >= today or self.year is not None):
                yield day


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:  # February 30th
        return None


def day(keys: Sequence[str]) -> Day | None:  # noqa: PLR0911, PLR0912 - a table of forms
    """Parse "tomorrow", "on friday", "in 2 days", "a week from monday", "december 24th", "christmas"."""
    if not occur_in(VOCABULARY, keys):
        return None
    keys = tuple(keys[1:] if keys[0] in {"on", "for"} else keys)
    match keys:
        case (near,) if near in _NEAR:
            return Day(ahead=_NEAR[near])
        case ("the", "day", "after", "tomorrow") | ("day", "after", "tomorrow"):
            return Day(ahead=2)
        case ("the", "day", "before", "yesterday") | ("day", "before", "yesterday"):
            return Day(ahead=-2)
        case ("this" | "next" | "coming", weekday) | ("the", "next" | "coming", weekday) if (
            weekday in WEEKDAYS
        ):
            return Day(weekday=WEEKDAYS.index(weekday))
        case (weekday,) if weekday in WEEKDAYS:
            return Day(weekday=WEEKDAYS.index(weekday))
        case (weekday, "week") if weekday in WEEKDAYS:
            return Day(weekday=WEEKDAYS.index(weekday), weeks=1)
        case ("the", weekday, "after", "next") if weekday in WEEKDAYS:
            return Day(weekday=WEEKDAYS.index(weekday), weeks=1)
        case (*span, "from" | "after", start) | (*span, "on", start) if (days := _days(span)) is not None:
            if start in {"now", "today"}:
                return Day(ahead=days)
            if start == "tomorrow":
                return Day(ahead=days + 1)
            if start in WEEKDAYS and days % 7 == 0:
                return Day(weekday=WEEKDAYS.index(start), weeks=days // 7)
            return None
        case ("in", *span) if (days := _days(span)) is not None:
            return Day(ahead=days)
    name = " ".join(keys[1:] if keys[:1] in {("this",), ("next",), ("the",)} else keys)
    return Day(holiday=name) if name in HOLIDAYS else _numbered(keys)


def _days(span: Sequence[str]) -> int | None:
    """Parse "2 days", "a week", "a couple of weeks"; returns the number of days."""
    if len(span) < 2 or span[-1] not in _UNIT_DAYS:
        return None
    count_keys = list(span[:-1])
    if count_keys in (["a", "couple", "of"], ["a", "couple"], ["couple", "of"]):
        many: int | None = 2
    else:
        many = 1 if count_keys in (["a"], ["one"], ["an"]) else whole(count_keys)
    return many * _UNIT_DAYS[span[-1]] if many is not None and 0 < many <= 400 else None


def _numbered(keys: Sequence[str]) -> Day | None:  # noqa: PLR0911 - a table of forms
    """Parse "december 24th", "the 24th of december 2026", "20 april", "the 28th", "friday the 28th",
    "12/24".
    """
    if keys and keys[0] in WEEKDAYS:
        dated = _numbered(keys[1:])
        return replace(dated, weekday=WEEKDAYS.index(keys[0])) if dated and dated.weekday is None else None
    if len(keys) in (3, 5) and keys[1] == "/":  # month first, as in the United States
        month, number = whole(keys[:1]), whole(keys[2:3])
        year = _year(keys[4:]) if len(keys) == 5 and keys[3] == "/" else None
        if month is None or number is None or (len(keys) == 5 and year is None):
            return None
        return _valid(month, number, year)
    place = next((place for place, key in enumerate(keys) if key in _MONTHS), None)
    if place is None:
        number = ordinal_number(keys[1:]) if keys[:1] == ("the",) else ordinal_number(keys)
        return Day(number=number) if number and 1 <= number <= 31 and _is_clear(keys) else None
    before, after = keys[:place], keys[place + 1 :]
    if before:
        before = before[:-1] if before[-1] == "of" else before
        number = _number(before[1:] if before[:1] == ("the",) else before)
        year = _year(after) if after else None
        return _valid(_MONTHS[keys[place]], number, year) if number and (year or not after) else None
    after = after[1:] if after[:1] == ("the",) else after
    for length in (len(after), 2, 1):
        number, rest = _number(after[:length]), after[length:]
        year = _year(rest) if rest else None
        if number and (year or not rest):
            return _valid(_MONTHS[keys[place]], number, year)
    return None


def _is_clear(keys: Sequence[str]) -> bool:
    """True if a number clearly means a day: number words only after "the"; "28th" always."""
    return keys[0] == "the" or keys[0][0].isdigit()


def _valid(month: int, number: int, year: int | None) -> Day | None:
    known = 1 <= month <= 12 and 1 <= number <= 31 and _date(year or 2024, month, number) is not None
    return Day(month=month, number=number, year=year) if known else None


def _number(keys: Sequence[str]) -> int | None:
    return ordinal_number(keys) or whole(keys)


def _year(keys: Sequence[str]) -> int | None:
    """Parse "2026", "twenty twenty six", "two thousand and twenty six"."""
    year = whole(keys)
    if year is None and len(keys) in (2, 3):
        century, rest = whole(keys[:1]), whole(keys[1:])
        year = century * 100 + rest if century and rest is not None and 10 <= rest < 100 else None
    return year if year is not None and 1900 <= year < 2200 else None


def repeating(keys: Sequence[str]) -> frozenset[int] | None:
    """Return the weekdays on which something repeats: "every day", "mondays", "monday to friday"."""
    if not occur_in(VOCABULARY, keys):
        return None
    left = list(keys)
    for place, key in enumerate(left):
        if key in {"except", "but"}:
            days, without = repeating(left[:place]), left[place + 1 :]
            left_out = _weekdays(without[without[:1] in (["on"], ["for"]) :])
            return (days - left_out or None) if days and left_out and left_out <= days else None
    if left == ["daily"]:
        return frozenset(range(7))
    if left[-1] in {"weekend", "weekends", "weekdays"}:
        left = [key for key in left if key not in {"the", "all"}]
    is_repeated = False
    while left and left[0] in {"every", "each", "on", "at", "for"}:
        is_repeated = is_repeated or left[0] in {"every", "each"}
        left = left[1:]
    days = _weekdays(left)
    is_plural = any(key.endswith("s") for key in left)
    is_several = len(days or ()) > 1 and left not in (["day"], ["weekday"], ["workday"])
    return days if days and (is_repeated or is_plural or is_several) else None


def _weekdays(keys: Sequence[str]) -> frozenset[int] | None:
    """Parse "monday", "weekends", "monday wednesday and friday", "monday through friday"."""
    match list(keys):
        case [group] if group.removesuffix("s") in _GROUPS:
            return frozenset(_GROUPS[group.removesuffix("s")])
        case ["the", "weekend" | "weekends"]:
            return frozenset(_GROUPS["weekend"])
        case [weekday] if weekday.removesuffix("s") in WEEKDAYS:
            return frozenset((WEEKDAYS.index(weekday.removesuffix("s")),))
        case ["from", *span] | span if (ends := _ends_of_range(span)) is not None:
            first, last = ends
            return frozenset((first + more) % 7 for more in range((last - first) % 7 + 1))
    names = [key for key in keys if key not in {"and", "on", "every"}]
    if "and" not in keys or keys[-1] == "and" or not names:
        return None
    groups = [_weekdays([name]) for name in names]
    return None if None in groups else frozenset().union(*(group or () for group in groups))


def _ends_of_range(span: Sequence[str]) -> tuple[int, int] | None:
    if len(span) != 3 or span[1] not in {"to", "through", "thru", "till", "until"}:
        return None
    first, last = span[0].removesuffix("s"), span[2].removesuffix("s")
    return (WEEKDAYS.index(first), WEEKDAYS.index(last)) if first in WEEKDAYS and last in WEEKDAYS else None

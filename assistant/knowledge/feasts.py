"""Holidays: their dates, and how long until then.

Dates that depend on Easter or a weekday are computed here; a country's public holidays come from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from assistant.knowledge.contract import Fact, Lookup
from assistant.knowledge.tables import Tables
from assistant.text.en import wording
from assistant.text.en.numbers import whole
from assistant.text.en.words import Word, keys

CALENDAR = "the calendar"
HOLIDAYS = "the holidays package"

_MAX_WORDS = 7
_YEARS_AHEAD = 6


@dataclass(frozen=True, slots=True)
class Feast:
    """A named day."""

    name: str
    days: tuple[date, ...]
    """Its dates, from last year on."""
    source: str


class Feasts:
    """The topic."""

    def __init__(self, tables: Tables, now: Callable[[], datetime], country: str | None) -> None:
        self._tables = tables
        self._now = now
        self._country = country
        self.readers = {"feast": self._read, "year": _read_year}

    def lookups(self) -> Iterable[Lookup]:
        return (
            self.when_is,
            self.when_was,
            self.when_in_year,
            self.days_until,
            self.next_holiday,
            self.is_today,
        )

    def when_is(self, feast: Feast) -> Fact | None:
        day = self._next(feast)
        if day is None:
            return None
        if day == self._today:
            return Fact(f"{feast.name} is today.", feast.source)
        return Fact(f"{feast.name} is on {self._dated(day)}.", feast.source)

    def when_was(self, feast: Feast) -> Fact | None:
        past = [day for day in feast.days if day < self._today]
        return Fact(f"{feast.name} was on {self._dated(past[-1])}.", feast.source) if past else None

    def when_in_year(self, feast: Feast, year: int) -> Fact | None:
        days = [day for day in feast.days if day.year == year] or _reckoned(feast.name, year)
        if not days:
            return None
        verb = "was" if days[0] < self._today else "is"
        return Fact(f"In {year}, {feast.name} {verb} on {_long(days[0])}.", feast.source)

    def days_until(self, feast: Feast) -> Fact | None:
        day = self._next(feast)
        if day is None:
            return None
        left = (day - self._today).days
        if left == 0:
            return Fact(f"{feast.name} is today.", feast.source)
        verb = "is" if left == 1 else "are"
        return Fact(
            f"There {verb} {wording.count(left, 'day')} until {feast.name}, on {self._dated(day)}.",
            feast.source,
        )

    def next_holiday(self) -> Fact | None:
        row = self._tables.row(
            "SELECT day, name FROM holiday WHERE country = ? AND day > ? ORDER BY day",
            self._country, self._today.isoformat(),
        )  # fmt: skip
        if row is None:
            return _NO_COUNTRY if self._country is None else None
        return Fact(
            f"The next public holiday is {row[1]}, on {self._dated(date.fromisoformat(row[0]))}.", HOLIDAYS
        )

    def is_today(self) -> Fact | None:
        if self._country is None:
            return _NO_COUNTRY
        row = self._tables.row(
            "SELECT name FROM holiday WHERE country = ? AND day = ?", self._country, self._today.isoformat()
        )
        return Fact(f"Yes, today is {row[0]}." if row else "No, today isn't a public holiday.", HOLIDAYS)

    @property
    def _today(self) -> date:
        return self._now().date()

    def _next(self, feast: Feast) -> date | None:
        return next((day for day in feast.days if day >= self._today), None)

    def _dated(self, day: date) -> str:
        year = f" {day.year}" if day.year != self._today.year else ""
        return f"{_long(day)}{',' if year else ''}{year}"

    def _read(self, words: Sequence[Word]) -> Feast | None:
        if not 0 < len(words) <= _MAX_WORDS:
            return None
        said = " ".join(keys(words)).removeprefix("the ")
        name = said.removesuffix(" this year").removesuffix(" next year")
        name = name.replace("st ", "saint ", 1) if name.startswith("st ") else name
        name = _ALIASES.get(name, name)
        feast = self._named(name)
        if feast and said.endswith(" next year"):
            return replace(feast, days=tuple(day for day in feast.days if day.year > self._today.year))
        return feast

    def _named(self, name: str) -> Feast | None:
        years = range(self._today.year - 1, self._today.year + _YEARS_AHEAD)
        for candidate in (name, f"{name} day", name.removesuffix(" day")):
            if self._country not in {None, "US"} and (own := self._in_table(candidate, self._country)):
                return own
            if candidate in _RECKONED:
                title, reckon = _RECKONED[candidate]
                return Feast(title, tuple(reckon(year) for year in years), CALENDAR)
            if found := self._in_table(candidate, "US" if self._country is None else self._country):
                return found
        return None

    def _in_table(self, name: str, country: str | None) -> Feast | None:
        rows = self._tables.rows(
            "SELECT day, name FROM holiday WHERE country = ? AND key = ? AND day >= ? ORDER BY day",
            country, name, f"{self._today.year - 1}-01-01",
        )  # fmt: skip
        return (
            Feast(rows[0][1], tuple(date.fromisoformat(day) for day, _ in rows), HOLIDAYS) if rows else None
        )


_NO_COUNTRY = Fact(
    "I don't know which country you are in. Set place.country in the settings.", "the settings"
)


def _read_year(words: Sequence[Word]) -> int | None:
    year = whole(list(keys(words))) if len(words) <= 4 else None
    if year is None and len(words) == 2:  # "twenty twenty seven" is parsed as two numbers
        parts = [whole([word.key]) for word in words]
        year = parts[0] * 100 + parts[1] if parts[0] and parts[1] else None
    if year is None and len(words) == 3:
        high, low = whole([words[0].key]), whole(list(keys(words[1:])))
        year = high * 100 + low if high and low else None
    return year if year is not None and 1900 <= year <= 2199 else None


def _reckoned(title: str, year: int) -> list[date]:
    return [reckon(year) for name, reckon in _RECKONED.values() if name == title]


def _long(day: date) -> str:
    return f"{wording.DAYS[day.weekday()]}, {wording.calendar_day(day)}"


def easter(year: int) -> date:
    """Return Easter Sunday of the western churches (the anonymous Gregorian algorithm)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def nth(weekday: int, place: int, month: int) -> Callable[[int], date]:
    """Return, for example, the second Sunday in May; -1 is the last."""

    def reckon(year: int) -> date:
        if place > 0:
            first = date(year, month, 1)
            return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (place - 1))
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7)

    return reckon


def _fixed(month: int, day: int) -> Callable[[int], date]:
    return lambda year: date(year, month, day)


def _from_easter(days: int) -> Callable[[int], date]:
    return lambda year: easter(year) + timedelta(days=days)


def _advent(sundays_before: int) -> Callable[[int], date]:
    """Return the first Sunday of Advent, the fourth before Christmas."""

    def reckon(year: int) -> date:
        eve = date(year, 12, 24)
        fourth = eve - timedelta(days=(eve.weekday() + 1) % 7)
        return fourth - timedelta(weeks=sundays_before)

    return reckon


_RECKONED: dict[str, tuple[str, Callable[[int], date]]] = {
    "christmas": ("Christmas", _fixed(12, 25)),
    "christmas eve": ("Christmas Eve", _fixed(12, 24)),
    "boxing day": ("Boxing Day", _fixed(12, 26)),
    "new years eve": ("New Year's Eve", _fixed(12, 31)),
    "new years day": ("New Year's Day", _fixed(1, 1)),
    "epiphany": ("Epiphany", _fixed(1, 6)),
    "groundhog day": ("Groundhog Day", _fixed(2, 2)),
    "valentines day": ("Valentine's Day", _fixed(2, 14)),
    "saint patricks day": ("Saint Patrick's Day", _fixed(3, 17)),
    "pi day": ("Pi Day", _fixed(3, 14)),
    "april fools day": ("April Fools' Day", _fixed(4, 1)),
    "earth day": ("Earth Day", _fixed(4, 22)),
    "cinco de mayo": ("Cinco de Mayo", _fixed(5, 5)),
    "independence day": ("Independence Day", _fixed(7, 4)),
    "bastille day": ("Bastille Day", _fixed(7, 14)),
    "halloween": ("Halloween", _fixed(10, 31)),
    "all saints day": ("All Saints' Day", _fixed(11, 1)),
    "guy fawkes night": ("Guy Fawkes Night", _fixed(11, 5)),
    "saint nicholas day": ("Saint Nicholas Day", _fixed(12, 6)),
    "mothers day": ("Mother's Day", nth(6, 2, 5)),
    "fathers day": ("Father's Day", nth(6, 3, 6)),
    "thanksgiving": ("Thanksgiving", nth(3, 4, 11)),
    "black friday": ("Black Friday", lambda year: nth(3, 4, 11)(year) + timedelta(days=1)),
    "cyber monday": ("Cyber Monday", lambda year: nth(3, 4, 11)(year) + timedelta(days=4)),
    "memorial day": ("Memorial Day", nth(0, -1, 5)),
    "labor day": ("Labor Day", nth(0, 1, 9)),
    "columbus day": ("Columbus Day", nth(0, 2, 10)),
    "presidents day": ("Presidents' Day", nth(0, 3, 2)),
    "martin luther king day": ("Martin Luther King Day", nth(0, 3, 1)),
    "mardi gras": ("Mardi Gras", _from_easter(-47)),
    "ash wednesday": ("Ash Wednesday", _from_easter(-46)),
    "palm sunday": ("Palm Sunday", _from_easter(-7)),
    "good friday": ("Good Friday", _from_easter(-2)),
    "easter": ("Easter", easter),
    "easter monday": ("Easter Monday", _from_easter(1)),
    "ascension day": ("Ascension Day", _from_easter(39)),
    "pentecost": ("Pentecost", _from_easter(49)),
    "whit monday": ("Whit Monday", _from_easter(50)),
    "corpus christi": ("Corpus Christi", _from_easter(60)),
    "first advent": ("the first Sunday of Advent", _advent(3)),
}
_ALIASES = {
    "xmas": "christmas", "christmas day": "christmas", "easter sunday": "easter",
    "thanksgiving day": "thanksgiving", "patricks day": "saint patricks day",
    "saint patrick day": "saint patricks day", "patrick day": "saint patricks day",
    "valentine": "valentines day", "valentines": "valentines day", "valentine day": "valentines day",
    "fourth of july": "independence day", "4th of july": "independence day",
    "july fourth": "independence day", "april fools": "april fools day",
    "april fool day": "april fools day", "all hallows eve": "halloween", "mother day": "mothers day",
    "father day": "fathers day", "shrove tuesday": "mardi gras", "pancake day": "mardi gras",
    "bonfire night": "guy fawkes night", "new year eve": "new years eve", "new years": "new years day",
    "new year": "new years day", "new year day": "new years day", "mlk day": "martin luther king day",
    "martin luther king jr day": "martin luther king day", "whit sunday": "pentecost",
    "labour day": "labor day", "advent": "first advent", "president day": "presidents day",
    "washingtons birthday": "presidents day", "first advent sunday": "first advent",
    "first sunday of advent": "first advent",
}  # fmt: skip
"""Other names."""

"""Holidays: their dates, and how long until then.

Those that everybody knows are in ``text/en/dates``; a country's public holidays come from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from assistant.knowledge.contract import Fact, Lookup
from assistant.knowledge.tables import Tables
from assistant.text.en import wording
from assistant.text.en.dates import HOLIDAYS
from assistant.text.en.numbers import whole
from assistant.text.en.words import Word, keys

CALENDAR = "the calendar"
PUBLIC = "the holidays package"

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
            f"The next public holiday is {row[1]}, on {self._dated(date.fromisoformat(row[0]))}.", PUBLIC
        )

    def is_today(self) -> Fact | None:
        if self._country is None:
            return _NO_COUNTRY
        row = self._tables.row(
            "SELECT name FROM holiday WHERE country = ? AND day = ?", self._country, self._today.isoformat()
        )
        return Fact(f"Yes, today is {row[0]}." if row else "No, today isn't a public holiday.", PUBLIC)

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
        feast = self._named(name)
        if feast and said.endswith(" next year"):
            return replace(feast, days=tuple(day for day in feast.days if day.year > self._today.year))
        return feast

    def _named(self, name: str) -> Feast | None:
        years = range(self._today.year - 1, self._today.year + _YEARS_AHEAD)
        for candidate in (name, f"{name} day", name.removesuffix(" day")):
            if self._country not in {None, "US"} and (own := self._in_table(candidate, self._country)):
                return own
            if reckon := HOLIDAYS.get(candidate):
                return Feast(_title(candidate), tuple(reckon(year) for year in years), CALENDAR)
            if found := self._in_table(candidate, "US" if self._country is None else self._country):
                return found
        return None

    def _in_table(self, name: str, country: str | None) -> Feast | None:
        rows = self._tables.rows(
            "SELECT day, name FROM holiday WHERE country = ? AND key = ? AND day >= ? ORDER BY day",
            country, name, f"{self._today.year - 1}-01-01",
        )  # fmt: skip
        return Feast(rows[0][1], tuple(date.fromisoformat(day) for day, _ in rows), PUBLIC) if rows else None


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
    return [reckon(year) for name, reckon in HOLIDAYS.items() if _title(name) == title]


def _long(day: date) -> str:
    return f"{wording.DAYS[day.weekday()]}, {wording.calendar_day(day)}"


_SMALL_WORDS = {"de": "de", "st": "Saint", "mlk": "Martin Luther King"}
_APOSTROPHES = {
    "years": "Year's", "valentines": "Valentine's", "presidents": "Presidents'", "patricks": "Patrick's",
    "fools": "Fools'", "mothers": "Mother's", "fathers": "Father's", "saints": "Saints'",
}  # fmt: skip


def _title(name: str) -> str:
    """ "new years eve" as it is written."""
    return " ".join(
        _APOSTROPHES.get(word, _SMALL_WORDS.get(word, word.capitalize())) for word in name.split()
    )

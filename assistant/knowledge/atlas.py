"""The atlas: finds countries, states and cities by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.knowledge.tables import Tables, key_of
from assistant.text.en.words import Word, keys

COUNTRIES = "mledoze's table of countries"
GEONAMES = "GeoNames"

_MAX_NAME_WORDS = 7
_RATHER_CITIES = ("new york", "washington")
"""States whose name means the city if nothing else is said."""
_CONTINENTS = ("africa", "asia", "europe", "north america", "south america", "oceania")


@dataclass(frozen=True, slots=True)
class Country:
    """A row of the table."""

    code: str
    name: str
    capital: str
    area_km2: float
    population: int | None
    population_year: int
    currency: str
    languages: str
    neighbors: str
    calling_code: str
    continent: str
    region: str
    demonym: str
    independent: bool

    @property
    def said(self) -> str:
        """Its name inside a sentence: "the Netherlands"."""
        with_article = re.search(r"(States|Kingdom|Islands|Emirates|Republic)$|lands$", self.name)
        named = {"Philippines", "Maldives", "Bahamas", "Gambia", "Seychelles", "DR Congo", "Vatican City"}
        return f"the {self.name}" if with_article or self.name in named - {"Vatican City"} else self.name


@dataclass(frozen=True, slots=True)
class City:
    """A row of the table: a city of more than 15,000 people, or a capital."""

    id: int
    name: str
    country: str
    state: str
    latitude: float
    longitude: float
    zone: str
    population: int


class Atlas:
    """Finds places by name, and what is in them."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def city(self, name: str, country: str | None) -> City | None:
        """Return the largest city with that name, in that country."""
        return self._city_by_key(key_of(name), country)

    def country(self, code: str) -> Country | None:
        """Return the country with that code."""
        row = self.tables.row("SELECT * FROM country WHERE code = ?", code)
        return Country(*row) if row else None

    def said_of(self, code: str) -> str:
        country = self.country(code)
        return country.said if country else code

    def within(self, city: City) -> str:
        state = self.tables.row("SELECT name FROM state WHERE code = ?", city.state) if city.state else None
        return f"{state[0]}, {self.said_of(city.country)}" if state else self.said_of(city.country)

    def read_country(self, words: Sequence[Word]) -> Country | None:
        name = _name(words)
        if name is None:
            return None
        row = self.tables.row(
            "SELECT country.* FROM country_name JOIN country USING (code) WHERE key IN (?, ?) "
            "ORDER BY key = ? DESC LIMIT 1",
            name, name.removesuffix("s"), name,
        )  # fmt: skip
        return Country(*row) if row else None

    def read_state(self, words: Sequence[Word]) -> str | None:
        name = _name(words)
        if name in _RATHER_CITIES:
            return None
        row = self.tables.row("SELECT code FROM state WHERE key = ?", name) if name else None
        return row[0] if row else None

    def read_continent(self, words: Sequence[Word]) -> str | None:
        name = _name(words)
        return name if name in _CONTINENTS else None

    def read_city(self, words: Sequence[Word]) -> City | None:
        """Parse "Paris", "Paris Texas", "Paris in France": the largest with that name, in that place if
        given.
        """
        name = _name(words)
        if name is None:
            return None
        if city := self._city_by_key(name):
            return city
        said = name.split()
        for at in range(1, len(said)):
            rest = said[at:]
            where = " ".join(rest[1:] if rest[0] == "in" and len(rest) > 1 else rest).removeprefix("the ")
            state = self.tables.row("SELECT code FROM state WHERE key = ?", where)
            country = self.tables.row("SELECT code FROM country_name WHERE key = ?", where)
            if state and (city := self._city_by_key(" ".join(said[:at]), "US", state[0])):
                return city
            if country and (city := self._city_by_key(" ".join(said[:at]), country[0])):
                return city
        return None

    def _city_by_key(self, key: str, country: str | None = None, state: str | None = None) -> City | None:
        row = self.tables.row(
            "SELECT city.* FROM city_name JOIN city ON city = id WHERE key = ? "
            "AND (? IS NULL OR country = ?) AND (? IS NULL OR state = ?) "
            "ORDER BY own * 100000 + population DESC LIMIT 1",
            key, country, country, state, state,
        )  # fmt: skip
        return City(*row) if row else None


def _name(words: Sequence[Word]) -> str | None:
    """Return the words in the form used for comparing names; None if there are too many for a name."""
    if not 0 < len(words) <= _MAX_NAME_WORDS:
        return None
    name = " ".join(keys(words))
    return name.removeprefix("the ")

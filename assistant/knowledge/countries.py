"""Countries: their capitals, people, money, languages and borders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from assistant.knowledge import sizes
from assistant.knowledge.atlas import COUNTRIES, GEONAMES, Atlas, Country
from assistant.knowledge.contract import Fact, Lookup
from assistant.text.en import wording
from assistant.text.en.numbers import whole
from assistant.text.en.words import Word, keys


class Countries:
    """The topic."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas
        self.readers = {
            "country": atlas.read_country,
            "other_country": atlas.read_country,
            "continent": atlas.read_continent,
            "calling_code": _read_code,
        }

    def lookups(self) -> Iterable[Lookup]:
        return (
            self.capital, self.population, self.area, self.compare_area, self.compare_population,
            self.currency, self.languages, self.neighbors, self.are_neighbors, self.calling_code,
            self.country_of_code, self.continent_of, self.demonym, self.where_is_country,
            self.largest_country, self.smallest_country,
        )  # fmt: skip

    def capital(self, country: Country) -> Fact | None:
        capitals = country.capital.split("|") if country.capital else []
        if country.code == "GE":
            return Fact(
                "The capital of the country Georgia is Tbilisi. The capital of the US state is Atlanta.",
                COUNTRIES,
            )
        if not capitals:
            return None
        if len(capitals) > 1:
            return Fact(
                f"{_start(country.said)} has several capitals: {wording.listing(capitals)}.",
                COUNTRIES,
            )
        return Fact(f"The capital of {country.said} is {capitals[0]}.", COUNTRIES)

    def population(self, country: Country) -> Fact | None:
        if not country.population:
            return None
        people, year = sizes.people(country.population), country.population_year
        return Fact(f"About {people} people live in {country.said}, as of {year}.", GEONAMES)

    def area(self, country: Country) -> Fact | None:
        if not country.area_km2:
            return None
        return Fact(f"{_start(country.said)} has an area of {sizes.area(country.area_km2)}.", COUNTRIES)

    def compare_area(self, country: Country, other_country: Country) -> Fact | None:
        return self._compare(country, other_country, "area_km2", "is larger than", COUNTRIES, sizes.area)

    def compare_population(self, country: Country, other_country: Country) -> Fact | None:
        if {country.code, other_country.code} == {"CN", "IN"}:
            return None  # India overtook China in 2023, after this table
        return self._compare(
            country, other_country, "population", "has more people than", GEONAMES,
            lambda people: f"{sizes.people(int(people))}",
        )  # fmt: skip

    @staticmethod
    def _compare(  # noqa: PLR0917 - two countries, and how they are compared
        one: Country, other: Country, what: str, verb: str, source: str, said: Callable[[float], str]
    ) -> Fact | None:
        size, other_size = getattr(one, what), getattr(other, what)
        if not size or not other_size or one == other:
            return None
        if size < other_size:
            one, other, size, other_size = other, one, other_size, size
        against = f"{said(size)} against {said(other_size)}"
        return Fact(f"{_start(one.said)} {verb} {other.said}: {against}.", source)

    def currency(self, country: Country) -> Fact | None:
        if not country.currency:
            return None
        names = [_lower(name) for name in country.currency.split("|")]
        what, verb = ("currency", "is") if len(names) == 1 else ("currencies", "are")
        return Fact(f"The {what} of {country.said} {verb} the {wording.listing(names)}.", COUNTRIES)

    def languages(self, country: Country) -> Fact | None:
        languages = country.languages.split("|") if country.languages else []
        if not languages:
            return None
        if country.code == "CH":
            languages = ["German" if name == "Swiss German" else name for name in languages]
        if country.code == "US":
            return Fact("Most people in the United States speak English, and many speak Spanish.", COUNTRIES)
        if len(languages) == 1:
            return Fact(f"The official language of {country.said} is {languages[0]}.", COUNTRIES)
        return Fact(f"The official languages of {country.said} are {wording.listing(languages)}.", COUNTRIES)

    def neighbors(self, country: Country) -> Fact | None:
        names = [self._atlas.said_of(code) for code in country.neighbors.split("|") if code]
        if not names:
            return Fact(f"{_start(country.said)} has no land borders.", COUNTRIES)
        return Fact(f"{_start(country.said)} borders {wording.listing(names)}.", COUNTRIES)

    def are_neighbors(self, country: Country, other_country: Country) -> Fact | None:
        if other_country.code in country.neighbors.split("|"):
            return Fact(f"Yes, {country.said} borders {other_country.said}.", COUNTRIES)
        return Fact(f"No, {country.said} and {other_country.said} have no common land border.", COUNTRIES)

    def calling_code(self, country: Country) -> Fact | None:
        code = country.calling_code
        return (
            Fact(f"The calling code of {country.said} is plus {' '.join(code)}.", COUNTRIES) if code else None
        )

    def country_of_code(self, calling_code: str) -> Fact | None:
        rows = self._atlas.tables.rows(
            "SELECT name FROM country WHERE calling_code = ? AND independent ORDER BY population DESC",
            calling_code,
        )
        names = [name for (name,) in rows]
        return (
            Fact(f"Plus {' '.join(calling_code)} is {wording.listing(names)}.", COUNTRIES) if names else None
        )

    def continent_of(self, country: Country) -> Fact | None:
        return Fact(f"{_start(country.said)} is in {country.continent}.", GEONAMES)

    def demonym(self, country: Country) -> Fact | None:
        if not country.demonym:
            return None
        return Fact(f"Somebody from {country.said} is called {country.demonym}.", COUNTRIES)

    def where_is_country(self, country: Country) -> Fact | None:
        names = [self._atlas.said_of(code) for code in country.neighbors.split("|") if code]
        beside = f", beside {wording.listing(names[:3])}" if names else ""
        return Fact(f"{_start(country.said)} is in {country.region or country.continent}{beside}.", COUNTRIES)

    def largest_country(self, continent: str = "") -> Fact | None:
        return self._extreme(continent, -1, "largest")

    def smallest_country(self, continent: str = "") -> Fact | None:
        return self._extreme(continent, 1, "smallest")

    def _extreme(self, continent: str, order: int, word: str) -> Fact | None:
        row = self._atlas.tables.row(
            "SELECT * FROM country WHERE independent AND area_km2 > 0 AND (? = '' OR lower(continent) = ?) "
            "ORDER BY area_km2 * ? LIMIT 1",
            continent, continent, order,
        )  # fmt: skip
        if row is None or (continent == "asia" and word == "largest"):
            return None  # Russia lies in both; which is meant is a matter of taste
        country = Country(*row)
        place = f"in {continent.title()}" if continent else "in the world"
        return Fact(
            f"The {word} country {place} by area is {country.said}, with {sizes.area(country.area_km2)}.",
            COUNTRIES,
        )


def _lower(currency: str) -> str:
    """Return a currency as written inside a sentence: proper names keep their capital."""
    return "euro" if currency.lower() == "euro" else currency


def _start(text: str) -> str:
    return wording.capital(text)


def _read_code(words: Sequence[Word]) -> str | None:
    """Parse "49", "four nine", "forty nine"."""
    said = list(keys(words))
    if not 0 < len(said) <= 4:
        return None
    numbers = [whole([word]) for word in said]
    code = whole(said)
    if code is None and all(number is not None and number < 10 for number in numbers):
        return "".join(map(str, numbers))
    return str(code) if code is not None and code >= 0 else None

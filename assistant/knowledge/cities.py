"""Cities and states: location, distance, and local time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from assistant.knowledge.atlas import GEONAMES, Atlas, City, Country
from assistant.knowledge.contract import Fact, Lookup
from assistant.knowledge.sizes import MILE_KM, people, rounded
from assistant.text.en import wording

_EARTH_KM = 6371.0


class Cities:
    """The topic."""

    def __init__(self, atlas: Atlas, now: Callable[[], datetime]) -> None:
        self._atlas = atlas
        self._now = now
        self.readers = {
            "city": atlas.read_city,
            "other_city": atlas.read_city,
            "state": atlas.read_state,
            "country": atlas.read_country,
        }

    def lookups(self) -> Iterable[Lookup]:
        return (
            self.capital_of, self.city_population, self.where_is_city, self.country_of_city, self.distance,
            self.time_in_city, self.time_in_country, self.time_in_state, self.time_difference,
        )  # fmt: skip

    def capital_of(self, city: City) -> Fact | None:
        """Answer what a city is the capital of. "Is Sydney the capital of Australia" is not handled here."""
        country = self._atlas.country(city.country)
        if country is None or city.name not in country.capital.split("|"):
            return None
        return Fact(f"{city.name} is the capital of {country.said}.", GEONAMES)

    def city_population(self, city: City) -> Fact | None:
        if not city.population:
            return None
        return Fact(f"{city.name} has about {people(city.population)} people.", GEONAMES)

    def where_is_city(self, city: City) -> Fact | None:
        return Fact(f"{city.name} is in {self._atlas.within(city)}.", GEONAMES)

    def country_of_city(self, city: City) -> Fact | None:
        return self.where_is_city(city)

    def distance(self, city: City, other_city: City) -> Fact | None:
        if city.id == other_city.id:
            return None
        km = _distance_km(city, other_city)
        both = f"{rounded(km / MILE_KM)} miles, or {rounded(km)} kilometers"
        return Fact(f"From {city.name} to {other_city.name} it is about {both}, as the crow flies.", GEONAMES)

    def time_in_city(self, city: City) -> Fact | None:
        return self._time(city.name, city.zone)

    def time_in_country(self, country: Country) -> Fact | None:
        zones = self._atlas.tables.rows("SELECT DISTINCT zone FROM city WHERE country = ?", country.code)
        times = {self._local(zone).strftime("%H:%M") for (zone,) in zones}
        capital = self._atlas.city(country.capital.split("|")[0], country.code)
        if len(times) == 1:
            return self._time(country.said, zones[0][0])
        return self._time(capital.name, capital.zone) if capital else None

    def time_in_state(self, state: str) -> Fact | None:
        row = self._atlas.tables.row(
            "SELECT zone FROM city WHERE country = 'US' AND state = ? ORDER BY population DESC", state
        )
        name = self._atlas.tables.row("SELECT name FROM state WHERE code = ?", state)
        return self._time(name[0], row[0]) if row and name else None

    def time_difference(self, city: City, other_city: City) -> Fact | None:
        one, other = self._local(city.zone).utcoffset(), self._local(other_city.zone).utcoffset()
        if one is None or other is None:
            return None
        if one == other:
            return Fact(f"{city.name} and {other_city.name} have the same time.", GEONAMES)
        ahead, behind = (city, other_city) if one > other else (other_city, city)
        return Fact(f"{ahead.name} is {wording.duration(abs(one - other))} ahead of {behind.name}.", GEONAMES)

    def _time(self, name: str, zone: str) -> Fact | None:
        local = self._local(zone)
        days = (local.date() - self._now().date()).days
        other_day = {1: " tomorrow", -1: " yesterday"}.get(days, "")
        return Fact(f"In {name} it is {wording.clock_of_day(local)}{other_day}.", GEONAMES)

    def _local(self, zone: str) -> datetime:
        try:
            return self._now().astimezone(ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError):
            return self._now()


def _distance_km(one: City, other: City) -> float:
    """Return the great-circle distance."""
    a, b = math.radians(one.latitude), math.radians(other.latitude)
    across = math.sin((b - a) / 2) ** 2
    along = math.cos(a) * math.cos(b) * math.sin(math.radians(other.longitude - one.longitude) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(across + along))

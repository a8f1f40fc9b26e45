"""Sun and moon at the assistant's location, computed from the date: no table is needed.

The sun follows the equations of NOAA's solar calculator (after Meeus, Astronomical Algorithms), accurate to
about a minute; the moon's phase is its mean phase, accurate to about half a day.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Literal
from zoneinfo import ZoneInfo

from assistant.knowledge.contract import Fact, Lookup
from assistant.text.en import wording
from assistant.text.en.words import Word, keys

SOURCE = "the equations of NOAA's solar calculator"
MOON = "the mean length of the month, 29.53 days"

_HORIZON_DEG = 90.833
"""Zenith angle at sunrise: refraction and the sun's radius increase it."""
_MONTH_DAYS = 29.530588853
_NEW_MOON = datetime(2000, 1, 6, 18, 14, tzinfo=timezone.utc)
_PHASES = (
    "new moon", "waxing crescent", "first quarter", "waxing gibbous", "full moon", "waning gibbous",
    "last quarter", "waning crescent",
)  # fmt: skip
_SHARP_DAYS = 1.0
"""How far from the exact moment a phase keeps its name."""

Event = Literal["sunrise", "sunset"]


@dataclass(frozen=True, slots=True)
class Site:
    """The assistant's location."""

    name: str
    latitude: float
    longitude: float
    zone: str


class Sky:
    """The topic. Without a ``site``, it says how to set one."""

    def __init__(self, site: Site | None, now: Callable[[], datetime]) -> None:
        self._site = site
        self._now = now
        self.readers = {"sky_day": _read_day, "phase": _read_phase}

    def lookups(self) -> Iterable[Lookup]:
        return (self.sunrise, self.sunset, self.day_length, self.moon_phase, self.next_phase)

    def sunrise(self, sky_day: int = 0) -> Fact | None:
        return self._event("sunrise", sky_day)

    def sunset(self, sky_day: int = 0) -> Fact | None:
        return self._event("sunset", sky_day)

    def day_length(self, sky_day: int = 0) -> Fact | None:
        if self._site is None:
            return _NOWHERE
        day = self._day(sky_day)
        rises, sets = (sun(self._site, day, event) for event in ("sunrise", "sunset"))
        if rises is None or sets is None:
            return None
        length = timedelta(minutes=round((sets - rises).total_seconds() / 60))
        which = "Tomorrow" if sky_day else "Today"
        return Fact(f"{which} the sun is up for {wording.duration(length)}.", SOURCE)

    def moon_phase(self) -> Fact | None:
        return Fact(f"The moon is a {phase(self._now())}.".replace("a first", "at its first").replace(
            "a last", "at its last"), MOON)  # fmt: skip

    def next_phase(self, phase: int) -> Fact | None:
        age = _age_days(self._now())
        ahead = (phase * _MONTH_DAYS / 8 - age) % _MONTH_DAYS
        day = (self._now() + timedelta(days=ahead)).date()
        return Fact(f"The next {_PHASES[phase]} is {wording.day(day, self._now().date())}.", MOON)

    def _event(self, event: Event, sky_day: int) -> Fact | None:
        if self._site is None:
            return _NOWHERE
        moment = sun(self._site, self._day(sky_day), event)
        verb = "rises" if event == "sunrise" else "sets"
        if moment is None:
            return Fact(f"In {self._site.name} the sun never {verb} on that day.", SOURCE)
        local = moment.astimezone(ZoneInfo(self._site.zone))
        if sky_day == 0:
            verb = verb if local > self._now() else {"rises": "rose", "sets": "set"}[verb]
        when = "tomorrow" if sky_day else "today"
        return Fact(f"The sun {verb} at {wording.clock_of_day(local)} {when} in {self._site.name}.", SOURCE)

    def _day(self, ahead: int) -> date:
        assert self._site is not None  # noqa: S101 - asked before
        return self._now().astimezone(ZoneInfo(self._site.zone)).date() + timedelta(days=ahead)


_NOWHERE = Fact("I don't know where I am. Set place.country and place.city in the settings.", "the settings")


def sun(site: Site, day: date, event: Event) -> datetime | None:
    """Return when the sun rises or sets there on that local day; None if it doesn't."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(site.zone))
    moment = noon.astimezone(timezone.utc)
    for _ in range(3):  # the sun moves while it rises: start again from the moment found
        declination, equation_min = _sun_at(moment)
        latitude = math.radians(site.latitude)
        cosine = math.cos(math.radians(_HORIZON_DEG)) / (
            math.cos(latitude) * math.cos(declination)
        ) - math.tan(latitude) * math.tan(declination)
        if abs(cosine) > 1:
            return None
        hour_angle = math.degrees(math.acos(cosine)) * (1 if event == "sunrise" else -1)
        minutes = 720 - 4 * (site.longitude + hour_angle) - equation_min
        offset = noon.utcoffset() or timedelta(0)
        midnight = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
        moment = midnight + timedelta(minutes=minutes)
        # The equations count from midnight in Greenwich, so move to the local day.
        while (moment + offset).date() < day:
            moment += timedelta(days=1)
        while (moment + offset).date() > day:
            moment -= timedelta(days=1)
    return moment


def _sun_at(moment: datetime) -> tuple[float, float]:
    """Return the sun's declination in radians, and the equation of time in minutes."""
    century = ((moment - datetime(2000, 1, 1, 12, tzinfo=timezone.utc)).total_seconds() / 86_400) / 36_525
    mean_longitude = math.radians((280.46646 + century * (36_000.76983 + century * 0.0003032)) % 360)
    anomaly = math.radians(357.52911 + century * (35_999.05029 - 0.0001537 * century))
    eccentricity = 0.016708634 - century * (0.000042037 + 0.0000001267 * century)
    center = math.radians(
        math.sin(anomaly) * (1.914602 - century * (0.004817 + 0.000014 * century))
        + math.sin(2 * anomaly) * (0.019993 - 0.000101 * century)
        + math.sin(3 * anomaly) * 0.000289
    )
    node = math.radians(125.04 - 1934.136 * century)
    longitude = mean_longitude + center - math.radians(0.00569 + 0.00478 * math.sin(node))
    obliquity = math.radians(23.439291 - 0.0130042 * century + 0.00256 * math.cos(node))
    declination = math.asin(math.sin(obliquity) * math.sin(longitude))
    y = math.tan(obliquity / 2) ** 2
    equation = 4 * math.degrees(
        y * math.sin(2 * mean_longitude)
        - 2 * eccentricity * math.sin(anomaly)
        + 4 * eccentricity * y * math.sin(anomaly) * math.cos(2 * mean_longitude)
        - 0.5 * y * y * math.sin(4 * mean_longitude)
        - 1.25 * eccentricity**2 * math.sin(2 * anomaly)
    )
    return declination, equation


def phase(moment: datetime) -> str:
    """Name the moon's phase: "full moon" within a day of it."""
    age = _age_days(moment)
    quarter = round(age / _MONTH_DAYS * 4)
    if abs(age - quarter * _MONTH_DAYS / 4) <= _SHARP_DAYS:
        return _PHASES[quarter % 4 * 2]
    return _PHASES[int(age / _MONTH_DAYS * 4) * 2 + 1]


def _age_days(moment: datetime) -> float:
    return ((moment - _NEW_MOON).total_seconds() / 86_400) % _MONTH_DAYS


def _read_day(words: Sequence[Word]) -> int | None:
    return {"today": 0, "tonight": 0, "tomorrow": 1}.get(" ".join(keys(words)))


def _read_phase(words: Sequence[Word]) -> int | None:
    name = " ".join(keys(words))
    return {"new moon": 0, "first quarter": 2, "full moon": 4, "last quarter": 6, "half moon": 2}.get(name)

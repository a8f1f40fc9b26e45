"""Sun and moon against astral 3.2, which reckons them another way."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from assistant.knowledge.sky import Event, Site, phase, sun

BERLIN = Site("Berlin", 52.5244, 13.4105, "Europe/Berlin")
AUCKLAND = Site("Auckland", -36.8485, 174.7635, "Pacific/Auckland")
HONOLULU = Site("Honolulu", 21.3069, -157.8583, "Pacific/Honolulu")
TROMSO = Site("Tromso", 69.6489, 18.9551, "Europe/Oslo")

ASTRAL = [
    (BERLIN, date(2026, 3, 29), "sunrise", "2026-03-29 06:48"),
    (BERLIN, date(2026, 3, 29), "sunset", "2026-03-29 19:34"),
    (BERLIN, date(2026, 6, 21), "sunrise", "2026-06-21 04:43"),
    (BERLIN, date(2026, 6, 21), "sunset", "2026-06-21 21:32"),
    (BERLIN, date(2026, 12, 1), "sunrise", "2026-12-01 07:54"),
    (BERLIN, date(2026, 12, 1), "sunset", "2026-12-01 15:55"),
    (BERLIN, date(2027, 9, 23), "sunrise", "2027-09-23 06:53"),
    (BERLIN, date(2027, 9, 23), "sunset", "2027-09-23 19:03"),
    (AUCKLAND, date(2026, 3, 29), "sunrise", "2026-03-29 07:31"),
    (AUCKLAND, date(2026, 3, 29), "sunset", "2026-03-29 19:19"),
    (AUCKLAND, date(2026, 6, 21), "sunrise", "2026-06-21 07:33"),
    (AUCKLAND, date(2026, 6, 21), "sunset", "2026-06-21 17:11"),
    (AUCKLAND, date(2026, 12, 1), "sunrise", "2026-12-01 05:55"),
    (AUCKLAND, date(2026, 12, 1), "sunset", "2026-12-01 20:24"),
    (AUCKLAND, date(2027, 9, 23), "sunrise", "2027-09-23 06:10"),
    (AUCKLAND, date(2027, 9, 23), "sunset", "2027-09-23 18:17"),
    (HONOLULU, date(2026, 3, 29), "sunrise", "2026-03-29 06:27"),
    (HONOLULU, date(2026, 3, 29), "sunset", "2026-03-29 18:45"),
    (HONOLULU, date(2026, 6, 21), "sunrise", "2026-06-21 05:50"),
    (HONOLULU, date(2026, 6, 21), "sunset", "2026-06-21 19:16"),
    (HONOLULU, date(2026, 12, 1), "sunrise", "2026-12-01 06:52"),
    (HONOLULU, date(2026, 12, 1), "sunset", "2026-12-01 17:48"),
    (HONOLULU, date(2027, 9, 23), "sunrise", "2027-09-23 06:20"),
    (HONOLULU, date(2027, 9, 23), "sunset", "2027-09-23 18:26"),
    (TROMSO, date(2026, 3, 29), "sunrise", "2026-03-29 06:03"),
    (TROMSO, date(2026, 3, 29), "sunset", "2026-03-29 19:36"),
    (TROMSO, date(2027, 9, 23), "sunrise", "2027-09-23 06:27"),
    (TROMSO, date(2027, 9, 23), "sunset", "2027-09-23 18:43"),
]


@pytest.mark.parametrize(("site", "day", "event", "expected"), ASTRAL)
def test_the_sun_is_where_others_see_it(site: Site, day: date, event: Event, expected: str) -> None:
    found = sun(site, day, event)
    assert found is not None
    local = datetime.strptime(expected, "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(site.zone))
    assert abs(found - local) <= timedelta(minutes=2)


@pytest.mark.parametrize("event", ["sunrise", "sunset"])
def test_in_a_polar_night_the_sun_never_rises(event: Event) -> None:
    assert sun(TROMSO, date(2026, 12, 21), event) is None


@pytest.mark.parametrize(
    ("day", "expected"),
    [  # the almanac of the US Naval Observatory: full moons, new moons and quarters
        (datetime(2026, 1, 3, 10, tzinfo=timezone.utc), "full moon"),
        (datetime(2026, 8, 12, 17, tzinfo=timezone.utc), "new moon"),
        (datetime(2026, 12, 1, 6, tzinfo=timezone.utc), "last quarter"),
        (datetime(2024, 4, 8, 18, tzinfo=timezone.utc), "new moon"),
    ],
)
def test_the_moon_has_its_phase(day: datetime, expected: str) -> None:
    assert phase(day) == expected

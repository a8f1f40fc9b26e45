"""Days as people name them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.text.en import wording
from assistant.text.en.dates import day, repeating
from assistant.text.en.moments import Days, moment
from assistant.text.en.words import keys, words

TODAY = date(2025, 11, 23)


def split(text: str) -> list[str]:
    return list(keys(words(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tomorrow", "2025-11-24"), ("friday", "2025-11-28"), ("next sunday", "2025-11-30"),
        ("in two weeks", "2025-12-07"), ("3 days from now", "2025-11-26"),
        ("a week from monday", "2025-12-01"),
        ("december 24th", "2025-12-24"), ("the 24th of december", "2025-12-24"), ("20 April", "2026-04-20"),
        ("july fourth 2026", "2026-07-04"), ("the twenty eighth", "2025-11-28"), ("12/24", "2025-12-24"),
        ("christmas eve", "2025-12-24"), ("thanksgiving", "2025-11-27"), ("easter", "2026-04-05"),
        ("memorial day", "2026-05-25"), ("february 29th", "2028-02-29"), ("friday the 13th", "2026-02-13"),
        ("february 30th", None), ("the first one", None), ("may", None), ("13/13", None),
    ],
)  # fmt: skip
def test_days(text: str, expected: str | None) -> None:
    found = day(split(text))
    assert (str(next(found.dates(TODAY))) if found else None) == expected


@given(st.dates(date(2025, 11, 24), date(2030, 12, 31)))
def test_every_date_that_is_said_is_understood(when: date) -> None:
    found = day(split(f"{wording.calendar_day(when)} {when.year}"))
    assert found is not None
    assert next(found.dates(TODAY)) == when


@given(st.integers(0, 4000))
def test_a_day_that_is_named_is_never_past(days: int) -> None:
    today = TODAY + timedelta(days=days)
    for text in ("friday", "the 31st", "easter", "december 24th"):
        found = day(split(text))
        assert found is not None
        assert next(found.dates(today)) >= today


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("every day", "0123456"), ("daily", "0123456"), ("weekdays", "01234"), ("on mondays", "0"),
        ("monday to friday", "01234"), ("saturday and sunday", "56"), ("the weekend", "56"),
        ("monday wednesday and friday", "024"), ("every day except sunday", "012345"),
        ("weekdays but not friday", None), ("monday", None), ("monday tuesday", None),
        ("every other day", None),
    ],
)  # fmt: skip
def test_repetitions(text: str, days: str | None) -> None:
    found = repeating(split(text))
    assert ("".join(map(str, sorted(found))) if found else None) == days


@pytest.mark.parametrize(("text", "hour"), [("at five", 17), ("at seven", 7), ("at ten", 10), ("at two", 14)])
def test_a_reminder_is_for_when_people_are_awake_on_other_days_too(text: str, hour: int) -> None:
    at = moment(split(text))
    assert at is not None
    tomorrow = Days(day(split("tomorrow")), frozenset()).at(at)
    assert tomorrow is not None
    noon = datetime.combine(TODAY, time(12))
    assert tomorrow.after(noon, likely_awake=True) == datetime.combine(TODAY + timedelta(days=1), time(hour))

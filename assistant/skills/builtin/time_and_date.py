"""The current time and date."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal

from assistant.text.en import wording
from assistant.text.en.dates import Day
from assistant.text.en.numbers import year

_AHEAD = {"yesterday": -1, "today": 0, "tomorrow": 1}


def tell_time(now: datetime) -> str:
    """Tell the time."""
    return f"It's {wording.clock(now)}."


def tell_date(now: datetime, day: Literal["today", "tomorrow", "yesterday"] = "today") -> str:
    """Tell the day of the week and the date."""
    asked = now + timedelta(days=_AHEAD[day])
    words = f"{wording.DAYS[asked.weekday()]}, {wording.calendar_day(asked)}"
    if day == "today":
        return f"It's {words}."
    return f"{day.capitalize()} {'is' if day == 'tomorrow' else 'was'} {words}."


def tell_weekday(day: Day, now: datetime) -> str:
    """Tell the weekday and the date of a day: "december 24th", "next friday", "easter"."""
    found = _nearest(day, now)
    if found is None:
        return "There is no such day."
    verb = "was" if found < now.date() else "is"
    told = f"{wording.DAYS[found.weekday()]}, {wording.calendar_day(found)}{_year(found, now)}"
    return (
        f"{wording.capital(_name(day, found, now))} {verb} {told}." if day.holiday else f"It {verb} {told}."
    )


def count_days(day: Day, now: datetime) -> str:
    """Tell how many days it is until a day."""
    found = _nearest(day, now)
    if found is None:
        return "There is no such day."
    left = (found - now.date()).days
    name = _name(day, found, now)
    if left <= 0:
        ago = wording.count(-left, "day")
        return f"{wording.capital(name)} is today." if not left else f"{wording.capital(name)} was {ago} ago."
    return f"{wording.capital(wording.count(left, 'day'))} until {name}."


def count_weeks(day: Day, now: datetime) -> str:
    """Tell how many weeks it is until a day."""
    found = _nearest(day, now)
    if found is None:
        return "There is no such day."
    weeks, days = divmod(max(0, (found - now.date()).days), 7)
    parts = [wording.count(weeks, "week")] * bool(weeks) + [wording.count(days, "day")] * bool(
        days or not weeks
    )
    return f"{wording.capital(wording.listing(parts))} until {_name(day, found, now)}."


def _nearest(day: Day, now: datetime) -> date | None:
    return next(day.dates(now.date()), None)


def _name(day: Day, found: date, now: datetime) -> str:
    """Say the name of a day: "Christmas", "December twenty-fourth"."""
    if day.holiday:
        return " ".join(_HOLIDAY_WORDS.get(word, word.capitalize()) for word in day.holiday.split())
    if day.month is None and day.number is None and day.ahead is None:
        return f"{wording.DAYS[found.weekday()]}, {wording.calendar_day(found)}"
    return wording.calendar_day(found) + _year(found, now)


_HOLIDAY_WORDS = {
    "mlk": "M-L-K",
    "years": "Year's",
    "valentines": "Valentine's",
    "patricks": "Patrick's",
    "st": "Saint",
    "mothers": "Mother's",
    "fathers": "Father's",
    "fools": "Fools'",
    "presidents": "Presidents'",
    "xmas": "Christmas",
}


def _year(found: date, now: datetime) -> str:
    return f", {year(found.year)}" if abs((found - now.date()).days) > 300 else ""


def tell_month(now: datetime) -> str:
    """Tell the month."""
    return f"It's {wording.month(now)}."


def tell_year(now: datetime) -> str:
    """Tell the year."""
    return f"It's {year(now.year)}."

"""What time it is and what day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from assistant.text.en import wording
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


def tell_month(now: datetime) -> str:
    """Tell the month."""
    return f"It's {wording.month(now)}."


def tell_year(now: datetime) -> str:
    """Tell the year."""
    return f"It's {year(now.year)}."

"""Dates and clock times as spoken in English: 10:30 -> ten thirty, May 5 -> May fifth."""

from __future__ import annotations

import re

from assistant.text.en.numbers import cardinal, ordinal, year
from assistant.text.en.rules import any_of, ends_text, rules

# fmt: off
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)
_SHORT_MONTHS = {name[:3]: name for name in _MONTHS if name != "May"} | {"Sept": "September"}
_ANY_MONTH = rf"(?:{'|'.join(name[:3] for name in _MONTHS)})"
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT_DAYS = {name[:3]: name for name in _DAYS}
_SHORT_DAYS |= {"Tues": "Tuesday", "Thur": "Thursday", "Thurs": "Thursday"}
# fmt: on


def _date(month: int, day: int, year_digits: str) -> str:
    if 1 <= month <= 12 and 1 <= day <= 31:
        return f"{_MONTHS[month - 1]} {ordinal(day)}, {year(int(year_digits))}"
    return f"{cardinal(month)} {cardinal(day)} {year(int(year_digits))}"


def _iso_date(match: re.Match[str]) -> str:
    return _date(int(match[2]), int(match[3]), match[1])


def _slash_date(match: re.Match[str]) -> str:
    first, second = int(match[1]), int(match[2])
    # Month first, as in the United States, unless that is impossible.
    month, day = (second, first) if first > 12 >= second else (first, second)
    return _date(
        month, day, match[3] if len(match[3]) == 4 else f"{'19' if match[3] > '50' else '20'}{match[3]}"
    )


def _dotted_date(match: re.Match[str]) -> str:
    """Day first, as where dates have dots."""
    day, month = int(match[1]), int(match[2])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return " point ".join(match.group().split("."))
    return f"the {ordinal(day)} of {_MONTHS[month - 1]} {year(int(match[3]))}"


def _month_day(match: re.Match[str]) -> str:
    until = f" to {ordinal(int(match['until']))}" if match["until"] else ""
    in_year = f", {year(int(match['year']))}" if match["year"] else ""
    return f"{match['month']} {ordinal(int(match['day']))}{until}{in_year}"


def _day_month(match: re.Match[str]) -> str:
    in_year = f" {year(int(match['year']))}" if match["year"] else ""
    return f"the {ordinal(int(match['day']))} of {match['month']}{in_year}"


def _clock(match: re.Match[str]) -> str:
    minute, seconds, half = match["minute"], match["second"], match["half"]
    hour = int(match["hour"])
    hour_words = cardinal(hour % 12 or 12 if half else hour)
    if minute == "00":
        spoken = hour_words + ("" if half else " o'clock" if hour <= 12 else " hundred")
        spoken = "midnight" if hour == 0 and not half else spoken
    else:
        spoken = f"{hour_words} {'oh ' if minute[0] == '0' else ''}{cardinal(int(minute))}"
    spoken += f" and {cardinal(int(seconds))} seconds" if seconds else ""
    return f"{spoken} {half.upper()}-M" if half else spoken


def _hour(match: re.Match[str]) -> str:
    return f"{cardinal(int(match[1]))} {match[2].upper()}-M{'.' if ends_text(match) else ''}"


_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_CLOCK = (
    r"\b(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:])(?=\b|[AaPp]\.?[Mm]\b)"
)
_HALF = r"(?P<half>[AaPp])\.?[Mm]\b"

_SHORT_DAY = rf"(?P<short>{any_of(_SHORT_DAYS)})"

TIME_RULES = rules(
    # 2025-03-04T15:30:00Z
    (
        r"\b(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(?:00|\d\d(?:\.\d+)?))?(?:Z|[+-]\d\d:?\d\d)?(?![\d:])",
        r"\1 at \2",
    ),
    (r"\b(\d{4})-(\d\d)-(\d\d)\b", _iso_date),
    (r"\b9/11\b", "nine eleven"),
    (r"(?<![\d/])(\d{1,2})/(\d{1,2})/(\d{4}|\d\d)(?![\d/])", _slash_date),
    (r"(?<![\d-])(\d{1,2})-(\d{1,2})-(\d{4})(?![\d-])", _slash_date),
    (r"(?<![\d.])(\d{1,2})\.(\d{1,2})\.(\d{4})(?![\d.]*\d)", _dotted_date),
    (r"\b24:00\b", "midnight"),
    (rf"\b{_SHORT_DAY}\b\.?(?=,? (?:\d|{_ANY_MONTH}))", lambda match: _SHORT_DAYS[match["short"]]),
    (rf"(?<=\d )({any_of(_SHORT_MONTHS)})\b(?:\.(?!$))?", lambda match: _SHORT_MONTHS[match[1]]),
    (rf"\b({any_of(_SHORT_MONTHS)})\b\.?(?= \d)", lambda match: _SHORT_MONTHS[match[1]]),
    (
        rf"\b{_MONTH} {_DAY}\b(?!:)(?:\s?[-–]\s?(?P<until>[0-3]?\d)\b)?(?:,? (?P<year>\d{{4}})\b)?",
        _month_day,
    ),
    (rf"(?:\b[Tt]he )?\b{_DAY} (?:of )?{_MONTH}\b(?:,? (?P<year>\d{{4}})\b)?", _day_month),
    (r"(\d(?: ?[ap]\.?m\.?)?)\s?[-–]\s?(?=\d{1,2}(?::\d\d| ?[apAP]\.?[mM]))", r"\1 to "),
    (rf"{_CLOCK} ?{_HALF}\.?(?!$)", _clock),
    (rf"{_CLOCK}(?: ?{_HALF})?", _clock),
    (rf"\b(?P<hour>1[0-2]|[1-9])\.(?P<minute>[0-5]\d)(?P<second>) ?{_HALF}", _clock),
    (r"\b(1[0-2]|[1-9]) ?([AaPp])\.?[Mm]\b\.?", _hour),
)

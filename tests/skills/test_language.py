"""Words, numbers, durations, moments, sums: exact, total and never confused."""

# ruff: noqa: E501  a table is read in lines

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assistant.skills import Skills
from assistant.skills.builtin.calculation import Calculation
from assistant.skills.builtin.units import Measure, Unit
from assistant.text.en import wording
from assistant.text.en.durations import duration
from assistant.text.en.moments import moment
from assistant.text.en.numbers import number
from assistant.text.en.words import keys, said, words
from assistant.tools.bench.corpus import NOW


def split(text: str) -> list[str]:
    return list(keys(words(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What's the TIME?", "whats the time"),
        ("7 a.m.", "7 am"),
        ("7am", "7 am"),
        ("at 8.M.", "at 8 am"),
        ("7:30 P.M.", "7:30 pm"),
        ("8.30.00", "8:30"),
        ("a 10-minute timer", "a 10 minute timer"),
        ("1,000 and 2,5", "1000 and 2 5"),
        ("15%", "15 percent"),
        ("72°F", "72 degrees f"),
        ("3 × 4", "3 times 4"),
        ("10 - 4", "10 minus 4"),
        ("-5", "minus 5"),
        ("9-11", "9 11"),
        ("2½ cups", "2 1 / 2 cups"),
        ("$5", "$ 5"),
        ("“Stop!”", "stop"),
        ("  ", ""),
        ("x" * 500, ""),
    ],
)  # fmt: skip
def test_spellings_become_the_same_words(text: str, expected: str) -> None:
    assert " ".join(split(text)) == expected


def test_a_name_keeps_its_spelling() -> None:
    assert said(words("Anna's Pasta, please")) == "Anna's Pasta please"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("twelve", 12), ("0", 0), ("one hundred and five", 105), ("a hundred", 100), ("2 hundred", 200),
        ("twelve hundred", 1200), ("2.5 million", 2_500_000), ("minus 4", -4), ("point five", Fraction(1, 2)),
        ("three point one four", Fraction("3.14")), ("three and a half", Fraction(7, 2)), ("2 1/2", Fraction(5, 2)),
        ("two thirds", Fraction(2, 3)), ("a quarter", Fraction(1, 4)), ("one thousand two hundred thirty four", 1234),
        ("1,234,567", 1_234_567),
    ],
)  # fmt: skip
def test_numbers(text: str, value: Fraction) -> None:
    assert number(split(text)) == value


@pytest.mark.parametrize(
    "text",
    ["", "and", "seven thirty", "two and", "hundred", "five five", "ten to", "point", "a", "the", "one two three",
     "two point", "million two", "half past", "1/0", "minus minus 3", "five minus three", "2.5.1"],
)  # fmt: skip
def test_no_numbers(text: str) -> None:
    assert number(split(text)) is None


@given(st.integers(0, 10**12))
@example(100_000)
@example(1_000_001)
def test_every_number_that_is_said_is_understood(value: int) -> None:
    assert number(split(wording.number(value))) == value


@given(st.integers(1, 366 * 86_400))
def test_every_duration_that_is_said_is_understood(seconds: int) -> None:
    length = timedelta(seconds=seconds)
    assert duration(split(wording.duration(length))) == length


@given(st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)))  # noqa: DTZ001
def test_every_clock_time_that_is_said_is_understood(local: datetime) -> None:
    local = local.replace(second=0, microsecond=0)
    if local.date() == NOW.date():
        return
    said_time = moment(split(wording.clock_of_day(local)))
    assert said_time is not None
    assert said_time.after(local - timedelta(minutes=1)) == local


@pytest.mark.parametrize(
    "text",
    ["ten", "minutes", "ten minutes five", "ten minutes and", "five hours ten days", "zero minutes",
     "minus two minutes", "ten minutes minutes", "and five minutes", "half a dozen minutes"],
)  # fmt: skip
def test_no_durations(text: str) -> None:
    assert duration(split(text)) is None


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("seven", "23 19:00"), ("7 tomorrow", "24 07:00"), ("7 am", "24 07:00"), ("4", "24 04:00"),
        ("ten past four", "24 04:10"), ("half past four", "23 16:30"), ("12", "24 00:00"), ("noon", "24 12:00"),
        ("midnight tonight", "24 00:00"), ("12 tonight", "24 00:00"), ("2 at night", "24 02:00"),
        ("tomorrow at 3", "24 15:00"), ("the day after tomorrow at 8", "25 08:00"), ("8 on sunday", "30 08:00"),
        ("8 this evening", "23 20:00"), ("quarter to nine", "23 20:45"), ("nine oh five pm", "23 21:05"),
        ("20 to 1", "24 00:40"), ("half-pass six", "23 18:30"), ("7.30 pm", "23 19:30"), ("0715", "24 07:15"),
        ("every tuesday at 6 pm", "25 18:00"), ("weekdays", None), ("every day", None), ("18 am", None),
        ("25", None), ("7:75", None), ("7 8", None), ("tomorrow", None), ("at", None), ("half", None),
        ("7 am pm", None), ("monday tuesday 7", None), ("7 tomorrow every day", None),
    ],
)  # fmt: skip
def test_moments(text: str, local: str | None) -> None:
    understood = moment(split(text))
    assert (f"{understood.after(NOW):%d %H:%M}" if understood else None) == local


@pytest.mark.parametrize(
    "text",
    ["12", "what", "twelve times", "plus 3", "3 plus", "the square root of", "five percent", "7 7", "two times three four",
     "half of", "__import__ times 2", "9/11"],
)  # fmt: skip
def test_no_sums(text: str) -> None:
    assert Calculation.from_keys(split(text)) is None


@given(
    st.integers(-999, 999), st.integers(-999, 999), st.sampled_from(["plus", "minus", "times", "divided by"])
)
def test_sums_are_exact(one: int, other: int, operator: str) -> None:
    sum_ = Calculation.from_keys(split(f"{wording.number(one)} {operator} {wording.number(other)}"))
    assert sum_ is not None
    if operator == "divided by":
        assert sum_.value == (Fraction(one, other) if other else None)
    else:
        assert sum_.value == {"plus": one + other, "minus": one - other, "times": one * other}[operator]


@given(st.fractions(-1000, 1000, max_denominator=100))
def test_there_and_back_is_the_same_temperature(amount: Fraction) -> None:
    celsius, fahrenheit = Unit.from_keys(["celsius"]), Unit.from_keys(["fahrenheit"])
    assert celsius is not None
    assert fahrenheit is not None
    there = (amount * celsius.factor + celsius.offset - fahrenheit.offset) / fahrenheit.factor
    assert there == amount * Fraction(9, 5) + 32


@pytest.mark.parametrize(
    "text", ["kilometers", "ten", "ten apples", "a a mile", "five foot twelve", "foot eleven"]
)
def test_no_measures(text: str) -> None:
    assert Measure.from_keys(split(text)) is None


_VOCABULARY = [
    "set",
    "a",
    "timer",
    "for",
    "ten",
    "minutes",
    "and",
    "thirty",
    "seconds",
    "called",
    "pasta",
    "what",
    "is",
    "the",
    "to",
    "in",
    "my",
    "list",
    "add",
    "remind",
    "me",
    "at",
    "seven",
    "half",
    "past",
    "two",
    "times",
    "plus",
    "milk",
    "five",
    "six",
    "please",
    "stop",
    "how",
    "long",
    "left",
    "on",
    "volume",
    "7:30",
    "2.5",
    "percent",
    "of",
    "every",
    "day",
    "tomorrow",
    "am",
    "convert",
    "miles",
    "hey",
    ",",
    ".",
    "-",
    "%",
    "½",
    "alarm",
    "wake",
    "up",
    "point",
    "hundred",
    "minus",
    "o'clock",
    "/",
    "roll",
    "dice",
]


@given(st.lists(st.sampled_from(_VOCABULARY), max_size=40).map(" ".join) | st.text(max_size=300))
@example("add " + "milk and " * 50)
@example("what is " + "two plus " * 30 + "two")
def test_any_text_is_matched_or_not_and_no_more(skills: Skills, text: str) -> None:
    match = skills.match(text)
    assert match is None or isinstance(match.name, str)

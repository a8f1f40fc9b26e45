"""English numbers: parsed from words and digits as recognizers mix them, and spoken as words.

Parsed: "twelve", "12", "one hundred and five", "2.5 million", "three and a half", "minus 4", "a quarter",
"point five". ``number`` and ``whole`` take the keys of words; if any key is left over, the result is None.
Spoken: 21 -> twenty-one, twenty-first, two one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from num2words import num2words

# fmt: off
_ONES = {
    "zero": 0, "nought": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14,
    "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
}
# fmt: on
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    **dict.fromkeys(("half", "halves"), 2),
    **dict.fromkeys(("third", "thirds"), 3),
    **dict.fromkeys(("quarter", "quarters", "fourth", "fourths"), 4),
    **dict.fromkeys(("fifth", "fifths"), 5),
    **dict.fromkeys(("sixth", "sixths"), 6),
    **dict.fromkeys(("eighth", "eighths"), 8),
    **dict.fromkeys(("tenth", "tenths"), 10),
}
PART_WORDS = frozenset([*_PARTS, "/"])
"""What makes a number a fraction."""
# fmt: off
_VOCABULARY = frozenset([
    *_ONES, *_TENS, *_SCALES, *_PARTS,
    "a", "an", "the", "and", "hundred", "point", "minus", "negative", "oh", "o", "/",
])
# fmt: on
_MAX_WORDS = 24
"""A number below a trillion has at most 20 words, the longest time of day has 14."""


def may_be_number(key: str) -> bool:
    """Whether this word occurs in numbers at all: the cheap question before the thorough one."""
    return key in _VOCABULARY or key in _ORDINALS or key[0].isdigit()


def counts(key: str) -> bool:
    """Whether this word alone is a number, in digits or in letters."""
    return key in _ONES or key in _TENS or key[0].isdigit()


def occur_in(vocabulary: frozenset[str], keys: Sequence[str]) -> bool:
    """True if a phrase of these words and numbers is worth parsing."""
    return 0 < len(keys) <= _MAX_WORDS and all(key in vocabulary or may_be_number(key) for key in keys)


def number(keys: Sequence[str]) -> Fraction | None:
    """Return the number that these words spell, or None."""
    if not occur_in(_VOCABULARY, keys):
        return None
    if keys[0] in {"minus", "negative"}:
        value = _positive(keys[1:])
        return -value if value is not None else None
    return _positive(keys)


def _positive(keys: Sequence[str]) -> Fraction | None:
    if len(keys) == 4 and keys[2] == "/":  # 2 1/2
        keys = [keys[0], "and", *keys[1:]]
    if len(keys) == 6 and keys[4] == "/" and keys[1:3] in (["and", "a"], ("and", "a")):  # 1 and a 1/2
        keys = [keys[0], "and", *keys[3:]]
    if keys and keys[-1] in _SCALES and "point" in keys:  # one point two million
        value = _with_decimals(keys[:-1])
        return value * _SCALES[keys[-1]] if value is not None else None
    if len(keys) > 3 and "and" in keys:
        return _with_part(keys)
    if "point" in keys:
        return _with_decimals(keys)
    part = _part(keys)
    return _counted(keys) if part is None else part


_ORDINALS = {
    **{name: value for value, name in enumerate(
        ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
         "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth",
         "eighteenth", "nineteenth", "twentieth"), 1)},
    "thirtieth": 30, "fortieth": 40, "fiftieth": 50,
}  # fmt: skip


def ordinal_number(keys: Sequence[str]) -> int | None:
    """ "24th", "third", "twenty first": the number that these words are the ordinal of."""
    if len(keys) == 1:
        digits_only = re.fullmatch(r"(\d{1,3})(?:st|nd|rd|th)", keys[0])
        return int(digits_only[1]) if digits_only else _ORDINALS.get(keys[0])
    if len(keys) == 2 and keys[0] in _TENS and (one := _ORDINALS.get(keys[1])) and one < 10:
        return _TENS[keys[0]] + one
    return None


def whole(keys: Sequence[str]) -> int | None:
    """Like ``number``, for whole numbers only."""
    value = number(keys)
    return int(value) if value is not None and value.denominator == 1 else None


def _with_part(keys: Sequence[str]) -> Fraction | None:
    """Parse "three and a half", "one hundred and five", "two and three quarters"."""
    last_and = len(keys) - 1 - list(reversed(keys)).index("and")
    part = _part(keys[last_and + 1 :])
    if part is None:
        return _counted(keys)
    base = _counted(keys[:last_and])
    return base + part if base is not None and base.denominator == 1 else None


def _part(keys: Sequence[str]) -> Fraction | None:
    """Parse "half", "a quarter", "two thirds", "1 / 2"."""
    if len(keys) == 3 and keys[1] == "/" and keys[0].isdigit() and keys[2].isdigit() and int(keys[2]):
        return Fraction(int(keys[0]), int(keys[2]))
    if not keys or keys[-1] not in _PARTS:
        return None
    if len(keys) == 1:
        return Fraction(1, _PARTS[keys[-1]]) if keys[-1] in {"half", "quarter"} else None
    count = Fraction(1) if keys[0] in {"a", "an", "the"} and len(keys) == 2 else _counted(keys[:-1])
    return count / _PARTS[keys[-1]] if count is not None and count.denominator == 1 else None


def _with_decimals(keys: Sequence[str]) -> Fraction | None:
    """Parse "three point one four" or "point five"; digits may be said one by one or as one number."""
    at = keys.index("point")
    base = _counted(keys[:at]) if at else Fraction(0)
    digits = "".join(_digits_of(key) for key in keys[at + 1 :])
    if base is None or base.denominator != 1 or "?" in digits or not digits:
        return None
    return base + Fraction(int(digits), 10 ** len(digits))


def _digits_of(key: str) -> str:
    if key.isascii() and key.isdigit():
        return key
    if key in {"oh", "o"}:
        return "0"
    value = {**_ONES, **_TENS}.get(key)
    return str(value) if value is not None else "?"


def _counted(keys: Sequence[str]) -> Fraction | None:
    """Parse "two hundred and five", "12 thousand", "2.5 million", "a hundred"."""
    total, group = Fraction(0), Fraction(0)
    room, scale = 1000, 10**15  # what may still be added to the group; the last scale word
    empty = True
    for position, key in enumerate(keys):
        if key == "and":
            if empty or room not in (100, 1000) or position + 1 == len(keys):
                return None
            continue
        if key in {"a", "an"}:
            if position or len(keys) == 1 or keys[1] not in {"hundred", *_SCALES}:
                return None
            group, room, empty = Fraction(1), 0, False
        elif key == "hundred":
            if not 0 < group < 100 or room > 100:
                return None
            group, room = group * 100, 100
        elif key in _SCALES:
            if group <= 0 or _SCALES[key] >= scale:
                return None
            total, group, room, scale = total + group * _SCALES[key], Fraction(0), 1000, _SCALES[key]
        else:
            value = _small(key)
            if value is None or room == 0 or (value >= room and not empty):
                return None
            group += value
            room = 10 if key in _TENS else 0
            empty = False
    return None if empty else total + group


def _small(key: str) -> Fraction | None:
    """Parse one word: a number below a hundred, or digits."""
    if key in _ONES or key in _TENS:
        return Fraction(_ONES[key] if key in _ONES else _TENS[key])
    if key.isascii() and key.replace(".", "", 1).isdigit() and len(key) <= 15:
        return Fraction(key)
    return None


LONGEST_NUMBER = 15
"""Numbers with more digits than a quadrillion are read digit by digit."""


def cardinal(number: int) -> str:
    """5 -> five."""
    return str(num2words(number)).replace(",", "")


def ordinal(number: int) -> str:
    """5 -> fifth."""
    return str(num2words(number, to="ordinal")).replace(",", "")


def year(number: int) -> str:
    """1905 -> nineteen oh-five."""
    return str(num2words(number, to="year"))


def digits(text: str) -> str:
    """Spell the digits in ``text`` one by one, with commas between groups."""
    groups = re.findall(r"\d+", text)
    return ", ".join(" ".join(cardinal(int(digit)) for digit in group) for group in groups)


def in_words(text: str) -> str:
    """Spell ``text`` such as "1,234.50" in words; digit by digit if it is very long or has a leading 0."""
    whole, _, decimals = text.replace(",", "").partition(".")
    if len(whole) > LONGEST_NUMBER or (len(whole) > 1 and whole[0] == "0"):
        words = digits(whole)
    else:
        words = cardinal(int(whole))
    return f"{words} point {digits(decimals)}" if decimals else words

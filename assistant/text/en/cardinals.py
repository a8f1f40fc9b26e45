"""Numbers in words, as English says them: 21 -> twenty-one, twenty-first, two one."""

from __future__ import annotations

import re

from num2words import num2words

LONGEST_NUMBER = 15
"""More digits than a quadrillion has are read one by one."""


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
    """The digits in ``text`` one by one; groups of them are set off by commas."""
    groups = re.findall(r"\d+", text)
    return ", ".join(" ".join(cardinal(int(digit)) for digit in group) for group in groups)


def number(text: str) -> str:
    """``text`` such as "1,234.50" in words; digit by digit if it is very long or leads with 0."""
    whole, _, decimals = text.replace(",", "").partition(".")
    if len(whole) > LONGEST_NUMBER or (len(whole) > 1 and whole[0] == "0"):
        words = digits(whole)
    else:
        words = cardinal(int(whole))
    return f"{words} point {digits(decimals)}" if decimals else words

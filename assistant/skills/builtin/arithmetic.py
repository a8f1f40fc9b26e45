"""Sums: "what is twelve times seven", "15 percent of 80", "the square root of 144"."""

from __future__ import annotations

from fractions import Fraction

from assistant.skills.builtin.calculation import Calculation
from assistant.text.en import wording


def calculate(calculation: Calculation) -> str:
    """Work out a sum."""
    if calculation.value is None:
        return calculation.problem
    result = wording.about(calculation.value)
    if not calculation.exact and not result.startswith("about"):
        result = f"about {result}"
    return f"{wording.capital(calculation.said)} is {result}."


def percentage(part: float, whole: float) -> str:
    """Tell how many percent of a number another number is."""
    if not whole:
        return "Nothing is a percentage of zero."
    percent = wording.about(Fraction(part) * 100 / Fraction(whole))
    return f"{wording.capital(wording.number(part))} is {percent} percent of {wording.number(whole)}."

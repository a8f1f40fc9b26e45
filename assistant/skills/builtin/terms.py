"""Exact arithmetic for sums in words: terms that carry how they are said. Raises Unanswerable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from assistant.text.en import wording

TOO_BIG = "That number is too big for me."
_NO_REAL = "That doesn't have an answer in ordinary numbers."
_LARGEST_EXPONENT = 64
_LARGEST_FACTORIAL = 17


class Unanswerable(Exception):
    """A sum that is understood but has no answer that could be said."""


@dataclass(frozen=True, slots=True)
class Term:
    """A value and its words."""

    value: Fraction
    said: str
    exact: bool = True


def powered(base: Term, exponent: int, said: str) -> Term:
    """Raise to a power; 0 stands for the factorial."""
    if exponent:
        return raised(base, Term(Fraction(exponent), ""), said)
    if base.value.denominator != 1 or base.value < 0:
        raise Unanswerable(_NO_REAL)
    if base.value > _LARGEST_FACTORIAL:
        raise Unanswerable(TOO_BIG)
    return Term(Fraction(math.factorial(int(base.value))), said, base.exact)


def combined(one: Fraction, operator: str, other: Fraction) -> Fraction:
    """Apply plus, minus, times, modulo or, for any other operator, division."""
    if operator == "plus":
        return one + other
    if operator == "minus":
        return one - other
    if operator == "times":
        return one * other
    if other == 0:
        raise Unanswerable("You can't divide by zero.")
    return one % other if operator == "modulo" else one / other


def raised(base: Term, exponent: Term, said: str) -> Term:
    """Raise to a power that need not be whole."""
    if exponent.value.denominator == 1 and abs(exponent.value) <= _LARGEST_EXPONENT:
        if base.value == 0 and exponent.value < 0:
            raise Unanswerable("You can't divide by zero.")
        return Term(checked(base.value ** int(exponent.value)), said, base.exact and exponent.exact)
    if base.value <= 0:
        raise Unanswerable(_NO_REAL)
    try:
        power = float(base.value) ** float(exponent.value)
        return Term(checked(Fraction(power)), said, exact=False)
    except OverflowError:
        raise Unanswerable(TOO_BIG) from None


def root_of(of: Term, degree: int) -> Term:
    """Take the square or the cube root, exact where there is one."""
    said = f"the {'square' if degree == 2 else 'cube'} root of {of.said}"
    if of.value < 0 and degree == 2:
        raise Unanswerable(_NO_REAL)
    root = Fraction(abs(float(of.value)) ** (1 / degree)).limit_denominator(10_000) * (
        1 if of.value >= 0 else -1
    )
    if root**degree == of.value:
        return Term(root, said, of.exact)
    return Term(Fraction(math.copysign(abs(float(of.value)) ** (1 / degree), of.value)), said, exact=False)


def checked(value: Fraction) -> Fraction:
    """Return the value if it can be said."""
    if abs(value) >= wording.LARGEST:
        raise Unanswerable(TOO_BIG)
    return value

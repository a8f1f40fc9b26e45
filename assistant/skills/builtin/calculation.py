"""Sums in words to exact values. No eval: a small grammar over the keys of words.

::

    sum      = product {("plus" | "minus" ...) product}
    product  = power {("times" | "divided by" ...) power}
    power    = operand {"squared" | "cubed" | "to the power of" operand}
    operand  = "the square root of" power | number ["percent"] "of" power | number
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

from assistant.text.en import wording
from assistant.text.en.numbers import may_be_number, number, occur_in

_TOO_BIG = "That number is too big for me."
_NO_REAL = "No ordinary number is the answer to that."
_LARGEST_EXPONENT = 64


class Unanswerable(Exception):
    """A sum that is understood and has no answer that could be said."""


@dataclass(frozen=True, slots=True)
class Calculation:
    """A sum, such as "twelve times seven" or "15 percent of 80"."""

    said: str
    """As it is read back."""
    value: Fraction | None
    """None when there is no answer; ``problem`` says why."""
    exact: bool = True
    problem: str = ""

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Calculation | None:
        """The sum that all these words are; None for anything else, a mere number included."""
        if not occur_in(_VOCABULARY, keys):
            return None
        parser = _Parser(keys)
        try:
            term = parser.sum()
        except Unanswerable as reason:
            return cls("", None, problem=str(reason))
        except _NoSum:
            return None
        if parser.left() or not parser.operations:
            return None
        return cls(term.said, term.value, exact=term.exact)


@dataclass(frozen=True, slots=True)
class _Term:
    value: Fraction
    said: str
    exact: bool = True


class _NoSum(Exception):
    """The words are no sum."""


_SUMS = {
    ("plus",): "plus",
    ("added", "to"): "plus",
    ("minus",): "minus",
    ("take", "away"): "minus",
    ("less",): "minus",
}
_PRODUCTS = {
    ("times",): "times",
    ("x",): "times",
    ("multiplied", "by"): "times",
    ("multiply", "by"): "times",
    ("time",): "times",  # heard so before a consonant
    ("divided", "by"): "divided by",
    ("divide", "by"): "divided by",
    ("over",): "divided by",
    ("/",): "divided by",
}
_POSTFIXES: dict[tuple[str, ...], int] = {("squared",): 2, ("cubed",): 3}
_POWERS = (("to", "the", "power", "of"), ("to", "the", "power"), ("to", "power"))
_ROOTS = {
    ("the", "square", "root", "of"): 2,
    ("square", "root", "of"): 2,
    ("the", "cube", "root", "of"): 3,
    ("cube", "root", "of"): 3,
    ("the", "root", "of"): 2,
}


_HEARD = frozenset(("to", "too", "due"))
"""What "two" is heard as; nothing else makes sense before "plus"."""

_VOCABULARY = (
    _HEARD
    | frozenset(word for phrase in (*_SUMS, *_PRODUCTS, *_POSTFIXES, *_POWERS, *_ROOTS) for word in phrase)
    | {"percent", "per", "cent"}
)


class _Parser:
    """Recursive descent. Raises _NoSum where the words do not fit, Unanswerable where they do in vain."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = list(keys)
        self.operations = 0

    def left(self) -> bool:
        return bool(self._keys)

    def sum(self) -> _Term:
        return self._chain(self._product, _SUMS)

    def _product(self) -> _Term:
        return self._chain(self._power, _PRODUCTS)

    def _chain(self, operand: Callable[[], _Term], operators: dict[tuple[str, ...], str]) -> _Term:
        term = operand()
        while (operator := self._take(operators)) is not None:
            other = operand()
            name = operators[operator]
            value = _combined(term.value, name, other.value)
            term = _Term(_checked(value), f"{term.said} {name} {other.said}", term.exact and other.exact)
        return term

    def _power(self) -> _Term:
        term = self._operand()
        while True:
            if (postfix := self._take(_POSTFIXES)) is not None:
                term = _raised(term, _Term(Fraction(_POSTFIXES[postfix]), ""), f"{term.said} {postfix[0]}")
            elif self._take(_POWERS) is not None:
                exponent = self._operand()
                term = _raised(term, exponent, f"{term.said} to the power of {exponent.said}")
            else:
                return term

    def _operand(self) -> _Term:
        if (root := self._take(_ROOTS)) is not None:
            of = self._power()
            return _root(of, _ROOTS[root])
        value, length = self._number()
        said = wording.number(value)
        self._keys = self._keys[length:]
        if self._take((("percent", "of"), ("per", "cent", "of"))) is not None:
            of = self._power()
            return _Term(_checked(value * of.value / 100), f"{said} percent of {of.said}", of.exact)
        if 0 < value < 1 and self._take((("of",),)) is not None:
            of = self._power()
            return _Term(_checked(value * of.value), f"{wording.fraction(value)} of {of.said}", of.exact)
        return _Term(value, said)

    def _number(self) -> tuple[Fraction, int]:
        """The longest number at the beginning, and how many words it has."""
        if len(self._keys) > 1 and self._keys[0] in _HEARD:
            return Fraction(2), 1
        run = next((at for at, key in enumerate(self._keys) if not may_be_number(key)), len(self._keys))
        for length in range(min(run, 16), 0, -1):
            value = number(self._keys[:length])
            if value is not None:
                if abs(value) >= wording.LARGEST:
                    raise Unanswerable(_TOO_BIG)
                return value, length
        raise _NoSum

    def _take(self, phrases: Collection[tuple[str, ...]]) -> tuple[str, ...] | None:
        """Take one of these phrases off the beginning; the longest that is there."""
        there = [phrase for phrase in phrases if tuple(self._keys[: len(phrase)]) == phrase]
        if not there:
            return None
        phrase = max(there, key=len)
        self._keys = self._keys[len(phrase) :]
        self.operations += 1
        return phrase


def _combined(one: Fraction, operator: str, other: Fraction) -> Fraction:
    if operator == "plus":
        return one + other
    if operator == "minus":
        return one - other
    if operator == "times":
        return one * other
    if other == 0:
        raise Unanswerable("Nothing can be divided by zero.")
    return one / other


def _raised(base: _Term, exponent: _Term, said: str) -> _Term:
    if exponent.value.denominator == 1 and abs(exponent.value) <= _LARGEST_EXPONENT:
        if base.value == 0 and exponent.value < 0:
            raise Unanswerable("Nothing can be divided by zero.")
        return _Term(_checked(base.value ** int(exponent.value)), said, base.exact and exponent.exact)
    if base.value <= 0:
        raise Unanswerable(_NO_REAL)
    try:
        power = float(base.value) ** float(exponent.value)
        return _Term(_checked(Fraction(power)), said, exact=False)
    except OverflowError:
        raise Unanswerable(_TOO_BIG) from None


def _root(of: _Term, degree: int) -> _Term:
    said = f"the {'square' if degree == 2 else 'cube'} root of {of.said}"
    if of.value < 0 and degree == 2:
        raise Unanswerable(_NO_REAL)
    root = Fraction(abs(float(of.value)) ** (1 / degree)).limit_denominator(10_000) * (
        1 if of.value >= 0 else -1
    )
    if root**degree == of.value:
        return _Term(root, said, of.exact)
    return _Term(Fraction(math.copysign(abs(float(of.value)) ** (1 / degree), of.value)), said, exact=False)


def _checked(value: Fraction) -> Fraction:
    if abs(value) >= wording.LARGEST:
        raise Unanswerable(_TOO_BIG)
    return value

"""Parses sums in words to exact values. No eval: a small grammar over the keys of words.

::

    sum      = product {("plus" | "minus" ...) product ["percent"]}
    product  = power {("times" | "divided by" ...) power}
    power    = operand {"squared" | "cubed" | "factorial" | "to the power of" operand | "to the" ordinal}
    operand  = ("the square root of" | "the square of" | "factorial of" ...) power
             | "multiply" power "by" power | "the sum of" power "and" power ...
             | number "percent" ("of" | "off" | "tip on") power | number "of" power
             | "(" sum ")" | "minus" operand | number
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

from assistant.skills.builtin.terms import (
    TOO_BIG,
    Term,
    Unanswerable,
    checked,
    combined,
    powered,
    raised,
    root_of,
)
from assistant.text.en import wording
from assistant.text.en.numbers import PART_WORDS, counts, may_be_number, number, occur_in, ordinal_number
from assistant.text.en.words import Word


@dataclass(frozen=True, slots=True)
class Calculation:
    """A sum, such as "twelve times seven" or "15 percent of 80"."""

    said: str
    """The sum, worded for reading back."""
    value: Fraction | None
    """None if there is no answer; ``problem`` says why."""
    exact: bool = True
    problem: str = ""

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Calculation | None:
        """Parse a sum; None if any word is left over, or for a mere number."""
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

    @classmethod
    def from_words(cls, words: Sequence[Word]) -> Calculation | None:
        """Like ``from_keys``; a hyphen is a minus unless it could be a range ("5-3", but not "9-11")."""
        if sum(word.hyphen for word in words) == 1:
            keys: list[str] = []
            for word, following in zip(words, [*words[1:], None], strict=True):
                keys.append(word.key)
                if word.hyphen and following and word.key.isdecimal() and following.key.isdecimal():
                    if int(word.key) <= int(following.key):
                        return None
                    keys.append("minus")
            return cls.from_keys(keys)
        return cls.from_keys([word.key for word in words])


class _NoSum(Exception):
    """The words are not a sum."""


_SUMS = {
    ("plus",): "plus",
    ("added", "to"): "plus",
    ("minus",): "minus",
    ("take", "away"): "minus",
    ("less",): "minus",
    ("subtract",): "minus",
}
_PRODUCTS = {
    ("times",): "times",
    ("x",): "times",
    ("multiplied", "by"): "times",
    ("multiply", "by"): "times",
    ("time",): "times",  # recognized this way before a consonant
    ("divided", "by"): "divided by",
    ("divide", "by"): "divided by",
    ("over",): "divided by",
    ("/",): "divided by",
    ("mod",): "modulo",
    ("modulo",): "modulo",
    ("modulus",): "modulo",
}
_POSTFIXES: dict[tuple[str, ...], int] = {("squared",): 2, ("cubed",): 3, ("factorial",): 0}
_POWERS = (("to", "the", "power", "of"), ("to", "the", "power"), ("to", "power"), ("^",))
_OF_TWO = {
    **{(*the, name, *of): operator
       for the in ((), ("the",))
       for name, of, operator in (
           ("sum", ("of",), "plus"), ("difference", ("between",), "minus"), ("difference", ("of",), "minus"),
           ("product", ("of",), "times"), ("quotient", ("of",), "divided by"),
           ("average", ("of",), "average"), ("mean", ("of",), "average"), ("remainder", ("of",), "modulo"),
       )},
    ("multiply",): "times", ("divide",): "divided by", ("add",): "plus", ("subtract",): "minus",
}  # fmt: skip
"""Operators said before both numbers, with "and", "by", "to" or "from" between them."""
_BETWEEN = {
    "plus": (("and",), ("to",), ("with",)), "minus": (("and",), ("from",)),
    "times": (("by",), ("and",), ("with",)), "divided by": (("by",), ("and",)), "average": (("and",),),
    "modulo": (("divided", "by"), ("and",)),
}  # fmt: skip
_TIMES: dict[tuple[str, ...], int] = {("twice",): 2, ("double",): 2, ("triple",): 3, ("thrice",): 3}
_OF_PERCENT = (("percent", "of"), ("per", "cent", "of"))
_PERCENT = (("percent",), ("per", "cent"))
_OFFS = (("off",), ("off", "of"), ("discount", "on"), ("less", "than"))
_OFF = tuple((*percent, *off) for percent in _PERCENT for off in _OFFS)
_TIP = tuple((*percent, "tip", on) for percent in _PERCENT for on in ("on", "for", "of"))
_ROOTS = {
    ("the", "square", "root", "of"): 2,
    ("square", "root", "of"): 2,
    ("the", "cube", "root", "of"): 3,
    ("cube", "root", "of"): 3,
    ("the", "root", "of"): 2,
    ("root",): 2,
}
_RAISED = {
    ("the", "square", "of"): 2, ("square", "of"): 2, ("the", "cube", "of"): 3, ("cube", "of"): 3,
    ("the", "factorial", "of"): 0, ("factorial", "of"): 0,
}  # fmt: skip


_HEARD = frozenset(("to", "too", "due"))
"""Words that "two" is recognized as; nothing else makes sense before "plus"."""

_VOCABULARY = (
    _HEARD
    | frozenset(
        word
        for phrase in (
            *_SUMS,
            *_PRODUCTS,
            *_POSTFIXES,
            *_POWERS,
            *_ROOTS,
            *_RAISED,
            *_OF_TWO,
            *_OFF,
            *_TIP,
            *_TIMES,
        )
        for word in phrase
    )
    | {"percent", "per", "cent", "(", ")", "and", "by", "from", "with", "$", "a", "dollars", "dollar"}
)


class _Parser:
    """Recursive descent. Raises _NoSum if the words aren't a sum, Unanswerable if the sum has no answer."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = list(keys)
        self.operations = 0

    def left(self) -> bool:
        return bool(self._keys)

    def sum(self) -> Term:
        return self._chain(self._product, _SUMS)

    def _product(self) -> Term:
        return self._chain(self._power, _PRODUCTS)

    def _chain(self, operand: Callable[[], Term], operators: dict[tuple[str, ...], str]) -> Term:
        term = operand()
        while (operator := self._take(operators)) is not None:
            other = operand()
            name = operators[operator]
            if operators is _SUMS and self._take(_PERCENT) is not None:
                other = Term(
                    term.value * other.value / 100, f"{other.said} percent", term.exact and other.exact
                )
            value = combined(term.value, name, other.value)
            term = Term(checked(value), f"{term.said} {name} {other.said}", term.exact and other.exact)
        return term

    def _power(self) -> Term:
        term = self._operand()
        while True:
            if (postfix := self._take(_POSTFIXES)) is not None:
                term = powered(term, _POSTFIXES[postfix], f"{term.said} {postfix[0]}")
            elif (exponent_at := self._ordinal_power()) is not None:
                term = powered(
                    term, exponent_at, f"{term.said} to the power of {wording.number(exponent_at)}"
                )
            elif self._take(_POWERS) is not None:
                exponent = self._operand()
                term = raised(term, exponent, f"{term.said} to the power of {exponent.said}")
            else:
                return term

    def _ordinal_power(self) -> int | None:
        """Parse "to the third [power]"."""
        if self._keys[:2] != ["to", "the"]:
            return None
        for length in (2, 1):
            if (exponent := ordinal_number(self._keys[2 : 2 + length])) is not None:
                self._keys = self._keys[2 + length :]
                self._keys = self._keys[1:] if self._keys[:1] == ["power"] else self._keys
                self.operations += 1
                return exponent
        return None

    def _bracket(self) -> Term:
        self._keys = self._keys[1:]
        inside = self.sum()
        if self._keys[:1] != [")"]:
            raise _NoSum
        self._keys = self._keys[1:]
        return Term(inside.value, f"{inside.said} in brackets", inside.exact)

    def _of_two(self, operator: str) -> Term:
        """Parse "multiply 6 by 7", "the sum of 5 and 7"; sums and products may have more than two."""
        terms = [self._power()]
        swapped = False
        while (between := self._take(_BETWEEN[operator])) is not None:
            swapped = swapped or between == ("from",)
            terms.append(self._power())
        if len(terms) < 2 or (len(terms) > 2 and operator not in {"plus", "times", "average"}):
            raise _NoSum
        terms = terms[::-1] if swapped else terms
        value = terms[0].value
        for term in terms[1:]:
            value = checked(combined(value, "plus" if operator == "average" else operator, term.value))
        exact = all(term.exact for term in terms)
        if operator == "average":
            listed = wording.listing([term.said for term in terms])
            return Term(value / len(terms), f"the average of {listed}", exact)
        return Term(value, f" {operator} ".join(term.said for term in terms), exact)

    def _operand(self) -> Term:  # noqa: PLR0911 - a table of forms
        is_article = self._keys[:1] == ["a"] and len(self._keys) > 1 and counts(self._keys[1])
        self._keys = self._keys[1:] if self._keys[:1] == ["$"] or is_article else self._keys
        if self._keys[:1] == ["("]:
            return self._bracket()
        if self._keys[:1] == ["minus"] and self._keys[1:2] in (["("], ["minus"]):
            self._keys = self._keys[1:]
            inner = self._operand()
            return Term(-inner.value, f"minus {inner.said}", inner.exact)
        if (before := self._take(_OF_TWO)) is not None:
            return self._of_two(_OF_TWO[before])
        if (raised := self._take(_RAISED)) is not None:
            of = self._power()
            return powered(of, _RAISED[raised], f"{' '.join(raised)} {of.said}")
        if (times := self._take(_TIMES)) is not None:
            of = self._power()
            return Term(checked(of.value * _TIMES[times]), f"{times[0]} {of.said}", of.exact)
        if (root := self._take(_ROOTS)) is not None:
            of = self._power()
            return root_of(of, _ROOTS[root])
        value, length = self._number()
        is_part = bool(PART_WORDS.intersection(self._keys[:length]))
        said = wording.part(value) if is_part else wording.number(value)
        self._keys = self._keys[length:]
        self._keys = self._keys[1:] if self._keys[:1] in (["dollars"], ["dollar"]) else self._keys
        if self._take(_OFF) is not None:
            of = self._power()
            return Term(checked(of.value * (100 - value) / 100), f"{said} percent off {of.said}", of.exact)
        if self._take(_TIP) is not None:
            of = self._power()
            return Term(checked(value * of.value / 100), f"a {said} percent tip on {of.said}", of.exact)
        if self._take(_OF_PERCENT) is not None:
            of = self._power()
            return Term(checked(value * of.value / 100), f"{said} percent of {of.said}", of.exact)
        if 0 < value < 1 and self._take((("of",),)) is not None:
            of = self._power()
            return Term(checked(value * of.value), f"{wording.fraction(value)} of {of.said}", of.exact)
        return Term(value, said)

    def _number(self) -> tuple[Fraction, int]:
        """Return the longest number at the beginning, and its number of words."""
        if len(self._keys) > 1 and self._keys[0] in _HEARD:
            return Fraction(2), 1
        run = next((at for at, key in enumerate(self._keys) if not may_be_number(key)), len(self._keys))
        for length in range(min(run, 16), 0, -1):
            value = number(self._keys[:length])
            if value is not None:
                if abs(value) >= wording.LARGEST:
                    raise Unanswerable(TOO_BIG)
                return value, length
        raise _NoSum

    def _take(self, phrases: Collection[tuple[str, ...]]) -> tuple[str, ...] | None:
        """Remove the longest of these phrases from the beginning, and return it."""
        there = [phrase for phrase in phrases if tuple(self._keys[: len(phrase)]) == phrase]
        if not there:
            return None
        phrase = max(there, key=len)
        self._keys = self._keys[len(phrase) :]
        self.operations += 1
        return phrase

"""A transcript as a list of words that can be compared.

Recognizers write the same sentence in many ways: "7 a.m.", "7am", "10-minute", "15%", "1,000", "What's the
time?". This module reduces them to the same words. Other modules decide what the words mean, numbers
included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

MAX_CHARACTERS = 400
"""A longer transcript is not a command. Half a minute of fast speech has about 450 characters."""

_TOKEN = re.compile(
    r"""
    (?P<ordinal> \d{1,3}(?:st|nd|rd|th)\b )
  | (?P<open>   \((?=\s*[-−(]*\.?\d) )
  | (?P<close>  (?<=[\d)%])\) )
  | (?P<number> \d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d) | \d{1,2}:\d{2}(?!\d) | \d+(?:\.\d+)? | (?<!\d)\.\d+ )
  | (?P<word>   [^\W\d_]+(?:['’][^\W\d_]+)* )
  | (?P<pause>  [.,;:?!…—]+ )
  | (?P<quote>  ["'“”‘’()\[\]]+ )
  | (?P<minus>  (?<![\d\w])[-−–](?=\(?\.?\d) | (?<=[\d)]\s)[-−–](?=\s[-−(]?\.?\d) )
  | (?P<hyphen> [-−–_] )
  | (?P<sign>   \S )
    """,
    re.VERBOSE | re.IGNORECASE,
)

_SPELLINGS = (
    (re.compile(r"\b([ap])\.\s?m\b\.?", re.IGNORECASE), r"\1m"),  # 7 a.m.
    (
        re.compile(r"(?<=\d)\.\s?m\b\.?", re.IGNORECASE),
        " am",
    ),  # 7.M.: a recognizer can lose the "a", but not a "p"
    (re.compile(r"\b(\d{1,2})[.:](\d\d)[.:]00\b"), r"\1:\2"),  # 8.30.00
    (re.compile("½"), " 1/2"),
    (re.compile("¼"), " 1/4"),
    (re.compile("¾"), " 3/4"),
)

_SIGNS = {
    "%": ("percent",),
    "°": ("degrees",),
    "+": ("plus",),
    "×": ("times",),
    "*": ("times",),
    "÷": ("divided", "by"),
    "=": (),
    "&": ("and",),
}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a transcript."""

    key: str
    """What it is compared by: lowercase without apostrophes, or digits."""
    said: str
    """The word as written in the transcript."""
    pause: bool = False
    """A comma, a full stop or the like follows."""
    hyphen: bool = False
    """A hyphen follows."""


def words(text: str) -> list[Word]:
    """Split a transcript into words; returns none if it is too long for a command.

    Signs become words ("%" is "percent"). A sign without a meaning here stays, so a sentence that contains it
    matches nothing.
    """
    if len(text) > MAX_CHARACTERS:
        return []
    found: list[Word] = []
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "pause":
            if found:
                found[-1] = replace(found[-1], pause=True)
        elif token.lastgroup == "minus":
            found.append(Word("minus", "minus"))
        elif token.lastgroup in {"number", "ordinal", "word"}:
            found.append(_word(token.group()))
        elif token.lastgroup == "hyphen" and found:
            found[-1] = replace(found[-1], hyphen=True)
        elif token.lastgroup in {"open", "close", "sign"}:
            sign = token.group()
            found.extend(Word(key, "&" if sign == "&" else key) for key in _SIGNS.get(sign, (sign,)))
    return found


def _word(said: str) -> Word:
    key = said.lower().replace("'", "").replace("’", "").replace(",", "")
    return Word(key, said)


def keys(found: Iterable[Word]) -> Iterator[str]:
    """Yield the keys that words are compared by."""
    return (word.key for word in found)


def said(found: Iterable[Word]) -> str:
    """Join the words as written, without the punctuation between them."""
    return " ".join(word.said for word in found)

"""Takes a wake word off the beginning of what was said.

The sound is cut where the wake word ends, so this is for what is left: a word said twice, or
again while listening. Recognisers write such names as they please ("Okay, Naboo", "Hey, my
craft"), so words are compared by their consonants, as one hears them, and then by their letters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

_ALIKE = 0.5
"""Least likeness of the letters, 0 to 1. "Ok now, boo" has 0.5 of "okay nabu", "Like so" 0.36 of "alexa"."""

_SOUNDS_AS = (("x", "ks"), ("ck", "k"), ("ph", "f"), ("c", "k"), ("q", "k"), ("z", "s"))


def without_wake_phrase(text: str, phrases: Sequence[str]) -> str:
    """``text`` without any of the phrases ("okay nabu") at its beginning, however they are spelled."""
    words = list(_WORD.finditer(text))
    while count := max((_length(words, phrase) for phrase in phrases), default=0):
        words = words[count:]
        rest = text[words[0].start() :] if words else ""
        text, words = rest[:1].upper() + rest[1:], list(_WORD.finditer(rest))
    return text


def _length(words: Sequence[re.Match[str]], phrase: str) -> int:
    """How many of the first words are the phrase; it may be written as one word more, or fewer."""
    wanted = phrase.replace(" ", "").lower()
    likeness = {}
    for count in range(1, min(len(phrase.split()) + 1, len(words)) + 1):
        said = "".join(word.group() for word in words[:count]).lower()
        if _consonants(said) == _consonants(wanted):
            likeness[count] = SequenceMatcher(None, said, wanted, autojunk=False).ratio()
    best = max(likeness, key=likeness.__getitem__, default=0)
    return best if likeness.get(best, 0) >= _ALIKE else 0


def _consonants(word: str) -> str:
    """The consonants that are heard, none twice in a row."""
    for written, heard in _SOUNDS_AS:
        word = word.replace(written, heard)
    return re.sub(r"(.)\1+", r"\1", re.sub(r"[aeiouyhw'’]", "", word))

"""Removes a wake word from the beginning of a transcript.

The audio is already cut at the end of the wake word, so this handles a wake word said twice, or again while
listening. Recognizers spell such names freely ("Okay, Naboo", "Hey, my craft"), so words are compared by
their consonants, as heard, and then by their letters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

_ALIKE = 0.5
"""Minimum letter similarity, 0 to 1. "Ok now, boo" has 0.5 of "okay nabu", "Like so" 0.36 of "alexa"."""

_SOUNDS_AS = (("x", "ks"), ("ck", "k"), ("ph", "f"), ("c", "k"), ("q", "k"), ("z", "s"))


def without_wake_phrase(text: str, phrases: Sequence[str]) -> str:
    """Remove any of the phrases ("okay nabu") from the beginning of ``text``, however they are spelled."""
    words = list(_WORD.finditer(text))
    while count := max((_length(words, phrase) for phrase in phrases), default=0):
        words = words[count:]
        rest = text[words[0].start() :] if words else ""
        text, words = rest[:1].upper() + rest[1:], list(_WORD.finditer(rest))
    return text


def _length(words: Sequence[re.Match[str]], phrase: str) -> int:
    """Count the words at the beginning that match the phrase; one word more or fewer is allowed."""
    wanted = phrase.replace(" ", "").lower()
    likeness = {}
    for count in range(1, min(len(phrase.split()) + 1, len(words)) + 1):
        said = "".join(word.group() for word in words[:count]).lower()
        if _consonants(said) == _consonants(wanted):
            likeness[count] = SequenceMatcher(None, said, wanted, autojunk=False).ratio()
    best = max(likeness, key=likeness.__getitem__, default=0)
    return best if likeness.get(best, 0) >= _ALIKE else 0


def _consonants(word: str) -> str:
    """Return the audible consonants, without repeats."""
    for written, heard in _SOUNDS_AS:
        word = word.replace(written, heard)
    return re.sub(r"(.)\1+", r"\1", re.sub(r"[aeiouyhw'’]", "", word))

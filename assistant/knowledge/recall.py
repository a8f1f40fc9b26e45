"""Whether a text of a person's own answers a question: all that the question is about stands in it.

Words are compared by their stems, and small words don't count. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from assistant.text.en.words import Word, keys, words

_SMALL = frozenset(
    (
        "a", "an", "the", "my", "our", "your", "his", "her", "their", "its", "this", "that", "these",
        "those", "i", "me", "we", "us", "you", "he", "she", "it", "they", "them", "is", "are", "was",
        "were", "be", "been", "am", "do", "does", "did", "have", "has", "had", "can", "could", "should",
        "would", "will", "what", "where", "when", "who", "whom", "whose", "which", "how", "why", "to",
        "of", "in", "on", "at", "by", "for", "from", "with", "and", "or", "not", "there", "here", "again",
        "keep", "kept", "put", "about", "need", "go", "goes", "s", "much", "many", "please", "remember",
        "tell", "told", "know", "called", "get", "out", "up", "down",
    )
)  # fmt: skip
_POINTING = frozenset(("the", "my", "our", "your", "his", "her", "their"))


def stems(text: str) -> frozenset[str]:
    """What a text is about."""
    return stems_of(keys(words(text)))


def stems_of(said: Iterable[str]) -> frozenset[str]:
    """What these words are about."""
    return frozenset(_stem(key) for key in said if key not in _SMALL)


def asked(question: Sequence[Word]) -> frozenset[str]:
    """What a question is about; nothing where it points at nothing of the person's own ("what is love")."""
    said = list(keys(question))
    wanted = stems_of(said)
    points = len(wanted) > 1 or not _POINTING.isdisjoint(said)
    return wanted if points else frozenset()


def to_them(text: str) -> str:
    """A text that somebody said, said back to them: "my key" becomes "your key"."""
    swapped = {
        "i": "you", "me": "you", "my": "your", "mine": "yours", "am": "are", "i'm": "you're", "we": "you",
        "our": "your", "us": "you", "ours": "yours", "myself": "yourself", "i've": "you've",
        "we're": "you're",
    }  # fmt: skip
    return re.sub(r"[A-Za-z']+", lambda word: swapped.get(word[0].lower(), word[0]), text)


def _stem(key: str) -> str:
    for ending, rest in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if key.endswith(ending) and len(key) - len(ending) >= 3 and not key.endswith("ss"):
            return key.removesuffix(ending) + rest
    return key.removesuffix("e") if len(key) > 4 else key

"""Estimates how sure a model is of a reply, from the probabilities of its own words and the kind of question.

It uses three values of the first sentence: its least likely token, the mean of the tokens that say something
new, and the least likely of the first four of those. A ``Calibration`` (from the model catalog) weights them
for one model. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.store.catalog import Calibration
from assistant.text.en.questions import Kind

FIRST = 4
"""Content tokens that tell most about whether a reply is right (AUC 0.79 of 0.85, with the 1.5B)."""

# fmt: off
_SAY_LITTLE = frozenset({
    "a", "an", "the", "is", "are", "was", "were", "be", "been", "of", "in", "on", "at", "to", "for", "and",
    "that", "this", "it", "its", "by", "with", "as", "from", "about", "has", "have", "had", "he", "she",
    "or", "they", "his", "her", "their", "there", "you", "your", "can",
    "which", "who", "also", "called", "known", "i", "s",
})
# fmt: on

Token = tuple[str, float]
"""The text of a token, and its log-probability."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a model's own probabilities say about a sentence, as natural logarithms."""

    least: float
    """Log-probability of its least likely token."""
    content: float
    """Mean over the tokens of words that are not in the question."""
    first: float
    """The lowest of the first of those."""


def evidence(question: str, tokens: Sequence[Token]) -> Evidence | None:
    """Return the evidence for a sentence that answers the question; None if its tokens are unknown."""
    if not tokens:
        return None
    asked = set(_words(question)) | _SAY_LITTLE
    text = "".join(piece for piece, _ in tokens)
    new = [
        score
        for (_, score), word in zip(tokens, _word_of_each(text, tokens), strict=True)
        if word not in asked
    ]
    scores = [score for _, score in tokens]
    content = new or scores
    return Evidence(min(scores), sum(content) / len(content), min(content[:FIRST]))


def says_more(question: str, sentence: str) -> bool:
    """True if the sentence has a word that is not in the question."""
    return bool(set(_words(sentence)) - set(_words(question)) - _SAY_LITTLE)


def probability(found: Evidence, kind: Kind, calibration: Calibration) -> float:
    """Return the probability that the sentence is right, 0 to 1."""
    weights = calibration.weights
    total = weights.bias + weights.least * found.least + weights.content * found.content
    total += weights.first * found.first + weights.kinds.get(kind, 0.0)
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _word_of_each(text: str, tokens: Sequence[Token]) -> list[str]:
    """Return the word each token is part of; empty for marks and spaces."""
    spans = [(word.start(), word.end(), word.group().lower()) for word in re.finditer(r"\w+", text)]
    words, at = [], 0
    for piece, _ in tokens:
        end = at + len(piece)
        words.append(next((word for begin, stop, word in spans if begin < end and stop > at), "the"))
        at = end
    return words

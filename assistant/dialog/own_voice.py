"""Whether words that were heard are the assistant's own, caught on their way through the room.

The second line behind the echo canceller. An echo is misheard: words run together, numbers become
figures, endings are lost. So letters are compared, not words, and anywhere within what was
spoken. Pure; whose words they are is all it says.
"""

from __future__ import annotations

from assistant.text.word_error import normalize_words

_ALIKE = 0.7
"""Share of the letters that agree. Misheard echoes reach 0.75 and more, other sentences 0.6 at most."""

_SHORTEST_LETTERS = 12
"""Fewer letters agree with something in a long answer by chance: they must be whole words of it."""


def is_own(heard: str, spoken: str) -> bool:
    """Whether ``heard`` may be an echo of some part of ``spoken``."""
    heard_words, spoken_words = normalize_words(heard), normalize_words(spoken)
    letters = "".join(heard_words)
    if not letters:
        return False
    if len(letters) < _SHORTEST_LETTERS:
        return _contains(spoken_words, heard_words)
    return likeness(letters, "".join(spoken_words)) >= _ALIKE


def likeness(part: str, whole: str) -> float:
    """How well ``part`` agrees with the stretch of ``whole`` that it agrees with best, 0 to 1.

    One less the edits that turn one into the other, for each letter of ``part`` (Sellers 1980).
    """
    if not part:
        return 0.0
    row = list(range(len(part) + 1))
    fewest = row[-1]
    for letter in whole:
        diagonal = 0  # the stretch may begin anywhere
        for i, wanted in enumerate(part, 1):
            diagonal, row[i] = row[i], min(row[i] + 1, row[i - 1] + 1, diagonal + (letter != wanted))
        fewest = min(fewest, row[-1])
    return 1 - fewest / len(part)


def _contains(words: list[str], sequence: list[str]) -> bool:
    return any(
        words[begin : begin + len(sequence)] == sequence for begin in range(len(words) - len(sequence) + 1)
    )

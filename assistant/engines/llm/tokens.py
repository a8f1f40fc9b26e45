"""A language model's tokens: decoding their bytes to text, and comparing two token sequences.

A character may be spread over several tokens, and so may a stop string. Text that may still become part of
either is held back until that is clear. Independent of models.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextPieces:
    """Turns bytes into text that can be shown or spoken at once."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = tuple(text for text in stop if text)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        """True after a stop string; no more text follows."""

    def feed(self, data: bytes) -> str:
        """Add one token's bytes; returns the text that is now certain, often empty."""
        if self.stopped:
            return ""
        self._held += self._decoder.decode(data)
        found = [at for at in map(self._held.find, self._stop) if at >= 0]
        if found:
            self.stopped = True
            return self._release(min(found))
        return self._release(len(self._held) - self._undecided())

    def finish(self) -> str:
        """Return the text held back, since no more follows; half a character is dropped."""
        return self._release(0 if self.stopped else len(self._held))

    def _release(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        return text

    def _undecided(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = max(map(len, self._stop), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(text.startswith(self._held[-length:]) for text in self._stop):
                return length
        return 0


def longest_match(held: Sequence[int], begin: int, wanted: Sequence[int]) -> tuple[int, int]:
    """Find the longest prefix of ``wanted`` in ``held`` after ``begin``; returns start and length."""
    starts = (at for at in range(begin + 1, len(held)) if wanted and held[at] == wanted[0])
    lengths = ((common_length(held[start:], wanted), start) for start in starts)
    length, start = max(lengths, default=(0, begin))
    return start, length


def what_followed(tokens: Sequence[int], alike: int, most: int) -> list[int]:
    """Return up to ``most`` tokens that followed the previous occurrence of the last ``alike`` tokens."""
    last = list(tokens[-alike:])
    if len(last) < alike:
        return []
    for start in range(len(tokens) - alike - 1, -1, -1):
        if tokens[start] == last[0] and list(tokens[start : start + alike]) == last:
            return list(tokens[start + alike : start + alike + most])
    return []


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the length of the common prefix."""
    pairs = zip(first, second)  # noqa: B905  one is shorter
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))

"""A language model's tokens: the text that their bytes make, and what two runs of them have in common.

A letter may be spread over several tokens, and so may a stop string. Text that might still become
part of either is held back until it is decided. Knows nothing of models.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextPieces:
    """Bytes in, text that can be shown or spoken at once out."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = tuple(text for text in stop if text)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        """A stop string came; nothing more will be given."""

    def feed(self, data: bytes) -> str:
        """Take one token's bytes; the text that is now certain, often empty."""
        if self.stopped:
            return ""
        self._held += self._decoder.decode(data)
        found = [at for at in map(self._held.find, self._stop) if at >= 0]
        if found:
            self.stopped = True
            return self._release(min(found))
        return self._release(len(self._held) - self._undecided())

    def finish(self) -> str:
        """What was held back, now that no more will come; half a letter is dropped."""
        return self._release(0 if self.stopped else len(self._held))

    def _release(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        return text

    def _undecided(self) -> int:
        """Length of the longest end of the held text with which a stop string begins."""
        longest = max(map(len, self._stop), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(text.startswith(self._held[-length:]) for text in self._stop):
                return length
        return 0


def longest_match(held: Sequence[int], begin: int, wanted: Sequence[int]) -> tuple[int, int]:
    """Where behind ``begin`` most of ``wanted``, from its first token on, is held: start and length."""
    starts = (at for at in range(begin + 1, len(held)) if wanted and held[at] == wanted[0])
    lengths = ((common_length(held[start:], wanted), start) for start in starts)
    length, start = max(lengths, default=(0, begin))
    return start, length


def what_followed(tokens: Sequence[int], alike: int, most: int) -> list[int]:
    """What came, ``most`` tokens at most, where the last ``alike`` tokens stood last before; or nothing."""
    last = list(tokens[-alike:])
    if len(last) < alike:
        return []
    for start in range(len(tokens) - alike - 1, -1, -1):
        if tokens[start] == last[0] and list(tokens[start : start + alike]) == last:
            return list(tokens[start + alike : start + alike + most])
    return []


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(first, second)  # noqa: B905  one is shorter
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))

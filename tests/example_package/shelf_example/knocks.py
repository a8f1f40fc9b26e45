"""A recognizer: counts knocks, each of which has a meaning."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from assistant.core.types import Pcm16, Transcript
from assistant.runtime.cancel import Cancel

LOUD = 8000
GAP = 1600
"""Samples of quiet between two knocks: a tenth of a second."""


def create(settings: Any, model: None, threads: int, own: Any) -> "Knocks":
    return Knocks(own.meanings)


class Knocks:
    """An ``Stt``."""

    def __init__(self, meanings: Sequence[str]) -> None:
        self._meanings = meanings

    def transcribe(self, pcm: Pcm16, cancel: Cancel) -> Transcript:
        loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > LOUD)
        knocks = int(bool(loud.size)) + int((np.diff(loud) > GAP).sum())
        return Transcript(self._meanings[knocks - 1] if 0 < knocks <= len(self._meanings) else "")

    def warm_up(self) -> None:
        """There is nothing to warm."""

    def close(self) -> None:
        """There is nothing to free."""

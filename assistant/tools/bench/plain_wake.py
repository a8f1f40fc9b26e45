"""pyopen-wakeword as its package has it: every piece of sound goes through the network, whoever is silent."""

from __future__ import annotations

from typing import Any

from assistant.core.types import Pcm16
from assistant.settings.schema import Settings

STEP_SAMPLES = 1280
"""What the package takes at a time."""


class PlainWakeWord:
    """The built-in words in the settings."""

    def __init__(self, settings: Settings) -> None:
        from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures  # noqa: PLC0415 - an extra

        self._features: Any = OpenWakeWordFeatures.from_builtin()
        self._words = [
            (word, OpenWakeWord.from_builtin(Model(word.name))) for word in settings.wake.words if word.name
        ]

    def heard(self, pcm: Pcm16) -> list[str]:
        """The labels of the words that end in the next ``pcm``, 16 kHz."""
        labels = []
        for start in range(0, len(pcm), STEP_SAMPLES):
            for made in self._features.process_streaming(pcm[start : start + STEP_SAMPLES].tobytes()):
                for word, network in self._words:
                    if any(chance >= word.threshold for chance in network.process_streaming(made)):
                        labels.append(word.label)
        return labels

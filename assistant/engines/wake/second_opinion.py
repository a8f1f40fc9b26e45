"""A second opinion on a wake word, from microWakeWord's networks (``pymicro_wakeword``).

Alone, openWakeWord misses a third of the calls in the babble of eight talkers. These networks are of another
kind, on other features (with noise tracked and subtracted per band), and make different mistakes: a word that
both consider possible was said. Each costs 0.3 % of a core while the gate is open, and nothing while it is
closed. They use openWakeWord's copy of TensorFlow Lite, so memory does not hold it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.core.types import Pcm16

if TYPE_CHECKING:
    from pymicro_wakeword import MicroWakeWord


class SecondOpinion:
    """Probabilities of several built-in words in one stream of sound."""

    def __init__(self, words: dict[str, MicroWakeWord]) -> None:
        """Take and later close the networks; ``words`` is label -> network."""
        from pymicro_wakeword import MicroWakeWordFeatures  # noqa: PLC0415 - an extra

        self._features = MicroWakeWordFeatures()
        self._words = words

    def take(self, pcm: Pcm16) -> dict[str, float]:
        """Return label -> the highest probability in the next ``pcm``, int16 at 16 kHz."""
        highest = dict.fromkeys(self._words, 0.0)
        for features in self._features.process_streaming(pcm.tobytes()):
            for label, network in self._words.items():
                highest[label] = max(highest[label], network.process_streaming_prob(features) or 0.0)
        return highest

    def reset(self) -> None:
        """Reset to the initial state."""
        self._features.reset()
        for network in self._words.values():
            network.reset()

    def close(self) -> None:
        for network in self._words.values():
            network.close()


def second_opinion(names: Mapping[str, str], library: Path) -> SecondOpinion | None:
    """Load it for the built-in words in ``names`` (label -> name) that it knows; None without any, or the
    package.

    ``library`` is TensorFlow Lite.
    """
    try:
        from pymicro_wakeword import MicroWakeWord, Model  # noqa: PLC0415 - an extra
    except (ImportError, OSError):
        return None
    known = {model.value for model in Model}
    words = {
        label: MicroWakeWord.from_builtin(Model(name), libtensorflowlite_c_path=library)
        for label, name in names.items()
        if name in known
    }
    return SecondOpinion(words) if words else None

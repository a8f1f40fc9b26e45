"""Wake words with openWakeWord's networks, through ``pyopen_wakeword`` (TensorFlow Lite only).

Two networks turn sound into features (``features``); a small one per word examines the last 1.3 s of them. So
the first word accounts for nearly all of the cost, and further ones add almost nothing. In doubtful cases, a
different kind of network is consulted (``second_opinion``).
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.core.errors import EngineUnavailable, ModelCorrupt, ModelMissing
from assistant.core.types import FRAME_SAMPLES, Pcm16
from assistant.engines.wake.features import STEP_SAMPLES, WakeFeatures
from assistant.engines.wake.second_opinion import SecondOpinion, second_opinion
from assistant.settings.engines import WakeSettings, WakeWordSettings

if TYPE_CHECKING:
    from pyopen_wakeword import OpenWakeWord

_STEP_FRAMES = STEP_SAMPLES // FRAME_SAMPLES

_SILENT_STEPS = 16
"""Fills the memory of every word's network."""

_TOGETHER_STEPS = 5
"""Both networks must detect the word within 800 ms, because they react at different times."""

_TOGETHER_LOG_ODDS = -2.0
"""Detected if the log-odds of both plus this reach the threshold. In 525 recordings of talk, half of it in
babble or music, and in 15 of noise, the sum stayed at least 2.2 below it.
"""

_FEATURES, _MOST_FEATURES = 96, 80
"""Values per feature, and how many features the package keeps for a word's network."""

_WORD_MEMORY = ("new_embeddings", "embeddings")
"""Attributes in which the package keeps the input of a word's network."""


def create(settings: WakeSettings) -> OpenWakeWords:
    """Load the networks of all words in the settings.

    Raises EngineUnavailable if the package is missing, ModelMissing or ModelCorrupt for a custom word file.
    """
    try:
        from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures  # noqa: PLC0415

        features = OpenWakeWordFeatures.from_builtin()
        words = []
        for word in settings.words:
            if word.file is not None:
                _check(word.file, features.lib)
                words.append(_Word(word, OpenWakeWord.from_model(word.file)))
            else:
                words.append(_Word(word, OpenWakeWord.from_builtin(Model(word.name))))
    except (ImportError, OSError, ValueError) as error:
        raise EngineUnavailable(
            f"Wake words are not available on this board: pyopen_wakeword cannot be used ({error}).",
            "If there is a wheel for this board (64-bit processor, glibc 2.35 or "
            "newer), install the `wake` extra. Otherwise set wake.engine to "
            "none, so that any speech wakes the assistant.",
        ) from error
    # A user who requires several detections in a row wants fewer false alarms, not fewer misses.
    doubtful = {word.label: word.name for word in settings.words if word.name and word.trigger_level == 1}
    second = second_opinion(doubtful, features.libtensorflowlite_c_path)
    return OpenWakeWords(WakeFeatures(features), words, second)


class _Word:
    """One word and the recent probabilities from its networks."""

    def __init__(self, settings: WakeWordSettings, network: OpenWakeWord) -> None:
        self.name = settings.label
        self.network = network
        self._threshold = settings.threshold
        self._trigger_level = settings.trigger_level
        self._run = 0
        self._latest: deque[tuple[float, float]] = deque(maxlen=_TOGETHER_STEPS)

    def heard(self, features: Any, second: float | None) -> bool:
        """Process the next features, and the second network's result for the same sound, if there is one.

        Returns True once each time the word is said.
        """
        probabilities = list(self.network.process_streaming(features))
        self._latest.append((max(probabilities, default=0.0), second or 0.0))
        together = second is not None and self._both_think_so()
        said = False
        for probability in probabilities:
            self._run = self._run + 1 if together or probability >= self._threshold else 0
            said = said or self._run == self._trigger_level
        return said

    def _both_think_so(self) -> bool:
        first, second = (max(each) for each in zip(*self._latest, strict=True))
        return _log_odds(first) + _log_odds(second) >= _log_odds(self._threshold) + _TOGETHER_LOG_ODDS

    def restore(self, memory: Mapping[str, Any]) -> None:
        for name, value in memory.items():
            setattr(self.network, name, copy.copy(value))
        self._run = 0
        self._latest.clear()


class OpenWakeWords:
    """Detects several words in one stream of frames."""

    def __init__(self, features: WakeFeatures, words: list[_Word], second: SecondOpinion | None) -> None:
        self._features = features
        self._words = words
        self._second = second
        self._pending: list[Pcm16] = []
        silence = np.zeros(FRAME_SAMPLES, np.int16)
        for _ in range(_SILENT_STEPS * _STEP_FRAMES):
            self.detect(silence)
        self._quiet_words = [_memory(word.network) for word in words]
        self.reset()

    def detect(self, pcm: Pcm16) -> str | None:
        """Process one frame, int16 at 16 kHz, shape (320,); every eighth one may complete a word."""
        self._pending.append(pcm)
        if len(self._pending) < _STEP_FRAMES:
            return None
        sound = np.concatenate(self._pending)
        self._pending.clear()
        features = self._features.take(sound)
        second = self._second.take(sound) if self._second else {}
        said = [word.name for word in self._words if word.heard(features, second.get(word.name))]
        return said[0] if said else None

    def reset(self) -> None:
        """Reset, as after two seconds of silence."""
        self._pending.clear()
        self._features.reset()
        for word, memory in zip(self._words, self._quiet_words, strict=True):
            word.restore(memory)
        if self._second:
            self._second.reset()

    def warm_up(self) -> None:
        """Do nothing: the networks have already run, on silence."""

    def close(self) -> None:
        self._features.close()
        if self._second:
            self._second.close()
        for word in self._words:
            word.network.close()


def _log_odds(probability: float) -> float:
    """Convert a probability to log-odds, with extremes limited."""
    bounded = min(max(probability, 1e-4), 1 - 1e-3)
    return math.log(bounded / (1 - bounded))


def _memory(network: object) -> dict[str, Any]:
    return {name: copy.copy(getattr(network, name)) for name in _WORD_MEMORY}


def _check(file: Path, lib: Any) -> None:
    """Check that a custom file is a wake word network; the package would crash on any other."""
    if not file.is_file():
        raise ModelMissing(
            f"There is no wake word file {file}.",
            "Correct its path in wake.words, or use one of the built-in words.",
        )
    model = lib.TfLiteModelCreateFromFile(bytes(file))
    interpreter = model and lib.TfLiteInterpreterCreate(model, None)
    try:
        fits = bool(interpreter) and _fits(interpreter, lib)
    finally:
        if interpreter:
            lib.TfLiteInterpreterDelete(interpreter)
        if model:
            lib.TfLiteModelDelete(model)
    if not fits:
        raise ModelCorrupt(
            f"{file} isn't an openWakeWord network, or it is damaged.",
            "Copy it again, or train one for openWakeWord in TensorFlow Lite format.",
        )


def _fits(interpreter: int, lib: Any) -> bool:
    """Check the shapes: features in, one probability out."""
    if lib.TfLiteInterpreterAllocateTensors(interpreter) != 0:
        return False
    try:
        given = lib.TfLiteInterpreterGetInputTensor(interpreter, 0)
        answer = lib.TfLiteInterpreterGetOutputTensor(interpreter, 0)
    except RuntimeError:  # it has none
        return False
    shape = [lib.TfLiteTensorDim(given, axis) for axis in range(lib.TfLiteTensorNumDims(given))]
    answer_bytes = lib.TfLiteTensorByteSize(answer)
    return len(shape) == 3 and 1 <= shape[1] <= _MOST_FEATURES and shape[2] == _FEATURES and answer_bytes == 4

"""Wake words by the networks of openWakeWord, through ``pyopen_wakeword`` (TensorFlow Lite, no more).

One pair of networks turns sound into features (``wake_features``); a small one for each word looks at the
last 1.3 s of them. So the first word costs nearly all of it, and a further one next to nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.engines.wake_features import STEP_SAMPLES, WakeFeatures
from assistant.errors import EngineUnavailable, ModelCorrupt, ModelMissing
from assistant.settings_engines import WakeSettings, WakeWordSettings
from assistant.types import FRAME_SAMPLES, Pcm16

if TYPE_CHECKING:
    from pyopen_wakeword import OpenWakeWord

_STEP_FRAMES = STEP_SAMPLES // FRAME_SAMPLES

_SILENT_STEPS = 16
"""Fill the memory of every word's network."""

_FEATURES, _MOST_FEATURES = 96, 80
"""Values of a feature, and how many of them the package keeps for the network of a word."""

_WORD_MEMORY = ("new_embeddings", "embeddings")
"""The attributes in which the package keeps what a word's network looks at."""


def create(settings: WakeSettings) -> OpenWakeWords:
    """Load the networks of all words in the settings.

    Raises EngineUnavailable where the package is missing, ModelMissing or ModelCorrupt for a
    word's own file.
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
            f"The wake word is not on this board: pyopen_wakeword cannot be used ({error}).",
            "Where there is a wheel of it (glibc 2.35 or newer on a 64-bit processor), install the extra "
            "'wake'; elsewhere set wake.engine to none: then any speech wakes the assistant.",
        ) from error
    return OpenWakeWords(WakeFeatures(features), words)


class _Word:
    """One word and how sure its network was of late."""

    def __init__(self, settings: WakeWordSettings, network: OpenWakeWord) -> None:
        self.name = settings.label
        self.network = network
        self._threshold = settings.threshold
        self._trigger_level = settings.trigger_level
        self._run = 0

    def heard(self, features: Any) -> bool:
        """Take the next features; true once for each time that the word was said."""
        said = False
        for probability in self.network.process_streaming(features):
            self._run = self._run + 1 if probability >= self._threshold else 0
            said = said or self._run == self._trigger_level
        return said

    def restore(self, memory: Mapping[str, Any]) -> None:
        for name, value in memory.items():
            setattr(self.network, name, copy.copy(value))
        self._run = 0


class OpenWakeWords:
    """Several words in one stream of frames."""

    def __init__(self, features: WakeFeatures, words: list[_Word]) -> None:
        self._features = features
        self._words = words
        self._pending: list[Pcm16] = []
        silence = np.zeros(FRAME_SAMPLES, np.int16)
        for _ in range(_SILENT_STEPS * _STEP_FRAMES):
            self.detect(silence)
        self._quiet_words = [_memory(word.network) for word in words]

    def detect(self, pcm: Pcm16) -> str | None:
        """Take one frame, int16 at 16 kHz, shape (320,); every eighth one may end a word."""
        self._pending.append(pcm)
        if len(self._pending) < _STEP_FRAMES:
            return None
        features = self._features.take(np.concatenate(self._pending))
        self._pending.clear()
        said = [word.name for word in self._words if word.heard(features)]
        return said[0] if said else None

    def reset(self) -> None:
        """As after two seconds of silence."""
        self._pending.clear()
        self._features.reset()
        for word, memory in zip(self._words, self._quiet_words, strict=True):
            word.restore(memory)

    def warm_up(self) -> None:
        """The networks have already run, on silence."""

    def close(self) -> None:
        self._features.close()
        for word in self._words:
            word.network.close()


def _memory(network: object) -> dict[str, Any]:
    return {name: copy.copy(getattr(network, name)) for name in _WORD_MEMORY}


def _check(file: Path, lib: Any) -> None:
    """See that a person's own file is a wake word's network; the package would crash on any other."""
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
            f"{file} is not an openWakeWord network, or is damaged.",
            "Copy it again, or train one for openWakeWord in TensorFlow Lite's format.",
        )


def _fits(interpreter: int, lib: Any) -> bool:
    """Features in, one probability out."""
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

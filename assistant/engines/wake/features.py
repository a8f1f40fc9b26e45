"""Turns sound into the input of wake word networks, with the two networks included in ``pyopen_wakeword``.

The first computes a spectrum, a line every 10 ms; the second slides over it, and turns 760 ms of it into one
feature every 80 ms. The package computes one feature at a time, with a thread per core, and these spin while
waiting for each other. Two features from one longer stretch are the same, since the network only slides
further, and cost 1.1 times as much as one; and one thread costs four fifths of four. Together that halves the
cost (2.5 % of a core instead of 5.6 %), while a word is noticed 40 ms later on average.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from assistant.core.types import Pcm16

if TYPE_CHECKING:
    from pyopen_wakeword import OpenWakeWordFeatures

Floats: TypeAlias = npt.NDArray[np.float32]

AT_ONCE = 2
"""Features computed at once. Four would cost a third less, but add 160 ms."""

_FEATURE_SAMPLES = 1280
STEP_SAMPLES = AT_ONCE * _FEATURE_SAMPLES
"""Samples for that many."""

_OVERLAP_SAMPLES = 480
"""Earlier samples that the first network also needs."""

_LINE_VALUES = 32
_LINES_SEEN, _LINES_A_FEATURE = 76, 8
"""Lines of the spectrum that one feature covers, and the step to the next one."""
_LINES = _LINES_SEEN + (AT_ONCE - 1) * _LINES_A_FEATURE
_LINES_AHEAD = 4
"""The newest lines, which the package leaves for later; the networks were trained that way."""

_FEATURE_VALUES = 96


class WakeFeatures:
    """A stream of sound that begins in silence."""

    def __init__(self, package: OpenWakeWordFeatures) -> None:
        """Take the networks' files from ``package``, which is closed with this object."""
        self._package = package
        lib = package.lib
        for name in ("mel_interpreter", "emb_interpreter"):
            lib.TfLiteInterpreterDelete(getattr(package, name))
            setattr(package, name, None)
        self._spectrum = _Network(lib, package.mel_model, (1, _OVERLAP_SAMPLES + _FEATURE_SAMPLES))
        self._feature = _Network(lib, package.emb_model, (1, _LINES, _LINE_VALUES, 1))
        self._silence = self._spectrum_of(np.zeros(_OVERLAP_SAMPLES + _FEATURE_SAMPLES, np.float32))
        self.reset()

    def reset(self) -> None:
        """Reset, as after a second of silence."""
        self._sound = np.zeros(_OVERLAP_SAMPLES, np.float32)
        self._lines = np.resize(self._silence, (_LINES + _LINES_AHEAD, _LINE_VALUES))

    def take(self, pcm: Pcm16) -> Floats:
        """Return the features of the next ``STEP_SAMPLES`` samples, int16 at 16 kHz; shape (1, 1, AT_ONCE,
        96).
        """
        sound = np.concatenate((self._sound, pcm.astype(np.float32)))
        self._sound = sound[-_OVERLAP_SAMPLES:]
        # Faint sound is cut off relative to the loudest of a piece, so pieces must be as long as in training.
        pieces = sliding_window_view(sound, _OVERLAP_SAMPLES + _FEATURE_SAMPLES)[::_FEATURE_SAMPLES]
        self._lines = np.concatenate((self._lines, *map(self._spectrum_of, pieces)))[-_LINES - _LINES_AHEAD :]
        return self._feature.run(self._lines[:_LINES]).reshape(1, 1, AT_ONCE, _FEATURE_VALUES)

    def _spectrum_of(self, sound: Floats) -> Floats:
        # The scale on which openWakeWord trained the second network.
        return self._spectrum.run(sound).reshape(-1, _LINE_VALUES) / np.float32(10) + np.float32(2)

    def close(self) -> None:
        self._spectrum.close()
        self._feature.close()
        self._package.close()


class _Network:
    """A TensorFlow Lite network with a fixed input shape, run on the calling thread."""

    def __init__(self, lib: Any, model: int, shape: tuple[int, ...]) -> None:
        self._lib = lib
        lib.TfLiteInterpreterOptionsCreate.restype = ctypes.c_void_p
        options = ctypes.c_void_p(lib.TfLiteInterpreterOptionsCreate())
        lib.TfLiteInterpreterOptionsSetNumThreads(options, ctypes.c_int32(1))
        self._interpreter = lib.TfLiteInterpreterCreate(model, options)
        lib.TfLiteInterpreterOptionsDelete(options)
        sizes = (ctypes.c_int32 * len(shape))(*shape)
        lib.TfLiteInterpreterResizeInputTensor(
            self._interpreter, ctypes.c_int32(0), sizes, ctypes.c_int32(len(shape))
        )
        lib.TfLiteInterpreterAllocateTensors(self._interpreter)
        self._given = lib.TfLiteInterpreterGetInputTensor(self._interpreter, ctypes.c_int32(0))
        self._answer = lib.TfLiteInterpreterGetOutputTensor(self._interpreter, ctypes.c_int32(0))

    def run(self, values: Floats) -> Floats:
        given = np.ascontiguousarray(values, np.float32)
        self._lib.TfLiteTensorCopyFromBuffer(self._given, _pointer(given), ctypes.c_size_t(given.nbytes))
        self._lib.TfLiteInterpreterInvoke(self._interpreter)
        answer = np.empty(self._lib.TfLiteTensorByteSize(self._answer) // 4, np.float32)
        self._lib.TfLiteTensorCopyToBuffer(self._answer, _pointer(answer), ctypes.c_size_t(answer.nbytes))
        return answer

    def close(self) -> None:
        if self._interpreter:
            self._lib.TfLiteInterpreterDelete(self._interpreter)
            self._interpreter = None


def _pointer(values: Floats) -> ctypes.c_void_p:
    return values.ctypes.data_as(ctypes.c_void_p)

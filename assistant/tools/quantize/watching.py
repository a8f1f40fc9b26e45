"""Watches a model read a text in llama.cpp, and reports the inputs of every layer's weight matrices.

Quantizers use them to round more carefully (``importance``). The inputs are read in a callback at every
matrix product. That requires ggml's tensor layout, which no function of the library returns: the layout below
is that of the ggml in llama-cpp-python 0.3.36 and is verified with the library's own functions each time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as lib
import numpy as np

from assistant.core.errors import EngineUnavailable
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize import calibration_text
from assistant.tools.quantize.block_numbers import Float32s
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.scorers import LlamaCppScorer
from assistant.tools.quantize.scoring import Passage

See = Callable[[str, Float32s], None]
"""Called with the name of a matrix and its inputs [tokens, columns], which are valid only during the call."""

F32 = 0
"""GGML_TYPE_F32 in ggml.h."""


class _Tensor(ctypes.Structure):
    """The start of ``struct ggml_tensor`` (ggml.h)."""


_Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(_Tensor) * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
    ("extra", ctypes.c_void_p),
    ("padding", ctypes.c_char * 8),
]


class _Ggml:
    """The ggml functions that return the same tensor properties as the layout."""

    def __init__(self) -> None:
        folder = Path(llama_cpp.__file__).parent / "lib"
        name = next((file for file in sorted(folder.glob("libggml-base.*"))), folder / "libggml-base.so")
        library = ctypes.CDLL(str(name))
        self.op_name = library.ggml_op_name
        self.op_name.argtypes, self.op_name.restype = [ctypes.c_int], ctypes.c_char_p
        self.name = library.ggml_get_name
        self.name.argtypes, self.name.restype = [ctypes.c_void_p], ctypes.c_char_p
        self.data = library.ggml_get_data
        self.data.argtypes, self.data.restype = [ctypes.c_void_p], ctypes.c_void_p


class _Watch:
    """Passes the inputs of every layer's weight matrices to ``see``."""

    def __init__(self, see: See) -> None:
        self.fault = ""
        self._show = see
        self._ggml = _Ggml()
        self.callback = lib.ggml_backend_sched_eval_callback(self._see)

    def _see(self, address: int, ask: bool, _: Any) -> bool:  # noqa: FBT001  C calls it
        """Called before (``ask``: is it of interest?) and after each operation of the network."""
        try:
            return self._looked(address, ask=ask)
        except Exception as error:  # noqa: BLE001  only C code is above this frame
            self.fault = self.fault or f"{type(error).__name__}: {error}"
            return True

    def _looked(self, address: int, *, ask: bool) -> bool:
        tensor = ctypes.cast(address, ctypes.POINTER(_Tensor)).contents
        if tensor.name != self._ggml.name(address) or tensor.data != self._ggml.data(address):
            self.fault = "the layout of a tensor is another one"
            return True
        if self.fault or self._ggml.op_name(tensor.op) != b"MUL_MAT":
            return not ask
        weights, inputs = tensor.src[0].contents, tensor.src[1].contents
        name = weights.name.decode("utf-8", "replace")
        wanted = name.startswith("blk.") and name.endswith(".weight") and weights.ne[2] == 1
        if not wanted or inputs.type != F32 or inputs.nb[0] != 4 or ask:
            return wanted or not ask
        columns, rows = inputs.ne[0], inputs.ne[1] * inputs.ne[2] * inputs.ne[3]
        # Views are skipped; weights of layers are never multiplied by one.
        if inputs.nb[1] == 4 * columns and inputs.nb[2] == inputs.nb[1] * inputs.ne[1]:
            pointer = ctypes.cast(inputs.data, ctypes.POINTER(ctypes.c_float))
            self._show(name, np.ctypeslib.as_array(pointer, (rows, columns)))
        return True


def watch(  # noqa: PLR0917
    folder: Path, texts: Texts, spoken: Texts, threads: int, see: See, watcher: Watcher
) -> None:
    """Let the model in ``folder`` read ``texts``, and pass the inputs of its matrices to ``see``.

    ``spoken`` is what the assistant says; a dissimilar text is used, but reported. Raises EngineUnavailable
    if this build of llama.cpp cannot be watched, SettingsError for a text that is too short, ModelCorrupt,
    EngineFailed.
    """
    watching = _Watch(see)
    with LlamaCppScorer(folder, threads, watching.callback) as scorer:
        passages = scorer.passages(texts)
        tokens = sum(len(passage.tokens) for passage in passages)
        for warning in calibration_text.check(texts, passages, spoken, scorer.passages(spoken)):
            watcher.note(warning)
        meter = Meter("Watching what matters", tokens, watcher, unit="tokens")
        for passage in passages:
            # All scores are wanted: without them the last layer computes a few positions only. All inputs
            # count, those of the first token too, which are hundreds of times as strong as others:
            # every layer leans on it, and a model whose GPTQ knew nothing of it lost six times as much.
            for _ in scorer.scores(Passage(passage.tokens, tuple(range(1, len(passage.tokens) + 1)))):
                pass
            if watching.fault:
                raise EngineUnavailable(
                    f"This build of llama.cpp cannot be observed: {watching.fault}.",
                    "Install llama-cpp-python 0.3.36, or remove --imatrix and --method.",
                )
            meter.add(len(passage.tokens))

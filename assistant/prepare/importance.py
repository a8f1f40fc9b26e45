"""Which weights matter: how strongly each column of every matrix is driven by real text.

llama.cpp's quantizers round the weights of strongly driven columns with more care when they are
told the mean square of what each column is multiplied with (an importance matrix). It is gathered
while the model reads a calibration text, by watching every matrix product from a callback. That
needs ggml's layout of a tensor, which no function of the library gives: the layout below is that of
the ggml in llama-cpp-python 0.3.36, and is checked against the library's own functions each time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import llama_cpp
import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from assistant.errors import EngineUnavailable, ModelCorrupt, SettingsError
from assistant.prepare.dialogues import Texts
from assistant.prepare.passages import Passage
from assistant.prepare.probe import Probe
from assistant.store.progress import Meter, Watcher

Importance: TypeAlias = Mapping[str, npt.NDArray[np.float32]]
"""Tensor name -> mean square of the input of each of its columns."""

MIN_TOKENS = 1_000
"""Fewer say little about which columns matter: most would be driven by chance."""

STRANGE = 0.7
"""Share of the tokens of spoken replies that a calibration text lacks. The text that ships lacks 0.27,
a licence 0.45, Python code 0.61, Spanish 0.84 (SmolLM2's tokens)."""

F32 = 0
"""GGML_TYPE_F32 of ggml.h."""


class _Tensor(ctypes.Structure):
    """The beginning of ``struct ggml_tensor`` (ggml.h)."""


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
    """The few functions of ggml that say of a tensor what the layout says."""

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
        self.elements = library.ggml_nelements
        self.elements.argtypes, self.elements.restype = [ctypes.c_void_p], ctypes.c_int64


class _Watch:
    """Adds up the squares of what every weight matrix of a layer is multiplied with."""

    def __init__(self) -> None:
        self.sums: dict[str, npt.NDArray[np.float64]] = {}
        self.rows: dict[str, int] = {}
        self.fault = ""
        self._ggml = _Ggml()
        self.callback = lib.ggml_backend_sched_eval_callback(self._see)

    def _see(self, address: int, ask: bool, _: Any) -> bool:  # noqa: FBT001  C calls it
        """Called before (``ask``: is it of interest?) and after each operation of the network."""
        try:
            return self._looked(address, ask=ask)
        except Exception as error:  # noqa: BLE001  there is nobody above but C
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
        self._add(name, inputs)
        return True

    def _add(self, name: str, inputs: Any) -> None:
        columns, rows = inputs.ne[0], inputs.ne[1] * inputs.ne[2] * inputs.ne[3]
        if inputs.nb[1] != 4 * columns or inputs.nb[2] != inputs.nb[1] * inputs.ne[1]:
            return  # a view; weights of layers are never multiplied with one
        array = np.ctypeslib.as_array(
            ctypes.cast(inputs.data, ctypes.POINTER(ctypes.c_float)), (rows, columns)
        )
        sums = np.square(array).sum(axis=0, dtype=np.float64)
        self.sums[name] = self.sums.get(name, 0.0) + sums
        self.rows[name] = self.rows.get(name, 0) + rows


def gather(folder: Path, texts: Texts, spoken: Texts, threads: int, watcher: Watcher) -> Importance:
    """Let the model in ``folder`` read ``texts``; what its columns were driven with.

    ``spoken`` is what the assistant says; a text that is unlike that is used, and noted.
    Raises EngineUnavailable where this build of llama.cpp cannot be watched, SettingsError for too
    short a text, ModelCorrupt, EngineFailed.
    """
    watch = _Watch()
    with Probe(folder, threads, watch.callback) as probe:
        passages = probe.passages(texts)
        tokens = sum(len(passage.tokens) for passage in passages)
        if tokens < MIN_TOKENS:
            raise SettingsError(
                f"The calibration text is {tokens} tokens long, and {MIN_TOKENS} are the least.",
                "Add more text of the kind that the model will read, or leave out --calibration.",
            )
        if (share := lacking(passages, probe.passages(spoken))) > STRANGE:
            watcher.note(
                f"Of what the assistant says, {100 * share:.0f} % does not occur in the calibration text: "
                "it may be in another language, or about other things."
            )
        meter = Meter("Watching what matters", tokens, watcher, unit="tokens")
        for passage in passages:
            probe.read(passage)
            if watch.fault:
                raise EngineUnavailable(
                    f"This build of llama.cpp cannot be watched: {watch.fault}.",
                    "Install llama-cpp-python 0.3.36, or leave out --imatrix.",
                )
            meter.add(len(passage.tokens))
    means = {name: (sums / watch.rows[name]).astype(np.float32) for name, sums in watch.sums.items()}
    if not means or not all(np.isfinite(mean).all() for mean in means.values()):
        raise ModelCorrupt(
            "The model's layers cannot be watched, or compute numbers that are none.",
            "Leave out --imatrix, or choose another source.",
        )
    return means


def lacking(read: Sequence[Passage], spoken: Sequence[Passage]) -> float:
    """The share of the scored tokens of ``spoken`` that do not occur in ``read``."""
    known = {token for passage in read for token in passage.tokens}
    said = [passage.tokens[place] for passage in spoken for place in passage.scored]
    return sum(token not in known for token in said) / max(len(said), 1)


def save(importance: Importance, path: Path) -> None:
    """Write it for the process that quantizes. Raises OSError."""
    arrays: dict[str, Any] = dict(importance)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def load(path: Path) -> Importance:
    """Read what ``save`` wrote. Raises OSError, ValueError."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name].astype(np.float32) for name in archive.files}

"""Measures on real text which weights matter, and how the inputs of every matrix are correlated.

The importance matrix has the mean square of what each column is multiplied with: llama.cpp's quantizers
round the weights of strongly driven columns with more care. It is the diagonal of the correlations, the mean
of x xᵀ. With these the error that rounding makes in a layer's output is known exactly without keeping any
text: for an error E of the weights it is the sum of (E C) * E. GPTQ and AWQ are built on that. A matrix of
4864 columns has a correlation of 95 MB, so as many are gathered at a time as CORRELATIONS_MEMORY_BYTES hold,
the text is read once for each such group, and they wait on disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from assistant.core.errors import ModelCorrupt
from assistant.store.disk import require, writing
from assistant.store.formats.gguf import GgufHeader
from assistant.store.progress import Watcher
from assistant.tools.quantize.block_numbers import Float32s
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.watching import watch

Importance: TypeAlias = Mapping[str, npt.NDArray[np.float32]]
"""Tensor name -> mean square of the input of each of its columns."""


def gather_importance(
    folder: Path, texts: Texts, spoken: Texts, threads: int, watcher: Watcher
) -> Importance:
    """Let the model in ``folder`` read ``texts``; what its columns were driven with.

    ``spoken`` is what the assistant says. Raises what ``watch`` raises.
    """
    sums: dict[str, npt.NDArray[np.float64]] = {}
    rows: dict[str, int] = {}

    def see(name: str, inputs: Float32s) -> None:
        sums[name] = sums.get(name, 0.0) + np.square(inputs).sum(axis=0, dtype=np.float64)
        rows[name] = rows.get(name, 0) + len(inputs)

    watch(folder, texts, spoken, threads, see, watcher)
    means = {name: (total / rows[name]).astype(np.float32) for name, total in sums.items()}
    if not means or not all(np.isfinite(mean).all() for mean in means.values()):
        raise ModelCorrupt(
            "The model's layers cannot be observed, or compute invalid numbers.",
            "Remove --imatrix, or choose a different source.",
        )
    return means


def save_importance(importance: Importance, path: Path) -> None:
    """Write it for the process that quantizes. Raises OSError."""
    arrays: dict[str, Any] = dict(importance)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def load_importance(path: Path) -> Importance:
    """Read what ``save_importance`` wrote. Raises OSError, ValueError."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name].astype(np.float32) for name in archive.files}


CORRELATIONS_MEMORY_BYTES = 1_500_000_000

WATCHED_THREADS = 1
"""Of llama.cpp while it is watched: the sums keep all cores busy, and other threads of its would wait in
their way, turning idly (25 s instead of 39 for SmolLM2 on two cores)."""

INPUTS_AT_A_TIME = 512

SAME_INPUT = {"attn_k": "attn_q", "attn_v": "attn_q", "ffn_up": "ffn_gate"}
"""Matrices that are multiplied with what another one is multiplied with too."""

LAYER_MATRIX = re.compile(r"(blk\.\d+\.)(\w+)\.weight")


class Correlations:
    """What was gathered into a folder, by the name of a tensor."""

    def __init__(self, folder: Path, columns: dict[str, int]) -> None:
        """``columns`` has the length of the rows of every layer's matrix."""
        self._folder = folder
        self._columns = columns

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def names(self) -> list[str]:
        """The matrices that are known."""
        return list(self._columns)

    def of(self, name: str) -> Float32s:
        """[columns, columns]. Raises OSError, ValueError, KeyError."""
        array: Float32s = np.load(self._folder / f"{self.owner(name)}.npy", allow_pickle=False)
        return array

    def diagonal(self, name: str) -> Float32s:
        """The mean square of each column's input of one matrix. Raises as ``of`` does."""
        return self.of(name).diagonal().copy()

    def owner(self, name: str) -> str:
        """The matrix under whose name the inputs of this one are kept."""
        found = LAYER_MATRIX.fullmatch(name)
        other = f"{found[1]}{SAME_INPUT.get(found[2], '')}.weight" if found else ""
        return other if self._columns.get(other) == self._columns[name] else name

    def owners(self) -> dict[str, int]:
        """The matrices under whose names something is kept, with the length of their rows."""
        return {name: count for name, count in self._columns.items() if self.owner(name) == name}

    def importance(self) -> Importance:
        """The mean square of each column's input."""
        diagonals = {name: self.diagonal(name) for name in {*map(self.owner, self._columns)}}
        return {name: diagonals[self.owner(name)] for name in self._columns}


def correlations_bytes(header: GgufHeader) -> int:
    """What is kept of a model."""
    return sum(_bytes(count) for count in Correlations(Path(), _columns(header)).owners().values())


def _columns(header: GgufHeader) -> dict[str, int]:
    """The length of the rows of every layer's matrix."""
    return {
        tensor.name: tensor.shape[0]
        for tensor in header.tensors
        if len(tensor.shape) == 2 and LAYER_MATRIX.fullmatch(tensor.name)
    }


def gather_correlations(  # noqa: PLR0917
    folder: Path, header: GgufHeader, texts: Texts, spoken: Texts, to: Path, watcher: Watcher
) -> Correlations:
    """Let the model in ``folder`` read ``texts``; what is found is kept in the new folder ``to``.

    ``spoken`` is what the assistant says. Raises StorageFull and what ``watch`` raises.
    """
    kept = Correlations(to, _columns(header))
    owners = kept.owners()
    require(correlations_bytes(header), to.parent)
    with writing(to.parent):
        to.mkdir()
    for group in _groups(owners):
        sums = {name: _Sum(owners[name]) for name in group}
        watch(folder, texts, spoken, WATCHED_THREADS, partial(_add, sums), watcher)
        for name in group:
            mean = sums.pop(name).mean()
            if not np.isfinite(mean).all():
                raise ModelCorrupt(
                    f"The tensor {name!r:.80} cannot be observed, or computes invalid numbers.",
                    "Remove --method, or choose a different source.",
                )
            with writing(to):
                np.save(to / f"{name}.npy", mean)
    return kept


class _Sum:
    """Adds up x xᵀ, for many inputs at a time: most passages are short, and the sum is large."""

    def __init__(self, columns: int) -> None:
        self._sum = np.zeros((columns, columns), dtype=np.float32)
        self._waiting = np.empty((INPUTS_AT_A_TIME, columns), dtype=np.float32)
        self._waits = self._rows = 0

    def add(self, inputs: Float32s) -> None:
        while len(inputs):
            some = inputs[: INPUTS_AT_A_TIME - self._waits]
            self._waiting[self._waits : self._waits + len(some)] = some
            self._waits += len(some)
            inputs = inputs[len(some) :]
            if self._waits == INPUTS_AT_A_TIME:
                self._flush()

    def mean(self) -> Float32s:
        """[columns, columns]; not finite when nothing was added."""
        self._flush()
        mean: Float32s = self._sum / np.float32(self._rows or np.nan)
        return mean

    def _flush(self) -> None:
        some = self._waiting[: self._waits]
        self._sum += some.T @ some
        self._rows += self._waits
        self._waits = 0


def _add(sums: dict[str, _Sum], name: str, inputs: Float32s) -> None:
    if name in sums:
        sums[name].add(inputs)


def _bytes(columns: int) -> int:
    return 4 * columns * columns


def _groups(owners: dict[str, int]) -> Iterator[list[str]]:
    """As many at a time as the memory holds, one at least."""
    group: list[str] = []
    for name, count in owners.items():
        if group and sum(_bytes(owners[one]) for one in group) + _bytes(count) > CORRELATIONS_MEMORY_BYTES:
            yield group
            group = []
        group.append(name)
    if group:
        yield group

"""Measures on real text which weights matter, and how the inputs of every matrix are correlated.

The importance matrix has the mean square of each column's input: llama.cpp's quantizers round the weights of
strongly driven columns more carefully. It is the diagonal of the correlations, the mean of x xᵀ. These give
the exact error of a layer's output after rounding without storing any text: for a weight error E, it is the
sum of (E C) * E. GPTQ and AWQ are based on that. The correlations of a matrix with 4864 columns take up 95
MB, so only as many are gathered at a time as fit in CORRELATIONS_MEMORY_BYTES; the text is read once per
group, and finished ones are stored on disk.
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
    """Run the model in ``folder`` on ``texts`` and return how strongly its columns were driven.

    ``spoken`` is what the assistant says. Raises the errors of ``watch``.
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
    """Write the matrix for the quantizer process. Raises OSError."""
    arrays: dict[str, Any] = dict(importance)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def load_importance(path: Path) -> Importance:
    """Read a matrix written by ``save_importance``. Raises OSError, ValueError."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name].astype(np.float32) for name in archive.files}


CORRELATIONS_MEMORY_BYTES = 1_500_000_000

WATCHED_THREADS = 1
"""llama.cpp's threads while it is watched: the sums keep all cores busy, and further threads would only
spin (25 s instead of 39 s for SmolLM2 on two cores).
"""

INPUTS_AT_A_TIME = 512

SAME_INPUT = {"attn_k": "attn_q", "attn_v": "attn_q", "ffn_up": "ffn_gate"}
"""Matrices that have the same input as another one."""

LAYER_MATRIX = re.compile(r"(blk\.\d+\.)(\w+)\.weight")


class Correlations:
    """The correlations gathered in a folder, by tensor name."""

    def __init__(self, folder: Path, columns: dict[str, int]) -> None:
        """``columns`` has the row length of every layer matrix."""
        self._folder = folder
        self._columns = columns

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def names(self) -> list[str]:
        """Return the matrices with known correlations."""
        return list(self._columns)

    def of(self, name: str) -> Float32s:
        """Return the correlations, [columns, columns]. Raises OSError, ValueError, KeyError."""
        array: Float32s = np.load(self._folder / f"{self.owner(name)}.npy", allow_pickle=False)
        return array

    def diagonal(self, name: str) -> Float32s:
        """Return the mean square of each column's input for one matrix. Raises the same errors as ``of``."""
        return self.of(name).diagonal().copy()

    def owner(self, name: str) -> str:
        """Return the matrix under whose name this one's correlations are stored."""
        found = LAYER_MATRIX.fullmatch(name)
        other = f"{found[1]}{SAME_INPUT.get(found[2], '')}.weight" if found else ""
        return other if self._columns.get(other) == self._columns[name] else name

    def owners(self) -> dict[str, int]:
        """Return the matrices under whose names correlations are stored, with their row lengths."""
        return {name: count for name, count in self._columns.items() if self.owner(name) == name}

    def importance(self) -> Importance:
        """Return the mean square of each column's input."""
        diagonals = {name: self.diagonal(name) for name in {*map(self.owner, self._columns)}}
        return {name: diagonals[self.owner(name)] for name in self._columns}


def correlations_bytes(header: GgufHeader) -> int:
    """Return the disk space for a model's correlations."""
    return sum(_bytes(count) for count in Correlations(Path(), _columns(header)).owners().values())


def _columns(header: GgufHeader) -> dict[str, int]:
    """Return the row length of every layer matrix."""
    return {
        tensor.name: tensor.shape[0]
        for tensor in header.tensors
        if len(tensor.shape) == 2 and LAYER_MATRIX.fullmatch(tensor.name)
    }


def gather_correlations(  # noqa: PLR0917
    folder: Path, header: GgufHeader, texts: Texts, spoken: Texts, to: Path, watcher: Watcher
) -> Correlations:
    """Run the model in ``folder`` on ``texts`` and store the correlations in the new folder ``to``.

    ``spoken`` is what the assistant says. Raises StorageFull and the errors of ``watch``.
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
    """Sums x xᵀ over batches of inputs: most passages are short, and the sum is large."""

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
        """Return the mean, [columns, columns]; not finite if nothing was added."""
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
    """Yield groups that fit in memory, with at least one matrix each."""
    group: list[str] = []
    for name, count in owners.items():
        if group and sum(_bytes(owners[one]) for one in group) + _bytes(count) > CORRELATIONS_MEMORY_BYTES:
            yield group
            group = []
        group.append(name)
    if group:
        yield group

"""Which weights matter: how strongly each column of every matrix is driven by real text.

llama.cpp's quantizers round the weights of strongly driven columns with more care when they are
told the mean square of what each column is multiplied with (an importance matrix).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from assistant.core.errors import ModelCorrupt
from assistant.store.progress import Watcher
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.watching import Float32s, watch

Importance: TypeAlias = Mapping[str, npt.NDArray[np.float32]]
"""Tensor name -> mean square of the input of each of its columns."""


def gather(folder: Path, texts: Texts, spoken: Texts, threads: int, watcher: Watcher) -> Importance:
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
            "The model's layers cannot be watched, or compute numbers that are none.",
            "Leave out --imatrix, or choose another source.",
        )
    return means


def save(importance: Importance, path: Path) -> None:
    """Write it for the process that quantizes. Raises OSError."""
    arrays: dict[str, Any] = dict(importance)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def load(path: Path) -> Importance:
    """Read what ``save`` wrote. Raises OSError, ValueError."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name].astype(np.float32) for name in archive.files}

"""Quantization-aware training: a few minutes in which the weights adapt to 4 bits.

torchao trains in a child process (``torch_side.training``), on the grid of the future file: the scales are
searched as for the nearest numbers and stay fixed. It trains on the calibration text, ideally the user's own
dialogues: the model learns to answer them as it did before rounding.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assistant.store.disk import writing
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize import block_numbers, hf_folder
from assistant.tools.quantize.block_numbers import Blocks, Float32s, on_grid
from assistant.tools.quantize.gguf_io import GgufWeights, copy_with
from assistant.tools.quantize.importance import LAYER_MATRIX, Importance
from assistant.tools.quantize.onnx_shape import Shape, shape_of
from assistant.tools.quantize.rounding import Rounding, nearest
from assistant.tools.quantize.scoring import Passage
from assistant.tools.quantize.torch_child import TorchChild

EPOCHS = 3
"""With more, the model memorizes the text, which is short."""

PASSAGES_A_STEP = 4

BITS = 4


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained plain model, and the grid it was trained for."""

    file: Path
    scales: dict[str, Float32s]

    def rounding(self) -> Rounding:
        """Return the rounding onto that grid; other weights are rounded to the nearest number."""

        def way(name: str, matrix: Float32s, bits: int) -> Blocks:
            if bits == BITS and name in self.scales:
                return on_grid(matrix, self.scales[name], bits)
            return block_numbers.rounded(matrix, bits)

        return way


def train(  # noqa: PLR0917
    plain: Path, importance: Importance, texts: Sequence[Passage], threads: int, to: Path, watcher: Watcher
) -> Trained:
    """Train the plain GGUF model; all files are in the new folder ``to``.

    Raises ModelCorrupt for an unsupported network, StorageFull, EngineFailed, and the errors of the
    environment "torch".
    """
    checkpoint = to / "checkpoint"
    with writing(to.parent):
        checkpoint.mkdir(parents=True)
        hf_folder.write(plain, checkpoint, "hf-f16", nearest({}), watcher)
    weights = GgufWeights(plain)
    shape = shape_of(weights.header)
    names = [
        tensor.name
        for tensor in weights.header.tensors
        if len(tensor.shape) == 2 and LAYER_MATRIX.fullmatch(tensor.name)
    ]
    scales = {}
    for name in names:
        found = block_numbers.rounded(weights.tensor(name), BITS, importance.get(name)).scales
        scales[name] = found.astype(np.float16).astype(np.float32)  # The files keep these.
        np.save(to / f"{_module(name)}.scales.npy", scales[name][hf_folder.rows_of(name, len(found), shape)])
    steps = EPOCHS * -(-len(texts) // PASSAGES_A_STEP)
    meter = Meter("Training", steps, watcher, unit="steps")
    with TorchChild(watcher) as child:
        passages = [list(passage.tokens) for passage in texts]
        order = {"folder": str(checkpoint), "to": str(to), "plan": [EPOCHS, PASSAGES_A_STEP]}
        for _ in child.follow("train", passages=passages, threads=threads, **order):
            meter.add(1)
    file = to / "trained.gguf"
    copy_with(plain, file, {name: _learned(to, name, shape) for name in names})
    shutil.rmtree(checkpoint)
    return Trained(file, scales)


def _module(name: str) -> str:
    """Return the transformers name of a matrix's layer."""
    return hf_folder.name_of(name).removesuffix(".weight")


def _learned(folder: Path, name: str, shape: Shape) -> Float32s:
    """Return the trained matrix, with its rows in GGUF's order."""
    array: Float32s = np.load(folder / f"{_module(name)}.npy", allow_pickle=False)
    matrix = np.empty_like(array)
    matrix[hf_folder.rows_of(name, len(array), shape)] = array
    return matrix

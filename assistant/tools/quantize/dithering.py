"""Takes a model off the grid that it was rounded to, so that formats can be compared fairly on it.

Of a file that has few bits already the same format makes the same file, for nothing: its grid fits.
Noise of half a step either way gives a model as good as any whose weights lie on no grid, somewhat
worse than the source; what is compared is compared with that.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from assistant.store.formats.gguf import read_header
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize.block_numbers import BLOCK, Float32s
from assistant.tools.quantize.gguf_io import GgufWeights, copy_with
from assistant.tools.quantize.quantizer import Job, quantize
from assistant.tools.quantize.recipe import FORMATS
from assistant.tools.quantize.source import Source

FINE = {"F32", "F16", "BF16", "Q8_0", "Q6_K"}
"""Types whose grid is too fine to matter."""


def dithered(source: Source, folder: Path, threads: int, watcher: Watcher) -> Source:
    """The same model of 16 bits with noise, made in the new ``folder``. Raises StorageFull, EngineFailed."""
    folder.mkdir()
    plain, file = folder / "plain.gguf", folder / f"{source.stem}.gguf"
    quantize(Job(str(source.file), str(plain), FORMATS["f16"].number, threads), FORMATS["f16"], watcher)
    weights = GgufWeights(plain)
    rounded = [tensor for tensor in source.header.tensors if tensor.type not in FINE]
    meter = Meter("Adding noise", sum(tensor.size_bytes for tensor in rounded), watcher)
    random = np.random.default_rng(1)
    arrays = {}
    for tensor in rounded:
        values = weights.tensor(tensor.name)
        arrays[tensor.name] = (values + noise(values, random)).astype(np.float16)
        meter.add(tensor.size_bytes)
    copy_with(plain, file, arrays)
    plain.unlink()
    header = read_header(file)
    return replace(source, folder=folder, file=file, header=header, size_bytes=file.stat().st_size)


def noise(values: Float32s, random: np.random.Generator) -> Float32s:
    """Up to half a step either way; a step is the least distance between two values of a block."""
    blocks = np.sort(values.reshape(-1, BLOCK), axis=1)
    gaps = np.diff(blocks, axis=1)
    tiny = 1e-3 * np.abs(blocks).max(axis=1, keepdims=True)  # equal but for the last digit of 16 bits
    steps = np.where(gaps > tiny, gaps, np.inf).min(axis=1, keepdims=True)
    steps[~np.isfinite(steps)] = 0
    drawn: Float32s = random.uniform(-0.5, 0.5, blocks.shape).astype(np.float32) * steps
    return drawn.reshape(values.shape)

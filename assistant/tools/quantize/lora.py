"""Reads a LoRA adapter (a folder that PEFT wrote), and works it into the model that it was trained for.

Every matrix that it changes becomes W + B A * scale, in 16 bits, before anything is rounded: so every
format can be made of it, and what runs it needs to know of no adapter (``lora_file`` leaves it apart).
Its files are data from strangers, and what is in them that is not understood is refused: left out, it
would make a model that is silently another one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from assistant.core.errors import ModelCorrupt
from assistant.runtime.json_file import read_object
from assistant.store.formats.gguf import GgufHeader, read_header
from assistant.store.progress import Watcher
from assistant.tools.quantize import hf_folder
from assistant.tools.quantize.block_numbers import Float32s
from assistant.tools.quantize.gguf_io import GgufWeights, copy_with
from assistant.tools.quantize.onnx_shape import shape_of
from assistant.tools.quantize.quantizer import Job, quantize
from assistant.tools.quantize.recipe import FORMATS
from assistant.tools.quantize.safetensors import SafetensorsFolder
from assistant.tools.quantize.source import Source

MAX_JSON_BYTES = 1_000_000
NOT_UNDERSTOOD = (
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "lora_bias",
    "fan_in_fan_out",
)
"""Settings that change what an adapter means; all of them are empty or false in an ordinary one."""


@dataclass(frozen=True, slots=True)
class Strength:
    """How strongly an adapter changes a model."""

    rank: int
    """Rows of A, columns of B."""
    scale: float
    """By what B A is multiplied."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is added to one matrix, before it is scaled: ``up`` @ ``down``, lying as GGUF has them."""

    down: Float32s
    """A: [rank, columns]."""
    up: Float32s
    """B: [rows, rank]."""


def merged(source: Source, adapter: Path, folder: Path, threads: int, watcher: Watcher) -> Source:
    """The model with the adapter in it, of 16 bits, made in the new ``folder``.

    Raises ModelCorrupt for an adapter that does not fit or is not understood, StorageFull, EngineFailed.
    """
    strength = strength_of(adapter)
    changes = changes_of(source.header, SafetensorsFolder(adapter), strength.rank)
    folder.mkdir()
    plain, file = folder / "plain.gguf", folder / f"{source.stem}.gguf"
    quantize(Job(str(source.file), str(plain), FORMATS["f16"].number, threads), FORMATS["f16"], watcher)
    copy_with(plain, file, changed(GgufWeights(plain), changes, strength.scale))
    plain.unlink()
    return replace(source, folder=folder, file=file, header=read_header(file), size_bytes=file.stat().st_size)


def strength_of(adapter: Path) -> Strength:
    """From adapter_config.json. Raises ModelCorrupt."""
    try:
        config = read_object(adapter / "adapter_config.json", MAX_JSON_BYTES)
    except (OSError, ValueError):
        raise _refused(adapter, "its adapter_config.json cannot be read") from None
    if config.get("peft_type") != "LORA":
        raise _refused(adapter, "it is not of the type LORA")
    if strange := [name for name in NOT_UNDERSTOOD if config.get(name)]:
        raise _refused(adapter, f"its {strange[0]} is not understood here")
    rank, alpha = (_number(config.get(name)) for name in ("r", "lora_alpha"))
    if not alpha or rank < 1 or rank != int(rank):
        raise _refused(adapter, "it does not say its rank and alpha")
    return Strength(int(rank), alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))


def changes_of(header: GgufHeader, tensors: SafetensorsFolder, rank: int) -> dict[str, Change]:
    """What the adapter adds to each matrix of a model, by its name in GGUF. Raises ModelCorrupt."""
    shape = shape_of(header)
    left = set(tensors.names)
    result = {}
    for tensor in header.tensors:
        if len(tensor.shape) != 2 or not tensor.name.startswith("blk."):
            continue
        module = hf_folder.name_of(tensor.name).removesuffix(".weight")
        pair = [_find(module, which, left) for which in "AB"]
        if pair == ["", ""]:
            continue
        if "" in pair:
            raise _damaged(f"of the change of {module} one half is missing")
        columns, rows = tensor.shape
        down, up = (tensors.read(each) for each in pair)
        if (down.ndim, up.ndim) != (2, 2) or (len(up), down.shape[1]) != (rows, columns):
            raise _damaged(f"its change of {module} does not fit this model")
        if {len(down), up.shape[1]} != {rank}:
            raise _damaged(f"its change of {module} has another rank than the {rank} that it says")
        turned = np.empty_like(up)
        turned[hf_folder.rows_of(tensor.name, rows, shape)] = up
        result[tensor.name] = Change(down, turned)
        left -= set(pair)
    if left:
        raise _damaged(f"it changes {min(left)!r:.80}, which this model does not have")
    if not result:
        raise _damaged("it changes nothing")
    return result


def changed(weights: GgufWeights, changes: Mapping[str, Change], scale: float) -> dict[str, Float32s]:
    """The matrices that are changed, as they become."""
    return {
        name: weights.tensor(name) + np.float32(scale) * (change.up @ change.down)
        for name, change in changes.items()
    }


def _find(module: str, which: str, names: set[str]) -> str:
    """The name of one half in the adapter; empty when it has none."""
    spellings = [f"base_model.model.{module}.lora_{which}{part}.weight" for part in ("", ".default")]
    return next((name for name in spellings if name in names), "")


def _number(value: object) -> float:
    """As it is; 0 for anything that is no number."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else 0.0


def _damaged(why: str) -> ModelCorrupt:
    return ModelCorrupt(f"The adapter cannot be used: {why}.", "Take it with the model it was trained for.")


def _refused(folder: Path, why: str) -> ModelCorrupt:
    return ModelCorrupt(f"The adapter in {folder} is not used: {why}.", "Choose another adapter.")

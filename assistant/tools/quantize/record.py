"""Records the making of a model: what it requires, what it was made from and with, and the result.

The disk and memory requirements are computed from the source's header before any work is done. These figures
are slightly high: the actual size is known once llama.cpp has read the file and is then checked again
(``quantizer``). Checksums, versions, and figures go into the model's card. This module knows only the files
that making a model leaves, not how it is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.store.folder import CHUNK_BYTES
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize import environments, workspace
from assistant.tools.quantize.checkpoint import convert
from assistant.tools.quantize.converter import PACKAGE
from assistant.tools.quantize.gguf_io import is_plain
from assistant.tools.quantize.importance import correlations_bytes
from assistant.tools.quantize.loss import Loss
from assistant.tools.quantize.recipe import FORMATS, ROUND_TO_NEAREST, WITH_TORCH, Recipe, method_memory_bytes
from assistant.tools.quantize.source import Source

BITS = {
    **dict.fromkeys(("onnx-fp32",), 32.0),
    **dict.fromkeys(("f16", "bf16", "onnx-fp16", "hf-f16"), 16.0),
    **dict.fromkeys(("q8_0", "onnx-int8", "onnx-fp16-int8", "q6_k"), 9.0),
    "hf-int8": 15.0,
    "hf-nf4": 12.0,  # bitsandbytes doesn't round the embedding table and writes the output layer separately.
}
"""Format -> bits per weight, including scales."""
FEW_BITS = 7.0
"""Bits per weight in all other formats, with short rows, whose tensors fall back, and large embeddings."""

REFERENCE_TOKENS = 1_500
"""Number of tokens whose scores are kept for the source; the included text has 900."""


def plan_making(
    recipes: Sequence[Recipe], source: Source, work_dir: Path, watcher: Watcher, output: Path | None = None
) -> None:
    """Report what making all of these requires, and what is available. Raises StorageFull, EngineFailed.

    ``output`` is the target of formats that don't go into the store.
    """
    disk = needed_disk_bytes(recipes, source)
    weights = source.weights
    largest = max(source.size_bytes, *(_made_bytes(recipe, weights) for recipe in recipes))
    memory = largest + max(method_memory_bytes(recipe.method, weights) for recipe in recipes)
    workspace.plan(disk, memory, work_dir, watcher)
    if any(recipe.needs_torch for recipe in recipes):
        environments.plan("torch", watcher)
    if output:
        workspace.plan_delivery(
            max(_made_bytes(recipe, weights) for recipe in recipes), output, work_dir, watcher
        )


def needed_disk_bytes(recipes: Sequence[Recipe], source: Source) -> int:
    """Return the space for the inputs of all, made once, plus the largest file; files are made one by one."""
    weights = source.weights
    parts = {"reference": reference_bytes(source)}
    for recipe in recipes:
        parts |= _inputs_bytes(recipe, source, 2 * weights)
    return sum(parts.values()) + max(_made_bytes(recipe, weights) for recipe in recipes)


def reference_bytes(source: Source) -> int:
    """Return the size of the source's scores, which are kept for comparison."""
    return 2 * REFERENCE_TOKENS * _vocabulary(source)


def _inputs_bytes(recipe: Recipe, source: Source, plain_bytes: int) -> dict[str, int]:
    """Return name -> bytes of the files in the workspace while this is made."""
    parts = {}
    by_llama_cpp = recipe.method == ROUND_TO_NEAREST and recipe.format.runtime == "llama_cpp"
    if not by_llama_cpp and not is_plain(source.header):
        parts["plain"] = plain_bytes
    if recipe.method in ("gptq", "awq"):
        parts["correlations"] = correlations_bytes(source.header)
    if recipe.method in ("awq", "qat"):
        parts[recipe.method] = plain_bytes
    if recipe.format.name in WITH_TORCH:
        parts["checkpoint"] = plain_bytes
    if recipe.through:  # The checkpoint, and the file converted from it.
        parts["through"] = 2 * plain_bytes
        parts |= _inputs_bytes(Recipe(FORMATS[recipe.through], "gptq"), source, plain_bytes)
    return parts


def _made_bytes(recipe: Recipe, weights: int) -> int:
    return int(weights * BITS.get(recipe.format.name, FEW_BITS) / 8)


def _vocabulary(source: Source) -> int:
    """Return the number of tokens, from the embeddings."""
    sizes = (tensor.shape[-1] for tensor in source.header.tensors if tensor.name == "token_embd.weight")
    return next(sizes, 0)


class Origin:
    """The files that a model was made from, and whether they were converted first."""

    def __init__(self, watcher: Watcher) -> None:
        self.files: list[Path] = []
        self.converted = False
        """True after llama.cpp's converter has converted a checkpoint."""
        self._watcher = watcher

    def convert(self, folder: Path, to: Path) -> None:
        """Call ``checkpoint.convert`` and record that."""
        self.files, self.converted = files_of(folder), True
        convert(folder, to, self._watcher)


def files_of(folder: Path) -> list[Path]:
    """Return the weights and metadata of a checkpoint or adapter, sorted by name."""
    kinds = ("*.safetensors", "config.json", "adapter_config.json")
    return sorted(file for kind in kinds for file in folder.glob(kind))


def checksum(files: Sequence[Path], watcher: Watcher) -> str:
    """Return the SHA-256 of the concatenated ``files``."""
    digest = hashlib.sha256()
    meter = Meter("Checking the source", sum(file.stat().st_size for file in files), watcher)
    for file in files:
        with file.open("rb") as reader:
            while chunk := reader.read(CHUNK_BYTES):
                digest.update(chunk)
                meter.add(len(chunk))
    return digest.hexdigest()


def versions_used(*, converted: bool, recipe: Recipe | None = None) -> dict[str, str]:
    """Return versions of packages outside this environment: those used with torch, and llama.cpp's
    converter.
    """
    packages: list[str] = []
    if recipe and recipe.format.name in WITH_TORCH:
        packages += ["accelerate", "bitsandbytes"]
    if recipe and recipe.format.name == "hf-int4":
        packages.append("compressed-tensors")
    if recipe and recipe.method == "qat":
        packages.append("torchao")
    if converted or (recipe and recipe.needs_torch):
        packages += ["torch", "transformers"]
    versions = environments.versions("torch", packages) if packages else {}
    return versions | ({"converter": f"{PACKAGE.package} {PACKAGE.version}"} if converted else {})


def figures(loss: Loss) -> dict[str, Any]:
    """Return a loss as plain values; nats per token."""
    return {
        "perplexity": round(loss.perplexity, 3),
        "kl": round(loss.kl, 5),
        "kl_error": round(loss.kl_error, 5),
        "same_first": round(loss.same_first, 4),
        "tokens": loss.tokens,
    }

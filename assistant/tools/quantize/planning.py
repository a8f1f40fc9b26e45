"""What making a model will take of the disk and the memory, known from its header before any work is done.

The figures are a little high: what a file really needs is known when llama.cpp has looked at it, and is
asked for again then (``quantizer``). Knows nothing of how a model is made, only what that leaves lying.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assistant.store.progress import Watcher
from assistant.tools.quantize import environments, workspace
from assistant.tools.quantize.gguf_io import is_plain
from assistant.tools.quantize.importance import correlations_bytes
from assistant.tools.quantize.recipe import FORMATS, ROUND_TO_NEAREST, WITH_TORCH, Recipe, method_memory_bytes
from assistant.tools.quantize.source import Source

BITS = {
    **dict.fromkeys(("onnx-fp32",), 32.0),
    **dict.fromkeys(("f16", "bf16", "onnx-fp16", "hf-f16"), 16.0),
    **dict.fromkeys(("q8_0", "onnx-int8", "onnx-fp16-int8", "q6_k"), 9.0),
    "hf-int8": 15.0,
    "hf-nf4": 12.0,  # bitsandbytes leaves the table of words, and writes the output apart
}
"""Format -> what a weight takes, with scales."""
FEW_BITS = 7.0
"""What it takes in all others, where rows are short, so that tensors fall back, and embeddings large."""

REFERENCE_TOKENS = 1_500
"""Whose scores are kept of the source: what ships has 900."""


def plan(
    recipes: Sequence[Recipe], source: Source, work_dir: Path, watcher: Watcher, output: Path | None = None
) -> None:
    """Say what making all of these will take, and what there is. Raises StorageFull, EngineFailed.

    ``output`` is where they are taken that do not go into the store.
    """
    disk = disk_bytes(recipes, source)
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


def disk_bytes(recipes: Sequence[Recipe], source: Source) -> int:
    """The groundwork of all, which is done once, and the largest of the files, which are made one by one."""
    weights = source.weights
    parts = {"reference": reference_bytes(source)}
    for recipe in recipes:
        parts |= _groundwork(recipe, source, 2 * weights)
    return sum(parts.values()) + max(_made_bytes(recipe, weights) for recipe in recipes)


def reference_bytes(source: Source) -> int:
    """The scores of the source, which are kept to compare with."""
    return 2 * REFERENCE_TOKENS * _vocabulary(source)


def _groundwork(recipe: Recipe, source: Source, plain_bytes: int) -> dict[str, int]:
    """Name -> bytes of what lies in the workspace while this is made."""
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
    if recipe.through:  # the checkpoint, and what is converted from it
        parts["through"] = 2 * plain_bytes
        parts |= _groundwork(Recipe(FORMATS[recipe.through], "gptq"), source, plain_bytes)
    return parts


def _made_bytes(recipe: Recipe, weights: int) -> int:
    return int(weights * BITS.get(recipe.format.name, FEW_BITS) / 8)


def _vocabulary(source: Source) -> int:
    """How many tokens there are, as far as the embeddings tell."""
    sizes = (tensor.shape[-1] for tensor in source.header.tensors if tensor.name == "token_embd.weight")
    return next(sizes, 0)

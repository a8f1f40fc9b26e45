"""Converts a model to another format: GGUF with llama.cpp's quantizer, other formats with our own writers.

For other formats, llama.cpp first unpacks the weights to 16 bits, in a temporary file; bitsandbytes rounds a
checkpoint that our writer made. A ``Recipe`` holds the user's choices.
"""

from __future__ import annotations

import importlib
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from assistant.core.errors import EngineUnavailable, SettingsError
from assistant.store.disk import writing
from assistant.store.progress import timed
from assistant.tools.quantize import gguf_grids, hf_folder, rounding
from assistant.tools.quantize.checkpoint import convert
from assistant.tools.quantize.gguf_io import Again, q4_0_bytes, round_again, with_feedback
from assistant.tools.quantize.inputs import Inputs
from assistant.tools.quantize.quantizer import Job, Made, quantize
from assistant.tools.quantize.recipe import FORMATS, WITH_TORCH, Recipe, settled_method
from assistant.tools.quantize.rounding import Rounding
from assistant.tools.quantize.torch_child import TorchChild


def build(recipe: Recipe, inputs: Inputs, target: Path) -> Made:
    """Build the file, alone with everything that belongs to it in the folder of ``target``.

    Raises StorageFull, EngineFailed, and the errors of the inputs; for ONNX, also EngineUnavailable without
    the package ``onnx``, ModelCorrupt for an unsupported network, and SettingsError for options it lacks.
    """
    if recipe.through:
        return _through_checkpoint(recipe, inputs, target)
    if recipe.format.runtime == "llama_cpp":
        return _gguf(recipe, inputs, target)
    if recipe.keep_f16 or recipe.output_type is not None or recipe.embedding_type is not None:
        raise SettingsError(
            "--keep-f16, --output-type and --embedding-type apply only to GGUF formats.",
            f"Remove them for {recipe.format.name}.",
        )
    in_onnx = recipe.format.runtime == "onnx"
    write = _onnx_writer() if in_onnx else partial(hf_folder.write, size=recipe.group_size)
    plain = _plain(recipe, inputs)
    folder, chosen = target.parent, recipe.format.name
    if chosen in WITH_TORCH:
        return _by_torch(plain, folder, chosen, inputs)
    with writing(folder):
        types = write(plain, folder, chosen, _rounding(recipe, inputs), inputs.watcher)
    model = "model.onnx" if in_onnx else hf_folder.MODEL
    return Made(folder / model, {}, dict(types.most_common()))


def _by_torch(plain: Path, folder: Path, chosen: str, inputs: Inputs) -> Made:
    """Round a temporary plain checkpoint with bitsandbytes."""
    checkpoint = inputs.work_dir / "checkpoint"
    checkpoint.mkdir()
    try:
        with writing(folder):
            types = hf_folder.write(plain, checkpoint, "hf-f16", rounding.nearest({}), inputs.watcher)
        with TorchChild(inputs.watcher) as child, timed(f"Rounding to {chosen}", inputs.watcher):
            child.order("round", folder=str(checkpoint), to=str(folder), format=chosen)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(checkpoint / name, folder)
    finally:
        shutil.rmtree(checkpoint)
    return Made(folder / hf_folder.MODEL, {}, {chosen.removeprefix("hf-"): sum(types.values()) - 1})


def _through_checkpoint(recipe: Recipe, inputs: Inputs, target: Path) -> Made:
    """Write a checkpoint, convert it with llama.cpp's converter, and quantize the result."""
    folder, into = inputs.work_dir / "through", FORMATS[recipe.through]
    checkpoint, converted = folder / "checkpoint", folder / "model.gguf"
    checkpoint.mkdir(parents=True)
    method, imatrix = settled_method("", None, into, inputs.source.weights)
    try:
        build(Recipe(into, method, imatrix), inputs, checkpoint / hf_folder.MODEL)
        convert(checkpoint, converted, inputs.watcher)
        job = Job(str(converted), str(target), recipe.format.number, inputs.threads)
        return quantize(job, recipe.format, inputs.watcher)
    finally:
        shutil.rmtree(folder)


def _gguf(recipe: Recipe, inputs: Inputs, target: Path) -> Made:
    source = inputs.source.file if recipe.method in ("rtn", "gptq") else _plain(recipe, inputs)
    matrix = ""
    if recipe.imatrix:
        matrix = str(inputs.saved(inputs.weighed(recipe.method), f"importance-{recipe.method}"))
    job = Job(
        source=str(source),
        target=str(target),
        format=recipe.format.number,
        threads=inputs.threads,
        keep_f16=recipe.keep_f16,
        output_type=recipe.output_type,
        embedding_type=recipe.embedding_type,
        importance=matrix,
    )
    made = quantize(job, recipe.format, inputs.watcher)
    if again := _again(recipe, inputs):
        types = gguf_grids.KINDS if recipe.method == "gptq" else ("Q4_0",)
        round_again(made.file, _plain(recipe, inputs), types, again, inputs.watcher)
    return made


def _again(recipe: Recipe, inputs: Inputs) -> Again | None:
    """Return the function that rounds the numbers in llama.cpp's file again, if any."""
    if recipe.method == "gptq":
        return with_feedback(inputs.correlations, by_importance=recipe.act_order)
    if recipe.method == "qat":
        trained = inputs.trained.rounding()
        return lambda tensor, _, weights: q4_0_bytes(trained(tensor.name, weights, 4))
    return None


def _plain(recipe: Recipe, inputs: Inputs) -> Path:
    """Return the 16-bit model to round."""
    match recipe.method:
        case "awq":
            return inputs.balanced[0]
        case "qat":
            return inputs.trained.file
        case _:
            return inputs.plain


def _rounding(recipe: Recipe, inputs: Inputs) -> Rounding:
    if recipe.method == "gptq":
        kept = np.float32 if recipe.format.runtime == "onnx" else np.float16
        return rounding.with_feedback(
            inputs.correlations, by_importance=recipe.act_order, scale_type=kept, size=recipe.group_size
        )
    if recipe.method == "qat":
        return inputs.trained.rounding()
    return rounding.nearest(inputs.weighed(recipe.method) if recipe.imatrix else {}, recipe.group_size)


def _onnx_writer() -> Callable[..., Counter[str]]:
    try:
        module: Any = importlib.import_module("assistant.tools.quantize.onnx_writer")
    except ImportError as error:
        raise EngineUnavailable(
            f"Writing ONNX needs the Python package '{error.name}', which is not installed.",
            "Install it (`pip install onnx`), or install the assistant with the `prepare` extra.",
        ) from error
    write: Callable[..., Counter[str]] = module.write
    return write

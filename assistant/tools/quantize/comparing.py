"""Compares a model in several formats side by side: size, loss, speed. Nothing is installed.

The files are made one after the other in the workspace and then deleted. Converting an already quantized file
to its own format would lose nothing, because the weights are already on that grid. For a fair comparison, a
source can first be taken off its grid with noise of up to half a step: the result is as good as any model
whose weights are on no grid, somewhat worse than the source, and becomes the reference for the comparison.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from assistant.core.errors import AssistantError
from assistant.store import Store
from assistant.store.formats.gguf import read_header
from assistant.store.progress import Meter, Watcher, duration, megabytes
from assistant.tools.quantize import gate
from assistant.tools.quantize.block_numbers import BLOCK, Float32s
from assistant.tools.quantize.building import build
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.gguf_io import GgufWeights, copy_with
from assistant.tools.quantize.inputs import Inputs
from assistant.tools.quantize.loss import Loss, Reference
from assistant.tools.quantize.making import check_text, found, held_out, inputs_of, matching, settled, target
from assistant.tools.quantize.picture import Dot
from assistant.tools.quantize.quantizer import Job, quantize
from assistant.tools.quantize.recipe import FORMATS, ROUND_TO_NEAREST, Recipe, tensor_name
from assistant.tools.quantize.record import figures, plan_making
from assistant.tools.quantize.request import Request
from assistant.tools.quantize.scorers import engine_of
from assistant.tools.quantize.source import Source
from assistant.tools.quantize.trial import Speed, measured_speed
from assistant.tools.quantize.workspace import workspace

EVERYTHING = (
    "f16,f16+hf-f16,f16+hf-int4,bf16,q8_0,q6_k,q5_k_m,q4_k_m+plain,q4_k_m+rtn,q4_k_m,q4_k_m+awq,"
    r"iq4_xs,iq4_nl,q4_1+rtn,q4_1,q4_0+plain,q4_0+rtn,q4_0,q4_0+awq,q4_0+keep=blk\.[0-2]\.+output=q8_0,"
    "onnx-fp32,onnx-fp16,onnx-int8,onnx-fp16-int8,onnx-int4+plain,onnx-int4+rtn,onnx-int4,onnx-int4+awq,"
    "hf-f16,hf-int8,hf-nf4,hf-int4,hf-int4+awq,q4_0+qat"
)
"""Meaning of ``--types all``: every format, and each method that affects the loss."""

NOT_MEASURED = Loss(0, 0.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One format."""

    recipe: Recipe | None
    """How it is made; None for the source."""
    size_bytes: int = 0
    loss: Loss = NOT_MEASURED
    speeds: tuple[Speed, ...] = ()
    """With one thread, and with all."""
    kept_f16: int = 0
    """Tensors that were requested to stay at 16 bits."""
    fell_back: int = 0
    seconds: float = 0.0
    """How long it took to make."""
    fault: str = ""
    """Why there are no figures; the other fields are then invalid."""

    @property
    def name(self) -> str:
        """Return its name in the table."""
        made = self.recipe
        if made is None:
            return "source"
        ways = [
            f"{self.kept_f16} in f16" if self.kept_f16 else "",
            f"output {tensor_name(made.output_type)}" if made.output_type is not None else "",
            f"words {tensor_name(made.embedding_type)}" if made.embedding_type is not None else "",
            "" if made.method == ROUND_TO_NEAREST else made.method,
            "imatrix" if made.imatrix else "",
            f"by way of {made.through}" if made.through else "",
        ]
        return " + ".join([made.format.name, *filter(None, ways)])

    def dot(self) -> Dot:
        """Return its dot in the picture, colored by the most important method beyond plain rounding."""
        made = self.recipe
        if made is None:
            return Dot("source", self.size_bytes, self.loss.kl)
        way = made.method if made.method != ROUND_TO_NEAREST else "imatrix" if made.imatrix else ""
        name = made.format.name  # A variant other than a different method is named after itself.
        name += f" by {made.through}" if made.through else " + f16" if self.kept_f16 else ""
        return Dot(name, self.size_bytes, self.loss.kl, way)

    def document(self) -> dict[str, Any]:
        """Return the row as plain values."""
        made = self.recipe
        how: dict[str, Any] = {"format": "source", "imatrix": False, "method": ROUND_TO_NEAREST}
        if made:
            how = {"format": made.format.name, "imatrix": made.imatrix, "method": made.method}
            how |= {"through": made.through, "kept_f16": self.kept_f16}
        if self.fault:
            return {**how, "fault": self.fault}
        return {
            **how,
            "bytes": self.size_bytes,
            **figures(self.loss),
            "speeds": [
                {"threads": one.threads, "prompt_tokens_per_s": one.prompt, "reply_tokens_per_s": one.reply}
                for one in self.speeds
            ],
            "fell_back": self.fell_back,
            "seconds": self.seconds,
        }


def compare(
    requests: Sequence[Request], store: Store, watcher: Watcher, *, dither: bool = False
) -> list[Row]:
    """Return a row for the source as it is, then one per request; all requests have the same source.

    With ``dither``, the source is first taken off the grid it was rounded to.

    A format that cannot be made has its fault in its row. Raises the errors of finding and measuring the
    source.
    """
    first = requests[0]
    validation = held_out(first)
    with workspace(store.models_dir, watcher) as work_dir:
        source = found(first, store, work_dir, watcher)
        requests = [settled(request, source) for request in requests]
        check_text(requests)
        kept = [len(matching(source, request.keep_f16)) for request in requests]
        if dither:
            source = dithered(source, work_dir / "dithered", first.threads, watcher)
        plan_making([request.recipe for request in requests], source, work_dir, watcher)
        with gate.reference(source.folder, validation, first.threads, work_dir, watcher) as reference:
            fast = measured_speed(source.folder, first.threads, watcher)
            rows = [Row(None, size_bytes=source.size_bytes, loss=reference.loss, speeds=fast)]
            inputs = inputs_of(requests, source, validation, work_dir, watcher)
            for number, request in enumerate(requests):
                to = target(work_dir, f"{number}-{request.format}")
                row = Row(request.recipe, kept_f16=kept[number])
                try:
                    row = _measured(row, request.recipe, inputs, to, validation, reference)
                except AssistantError as error:
                    row = replace(row, fault=error.problem)
                rows.append(row)
                shutil.rmtree(to.parent)
                watcher.note(said(rows[-1]))
    return rows


def _measured(  # noqa: PLR0917
    row: Row, recipe: Recipe, inputs: Inputs, to: Path, validation: Texts, reference: Reference
) -> Row:
    """Make one file and measure it."""
    began_s = time.monotonic()
    made = build(recipe, inputs, to)
    seconds = round(time.monotonic() - began_s, 1)
    folder = made.file.parent
    return replace(
        row,
        size_bytes=made.size_bytes,
        loss=gate.measure(folder, validation, reference, inputs.threads, inputs.watcher),
        # Without an engine that runs it, there is no meaningful speed.
        speeds=measured_speed(folder, inputs.threads, inputs.watcher) if engine_of(folder) else (),
        fell_back=len(made.fell_back),
        seconds=seconds,
    )


def table(rows: Sequence[Row]) -> str:
    """Format the rows for people."""
    heads = ["FORMAT", "SIZE", "PERPLEXITY", "KL", "SAME FIRST"]
    columns = len(rows[0].speeds)
    heads += [f"{what}, {one.threads} THR" for one in rows[0].speeds for what in ("PROMPT/S", "REPLY/S")]
    heads.append("MADE IN")
    cells = [heads, *(_cells(row, columns) for row in rows if not row.fault)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    lines = [
        "  ".join(
            f"{cell:>{width}}" if at else f"{cell:<{width}}"
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    lines += [f"{row.name}: {row.fault}" for row in rows if row.fault]
    for row in rows:
        if row.recipe and row.loss.kl > (limit := row.recipe.format.kl_limit):
            lines.append(f"{row.name}: loses more than {limit:g}, so `quantize` would not install it")
        if row.fell_back:
            lines.append(
                f"{row.name}: {row.fell_back} tensors have another type, because of their row length"
            )
    return "\n".join(lines)


def _cells(row: Row, speeds_: int) -> list[str]:
    loss = row.loss
    figures_ = [
        f"{row.size_bytes / 1e6:.0f} MB",
        f"{loss.perplexity:.2f}",
        f"{loss.kl:.4f} ± {loss.kl_error:.4f}",
    ]
    fast = [f"{figure:.0f}" for one in row.speeds for figure in (one.prompt, one.reply)]
    fast = fast or ["-"] * 2 * speeds_
    return [row.name, *figures_, f"{100 * loss.same_first:.1f} %", *fast, duration(row.seconds)]


def said(row: Row) -> str:
    """Return one line as soon as a row is known."""
    if row.fault:
        return f"{row.name}: {row.fault}"
    loss = f"{row.loss.kl:.4f} ± {row.loss.kl_error:.4f} nats per token"
    return f"{row.name}: {megabytes(row.size_bytes)}, {loss}, made in {duration(row.seconds)}"


FINE = {"F32", "F16", "BF16", "Q8_0", "Q6_K"}
"""Types whose grid is too fine to matter."""


def dithered(source: Source, folder: Path, threads: int, watcher: Watcher) -> Source:
    """Make the same model at 16 bits with noise, in the new ``folder``. Raises StorageFull, EngineFailed."""
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
    """Return noise of up to half a step; a step is the smallest distance between two values of a block."""
    blocks = np.sort(values.reshape(-1, BLOCK), axis=1)
    gaps = np.diff(blocks, axis=1)
    tiny = 1e-3 * np.abs(blocks).max(axis=1, keepdims=True)  # Equal, except for the last digit of 16 bits.
    steps = np.where(gaps > tiny, gaps, np.inf).min(axis=1, keepdims=True)
    steps[~np.isfinite(steps)] = 0
    drawn: Float32s = random.uniform(-0.5, 0.5, blocks.shape).astype(np.float32) * steps
    return drawn.reshape(values.shape)

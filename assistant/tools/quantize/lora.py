"""Merges a LoRA adapter (a folder written by PEFT) into its model, or converts it to a GGUF file of its own.

When merged, every matrix it changes becomes W + B A * scale at 16 bits before rounding: any format can be
made from it, and the runtime needs no adapter support. As a separate file, llama.cpp applies it to a
quantized model at run time, so that one model of half a gigabyte serves several adapters of a few megabytes.
Before it is installed, the model speaks with it, and the change is measured. Neither way needs torch or
llama.cpp's converter: an adapter is matrices under other names, with its rows reordered for GGUF. Its files
are untrusted data, and anything unrecognized is refused: ignoring it would silently make a different model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from assistant.core.errors import ModelCorrupt, ModelMissing, SettingsError
from assistant.engines.llm.llama_cpp.gguf import check_adapter
from assistant.runtime.json_file import read_object
from assistant.store import Store, licences
from assistant.store.disk import writing
from assistant.store.formats.gguf import GgufHeader, read_header
from assistant.store.own import check_name
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize import card, dialogues, gate, hf_folder
from assistant.tools.quantize import source as sources
from assistant.tools.quantize.block_numbers import Float32s
from assistant.tools.quantize.checkpoint import declared_licence
from assistant.tools.quantize.gguf_io import GgufWeights, copy_with, write_adapter
from assistant.tools.quantize.loss import Loss
from assistant.tools.quantize.onnx_shape import shape_of
from assistant.tools.quantize.quantizer import Job, quantize
from assistant.tools.quantize.recipe import FORMATS
from assistant.tools.quantize.record import Origin, checksum, files_of, reference_bytes, versions_used
from assistant.tools.quantize.request import Request
from assistant.tools.quantize.safetensors import SafetensorsFolder
from assistant.tools.quantize.scorers import LlamaCppScorer
from assistant.tools.quantize.source import Source
from assistant.tools.quantize.trial import Spoken, hold_conversation
from assistant.tools.quantize.workspace import install, plan, refuse, stem_of, workspace

MAX_JSON_BYTES = 1_000_000
NOT_UNDERSTOOD = (
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "lora_bias",
    "fan_in_fan_out",
)
"""Settings that change the meaning of an adapter; all are empty or false in an ordinary one."""


@dataclass(frozen=True, slots=True)
class Strength:
    """How strongly an adapter changes a model."""

    rank: int
    """Rows of A, columns of B."""
    scale: float
    """Factor of B A."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is added to one matrix before scaling: ``up`` @ ``down``, in GGUF's layout."""

    down: Float32s
    """A: [rank, columns]."""
    up: Float32s
    """B: [rows, rank]."""


def merged(source: Source, adapter: Path, folder: Path, threads: int, watcher: Watcher) -> Source:
    """Merge the adapter into the model at 16 bits, in the new ``folder``.

    Raises ModelCorrupt for an adapter that doesn't fit or is not understood, StorageFull, EngineFailed.
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
    """Read the strength from adapter_config.json. Raises ModelCorrupt."""
    try:
        config = read_object(adapter / "adapter_config.json", MAX_JSON_BYTES)
    except (OSError, ValueError):
        raise _refused(adapter, "its adapter_config.json cannot be read") from None
    if config.get("peft_type") != "LORA":
        raise _refused(adapter, "it is not of the type LORA")
    if strange := [name for name in NOT_UNDERSTOOD if config.get(name)]:
        raise _refused(adapter, f"its {strange[0]} is not supported")
    rank, alpha = (_number(config.get(name)) for name in ("r", "lora_alpha"))
    if not alpha or rank < 1 or rank != int(rank):
        raise _refused(adapter, "it does not say its rank and alpha")
    return Strength(int(rank), alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))


def changes_of(header: GgufHeader, tensors: SafetensorsFolder, rank: int) -> dict[str, Change]:
    """Return the adapter's changes to each matrix of a model, by GGUF name. Raises ModelCorrupt."""
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
            raise _damaged(f"half of the change to {module} is missing")
        columns, rows = tensor.shape
        down, up = (tensors.read(each) for each in pair)
        if (down.ndim, up.ndim) != (2, 2) or (len(up), down.shape[1]) != (rows, columns):
            raise _damaged(f"its change to {module} does not fit this model")
        if {len(down), up.shape[1]} != {rank}:
            raise _damaged(f"its change to {module} has a different rank than the stated {rank}")
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
    """Return the changed matrices."""
    return {
        name: weights.tensor(name) + np.float32(scale) * (change.up @ change.down)
        for name, change in changes.items()
    }


def _find(module: str, which: str, names: set[str]) -> str:
    """Return the name of one half in the adapter; empty if it has none."""
    spellings = [f"base_model.model.{module}.lora_{which}{part}.weight" for part in ("", ".default")]
    return next((name for name in spellings if name in names), "")


def _number(value: object) -> float:
    """Return the number, or 0 for anything else."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else 0.0


def _damaged(why: str) -> ModelCorrupt:
    return ModelCorrupt(f"The adapter cannot be used: {why}.", "Use it with the model it was trained for.")


def _refused(folder: Path, why: str) -> ModelCorrupt:
    return ModelCorrupt(f"The adapter in {folder} cannot be used: {why}.", "Choose a different adapter.")


FORMAT = "gguf"

MAX_RATIO = 3.0
"""Limit for the growth of the perplexity of plain dialogues. A different style also increases it; an
adapter made for other weights of the same shape increases it tenfold or more.
"""

MIN_KL = 1e-5
"""Nats per token. Below this, the adapter does nothing: 16-bit storage differs by more."""


def make(request: Request, store: Store, watcher: Watcher) -> dict[str, Any]:
    """Run the whole process; returns the adapter's card with its ``path``. On any error, the store is
    unchanged.

    Raises SettingsError, ModelMissing, LicenceNotAccepted, ModelCorrupt for an adapter that doesn't fit or is
    not understood, ModelRefused, StorageFull, EngineFailed, and the errors of finding the model.
    """
    folder = _found(request.source)
    name = request.name or f"{stem_of(request.source)}-lora"
    check_name(store.catalog, name)
    licence = declared_licence(folder)
    agree = licences.agreement(store.models_dir, accept=request.accept_licence)
    agree(request.source, licence)
    strength = strength_of(folder)
    tensors = SafetensorsFolder(folder)
    with workspace(store.models_dir, watcher) as work_dir:
        origin = Origin(watcher)
        base = sources.find(request.base, store, work_dir, origin.convert, agree, watcher)
        plan(2 * tensors.elements + reference_bytes(base), base.size_bytes, work_dir, watcher)
        made = work_dir / "made" / name
        made.mkdir(parents=True)
        file = made / f"{name}.gguf"
        changes = changes_of(base.header, tensors, strength.rank)
        with writing(made):
            write_adapter_file(file, base.header.architecture, changes, strength)
        shapes = {tensor.name: tensor.shape for tensor in base.header.tensors}
        check_adapter(file, base.header.architecture, shapes)
        before, after = _measured(base, file, request.threads, work_dir, watcher)
        spoken = hold_conversation(base.folder, request.threads, watcher, adapter=file)
        doubts = _doubts(before, after, spoken)
        refuse(doubts, f"The adapter {name} was not installed", force=request.force)
        options: dict[str, str | bool] = {"base": request.base, "as": request.name, "force": request.force}
        about = card.stamped(
            {
                "name": name,
                "kind": "llm",
                "format": FORMAT,
                "command": card.command("lora", request.source, options=options),
                "source": request.source,
                "source_sha256": checksum(files_of(folder), watcher),
                "licence": licence,
                "for_model": base.named,
                "architecture": base.header.architecture,
                "rank": strength.rank,
                "alpha": strength.scale * strength.rank,
                "matrices": len(changes),
                "bytes": file.stat().st_size,
                "perplexity": round(after.perplexity, 3),
                "perplexity_without": round(before.perplexity, 3),
                "kl": round(after.kl, 5),
                "tokens_per_s": spoken.tokens_per_s,
                "memory_mb": spoken.memory_mb,
                "answers": [asdict(answer) for answer in spoken.answers],
                "forced": doubts,
            },
            f"llama-cpp-python {llama_cpp.__version__}",
            versions_used(converted=origin.converted),
        )
        place = install(store, "llm", made, about, watcher)
    return {**about, "path": str(place)}


def write_adapter_file(
    file: Path, architecture: str, changes: Mapping[str, Change], strength: Strength
) -> None:
    """Write the adapter at 16 bits. Raises ModelCorrupt for numbers too large for that, OSError.

    llama.cpp divides alpha by the rank, regardless of how the adapter's scaling was trained.
    """
    halves = {}
    for name, change in changes.items():
        for end, matrix in (("lora_a", change.down), ("lora_b", change.up)):
            with np.errstate(over="ignore"):
                half = matrix.astype(np.float16)
            if not np.isfinite(half).all():
                raise ModelCorrupt(
                    f"The adapter cannot be used: its change of {name!r:.80} is too large for 16 bits.",
                    "Merge it into the model instead: `assistant quantize MODEL --adapter FOLDER`.",
                )
            halves[f"{name}.{end}"] = half
    write_adapter(file, architecture, strength.scale * strength.rank, halves)


def _found(source: str) -> Path:
    folder = Path(source).expanduser()
    if folder.is_file() and folder.suffix == ".gguf":
        raise SettingsError(
            f"{source} is already a GGUF file.",
            "Use it in your settings, llm: {adapter: FILE}, or install it: `assistant models import`.",
        )
    if not (folder / "adapter_config.json").is_file():
        raise ModelMissing(
            f"There is no LoRA adapter in {source}: adapter_config.json is missing.",
            "Specify the folder written by PEFT's `save_pretrained`.",
        )
    if not list(folder.glob("*.safetensors")):
        raise ModelMissing(
            f"The adapter in {source} has no weights in safetensors.",
            "Save it with PEFT's `save_pretrained(FOLDER, safe_serialization=True)`.",
        )
    return folder


def _measured(base: Source, file: Path, threads: int, work_dir: Path, watcher: Watcher) -> tuple[Loss, Loss]:
    """Return the model's loss on plain dialogues without and with the adapter."""
    texts = dialogues.read(dialogues.shipped("validation.txt"))
    with gate.reference(base.folder, texts, threads, work_dir, watcher) as reference:
        meter = Meter("Measuring with the adapter", reference.tokens, watcher, unit="tokens")
        with LlamaCppScorer(base.folder, threads, adapter=file) as scorer:
            return reference.loss, reference.compare(scorer, meter.add)


def _doubts(before: Loss, after: Loss, spoken: Spoken) -> list[str]:
    """Return reasons against the adapter, each a clause with its figure."""
    found = []
    if after.kl < MIN_KL:
        found.append("it does not change the model's answers")
    ratio = math.exp(min(after.nats - before.nats, 700.0))
    if not ratio <= MAX_RATIO:
        found.append(
            f"with it, the perplexity of plain dialogs is {ratio:,.1f} times the "
            f"model's own, but the limit is {MAX_RATIO:g}"
        )
    return found + gate.doubts_about_answers(spoken.answers)

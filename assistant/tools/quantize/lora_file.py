"""A LoRA adapter of PEFT becomes a GGUF file that llama.cpp puts on a quantized model while it runs.

So one model of half a gigabyte serves several adapters of a few megabytes. No torch, and none of
llama.cpp's converter: an adapter is matrices under other names, its rows where GGUF has them.
Before it comes into the store the model speaks with it, and what it changes is measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from assistant.core.errors import ModelCorrupt, ModelMissing, SettingsError
from assistant.engines.llm.llama_cpp.gguf import check_adapter
from assistant.store import Store, licences
from assistant.store.disk import writing
from assistant.store.own import check_name
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize import asking, card, dialogues, gate, gguf_file, lora, making
from assistant.tools.quantize import source as sources
from assistant.tools.quantize.hub_checkpoint import declared_licence
from assistant.tools.quantize.installing import install
from assistant.tools.quantize.judging import refuse
from assistant.tools.quantize.loss import Loss
from assistant.tools.quantize.naming import stem_of
from assistant.tools.quantize.planning import reference_bytes
from assistant.tools.quantize.probe import Probe
from assistant.tools.quantize.provenance import Origin, checksum, files_of, used
from assistant.tools.quantize.safetensors_folder import SafetensorsFolder
from assistant.tools.quantize.source import Source
from assistant.tools.quantize.workshop import plan, workshop

FORMAT = "gguf"

MAX_RATIO = 3.0
"""By what the perplexity of plain dialogues may grow. Another manner of speaking makes it grow, too; one that
was made for other weights of the same shape makes it grow by tens."""

MIN_KL = 1e-5
"""Nats per token. Below it the adapter does nothing: what is kept with 16 bits differs by more."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for."""

    source: str
    """The folder that PEFT wrote."""
    base: str
    """The model that it is to change: a name of the store, a GGUF file, a checkpoint's folder."""
    name: str = ""
    threads: int = 1
    accept_licence: bool = False
    """To the conditions of the adapter's licence and its model's, where they have any."""
    force: bool = False


def make(wish: Wish, store: Store, watcher: Watcher) -> dict[str, Any]:
    """Do all of it; the adapter's card with its ``path``. On any error the store is as it was.

    Raises SettingsError, ModelMissing, LicenceNotAccepted, ModelCorrupt for what does not fit or is not
    understood, ModelRefused, StorageFull, EngineFailed, and what finding the model raises.
    """
    folder = _found(wish.source)
    name = wish.name or f"{stem_of(wish.source)}-lora"
    check_name(store.catalog, name)
    licence = declared_licence(folder)
    agree = licences.agreement(store.models_dir, accept=wish.accept_licence)
    agree(wish.source, licence)
    strength = lora.strength_of(folder)
    tensors = SafetensorsFolder(folder)
    with workshop(store.models_dir, watcher) as shop:
        origin = Origin(watcher)
        base = sources.find(wish.base, store, shop, origin.convert, agree, watcher)
        plan(2 * tensors.elements + reference_bytes(base), base.size_bytes, shop, watcher)
        made = shop / "made" / name
        made.mkdir(parents=True)
        file = made / f"{name}.gguf"
        changes = lora.changes_of(base.header, tensors, strength.rank)
        with writing(made):
            write(file, base.header.architecture, changes, strength)
        shapes = {tensor.name: tensor.shape for tensor in base.header.tensors}
        check_adapter(file, base.header.architecture, shapes)
        before, after = _measured(base, file, wish.threads, shop, watcher)
        spoken = asking.ask(base.folder, wish.threads, watcher, adapter=file)
        doubts = _doubts(before, after, spoken)
        refuse(doubts, f"The adapter {name} was not installed", force=wish.force)
        options: dict[str, str | bool] = {"base": wish.base, "as": wish.name, "force": wish.force}
        about = card.stamped(
            {
                "name": name,
                "kind": "llm",
                "format": FORMAT,
                "command": card.command("lora", wish.source, options=options),
                "source": wish.source,
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
            used(converted=origin.converted),
        )
        place = install(store, "llm", made, about, watcher)
    return {**about, "path": str(place)}


def write(file: Path, architecture: str, changes: Mapping[str, lora.Change], strength: lora.Strength) -> None:
    """Write the adapter with 16 bits. Raises ModelCorrupt for numbers that are too large for them, OSError.

    llama.cpp divides alpha by the rank, whatever way the adapter was trained to be scaled.
    """
    halves = {}
    for name, change in changes.items():
        for end, matrix in (("lora_a", change.down), ("lora_b", change.up)):
            with np.errstate(over="ignore"):
                half = matrix.astype(np.float16)
            if not np.isfinite(half).all():
                raise ModelCorrupt(
                    f"The adapter cannot be used: its change of {name!r:.80} is too large for 16 bits.",
                    "Work it into the model instead: `assistant quantize MODEL --adapter FOLDER`.",
                )
            halves[f"{name}.{end}"] = half
    about: dict[str, str | float] = {
        "general.type": "adapter",
        "general.architecture": architecture,
        "adapter.type": "lora",
        "adapter.lora.alpha": strength.scale * strength.rank,
    }
    gguf_file.write(file, about, halves)


def _found(source: str) -> Path:
    folder = Path(source).expanduser()
    if folder.is_file() and folder.suffix == ".gguf":
        raise SettingsError(
            f"{source} is a GGUF file already.",
            "Name it in your settings, llm: {adapter: FILE}, or take it in: `assistant models import`.",
        )
    if not (folder / "adapter_config.json").is_file():
        raise ModelMissing(
            f"There is no LoRA adapter in {source}: no adapter_config.json.",
            "Name the folder that PEFT's `save_pretrained` wrote.",
        )
    if not list(folder.glob("*.safetensors")):
        raise ModelMissing(
            f"The adapter in {source} has no weights in safetensors.",
            "Save it with PEFT's `save_pretrained(FOLDER, safe_serialization=True)`.",
        )
    return folder


def _measured(base: Source, file: Path, threads: int, shop: Path, watcher: Watcher) -> tuple[Loss, Loss]:
    """How the model predicts plain dialogues without the adapter, and with it."""
    texts = dialogues.read(making.text("validation.txt"))
    with gate.reference(base.folder, texts, threads, shop, watcher) as reference:
        meter = Meter("Measuring with the adapter", reference.tokens, watcher, unit="tokens")
        with Probe(base.folder, threads, adapter=file) as probe:
            return reference.loss, reference.compare(probe, meter.add)


def _doubts(before: Loss, after: Loss, spoken: asking.Spoken) -> list[str]:
    """What speaks against the adapter, each in half a sentence with its figure."""
    found = []
    if after.kl < MIN_KL:
        found.append("it changes nothing that the model says")
    ratio = math.exp(min(after.nats - before.nats, 700.0))
    if not ratio <= MAX_RATIO:
        found.append(
            f"with it the perplexity of plain dialogues is {ratio:,.1f} times the model's own, "
            f"and {MAX_RATIO:g} is the limit"
        )
    return found + gate.doubts_about_answers(spoken.answers)

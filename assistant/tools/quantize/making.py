"""From a source to an installed model: measure, make, measure again, judge, install.

The order matters: nothing enters the store before it has been compared with its source.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import llama_cpp

from assistant.core.errors import SettingsError
from assistant.store import Store, licences
from assistant.store.own import check_name
from assistant.store.progress import Watcher
from assistant.tools.quantize import card, dialogues, gate, lora
from assistant.tools.quantize import source as sources
from assistant.tools.quantize.building import build
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.inputs import Inputs
from assistant.tools.quantize.recipe import ROUND_TO_NEAREST, settled_method
from assistant.tools.quantize.record import Origin, checksum, figures, files_of, plan_making, versions_used
from assistant.tools.quantize.request import Request
from assistant.tools.quantize.source import Source
from assistant.tools.quantize.trial import hold_conversation
from assistant.tools.quantize.workspace import ANOTHER_SOURCE, deliver, install, refuse, workspace


def make(request: Request, store: Store, watcher: Watcher) -> dict[str, Any]:
    """Run the whole process; returns the model's card with its ``path``. On any error, the store is
    unchanged.

    Raises ModelRefused if it lost too much, ModelCorrupt if source or result is broken, and the errors of
    finding the source, disk, and memory.
    """
    _check_destination(request)
    if request.name:
        check_name(store.catalog, request.name)
    validation = held_out(request)
    with workspace(store.models_dir, watcher) as work_dir:
        origin = Origin(watcher)
        source = found(request, store, work_dir, watcher, origin)
        name = request.name or f"{source.stem}-{request.format}"
        check_name(store.catalog, name)
        request = settled(request, source)
        check_text([request])
        if request.act_order is not None and request.method != "gptq":
            raise SettingsError(
                "--act-order applies only to --method gptq.", "Remove it, or add --method gptq."
            )
        kept = matching(source, request.keep_f16)
        plan_making([request.recipe], source, work_dir, watcher, request.output)
        with gate.reference(source.folder, validation, request.threads, work_dir, watcher) as reference:
            doubts = gate.doubts_about_source(reference.loss)
            what = f"The source {source.named} was not used"
            refuse(doubts, what, force=request.force, instead=ANOTHER_SOURCE)
            inputs = inputs_of([request], source, validation, work_dir, watcher)
            made = build(request.recipe, inputs, target(work_dir, name))
            loss = gate.measure(made.file.parent, validation, reference, request.threads, watcher)
        spoken = hold_conversation(made.file.parent, request.threads, watcher)
        doubts += gate.doubts(reference.loss, loss, request.number_format.kl_limit, spoken.answers)
        refuse(doubts, f"The model {name} was not installed", force=request.force)
        facts = {
            "name": name,
            "kind": "llm",
            "format": request.format,
            "command": request.command,
            "source": source.named,
            "revision": source.revision,
            "source_sha256": checksum(origin.files, watcher),
            "calibration_sha256": checksum([inputs.calibration], watcher) if inputs.calibrated else "",
            "adapter_sha256": checksum(files_of(request.adapter), watcher) if request.adapter else "",
            "licence": source.licence,
            "source_bytes": source.size_bytes,
            "bytes": made.size_bytes,
            "source_perplexity": round(reference.loss.perplexity, 3),
            **figures(loss),
            "imatrix": bool(request.imatrix),
            "method": request.method,
            "kept_f16": list(kept),
            "types": made.types,
            "fell_back": len(made.fell_back),
            "fell_back_types": made.fell_back,
            **asdict(spoken),
            "forced": doubts,
        }
        used = versions_used(converted=origin.converted, recipe=request.recipe)
        about = card.stamped(facts, f"llama-cpp-python {llama_cpp.__version__}", used)
        if place := request.output:
            deliver(place, made.file.parent, about, watcher)
        else:
            place = install(store, "llm", made.file.parent, about, watcher)
    return {**about, "path": str(place)}


def found(
    request: Request, store: Store, work_dir: Path, watcher: Watcher, origin: Origin | None = None
) -> Source:
    """Return the requested source with its adapter merged; ``origin`` records its files.

    Raises the errors of ``sources.find`` and ``lora.merged``.
    """
    origin = origin or Origin(watcher)
    agree = licences.agreement(store.models_dir, accept=request.accept_licence)
    source = sources.find(request.source, store, work_dir, origin.convert, agree, watcher)
    if not origin.converted:
        origin.files = sorted(source.folder.glob("*.gguf"))
    if not request.adapter:
        return source
    return lora.merged(source, request.adapter, work_dir / "merged", request.threads, watcher)


def _check_destination(request: Request) -> None:
    for_elsewhere = request.number_format.runtime == "transformers"
    if for_elsewhere and request.output is None:
        raise SettingsError(
            f"No engine here runs {request.format}, so it can't be installed in the store.",
            "Specify a folder for the checkpoint with --output FOLDER.",
        )
    if request.output and not for_elsewhere:
        raise SettingsError(
            "--output applies only to the hf-... formats.", "Use --as to name a model in the store."
        )
    if request.output and request.output.exists():
        raise SettingsError(f"{request.output} already exists.", "Specify a new folder.")


def held_out(request: Request) -> Texts:
    """Return the texts for measuring the loss. Raises SettingsError if they cannot be read."""
    return dialogues.read(request.validation or dialogues.shipped("validation.txt"))


def inputs_of(
    requests: Sequence[Request], source: Source, spoken: Texts, work_dir: Path, watcher: Watcher
) -> Inputs:
    """Return the inputs for all requests. ``spoken`` is what the assistant says."""
    request = requests[0]
    in_detail = any(each.method in ("gptq", "awq") for each in requests)
    return Inputs(
        source,
        request.calibration or dialogues.shipped("calibration.txt"),
        spoken,
        request.threads,
        work_dir,
        watcher,
        in_detail=in_detail,
    )


def settled(request: Request, source: Source) -> Request:
    """Return the request with every open choice decided."""
    method, imatrix = settled_method(request.method, request.imatrix, request.number_format, source.weights)
    if request.through:
        method, imatrix = ROUND_TO_NEAREST, False  # The checkpoint's own format decides how it is made.
    return replace(request, method=method, imatrix=imatrix)


def check_text(requests: Sequence[Request]) -> None:
    """Raises SettingsError if none of these settled requests would read the calibration text."""
    unread = [request for request in requests if not request.imatrix and request.method == ROUND_TO_NEAREST]
    if requests[0].calibration and len(unread) == len(requests):
        raise SettingsError(
            "--calibration applies only to an importance matrix and to --method.", "Add --imatrix."
        )


def matching(source: Source, pattern: str) -> tuple[str, ...]:
    """Return the matrices whose names match ``pattern``. Raises SettingsError for no match or an invalid
    pattern.
    """
    if not pattern:
        return ()
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise SettingsError(
            f"'{pattern}' is not a regular expression: {error}.", "For example: 'blk\\.[0-2]\\.'."
        ) from error
    names = [tensor.name for tensor in source.header.tensors if len(tensor.shape) > 1]
    kept = tuple(name for name in names if found.search(name))
    if not kept:
        raise SettingsError(
            f"No tensor name matches '{pattern}'.", f"Tensor names look like {', '.join(names[:3])}."
        )
    return kept


def target(work_dir: Path, name: str) -> Path:
    """Return the path of the new file, alone in a folder."""
    folder = work_dir / "made" / name
    folder.mkdir(parents=True)
    return folder / f"{name}.gguf"

"""From a source to an installed model: measure, make, measure again, judge, install.

The order is the point: nothing enters the store before it was compared with what it was made from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from assistant.core.errors import SettingsError
from assistant.runtime import paths
from assistant.store import Store, licences
from assistant.store.own import check_name
from assistant.store.progress import Watcher
from assistant.tools.quantize import asking, dialogues, gate, installing, judging, lora, methods, planning
from assistant.tools.quantize import source as sources
from assistant.tools.quantize.building import build
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.groundwork import Groundwork
from assistant.tools.quantize.judging import refuse
from assistant.tools.quantize.outcome import Result
from assistant.tools.quantize.provenance import Origin, checksum, files_of, used
from assistant.tools.quantize.source import Source
from assistant.tools.quantize.wish import Wish
from assistant.tools.quantize.workshop import workshop


def make(wish: Wish, store: Store, watcher: Watcher) -> Result:
    """Do all of it; on any error the store is as it was.

    Raises ModelRefused when it lost too much, ModelCorrupt when source or result are broken, and
    what finding the source, the disk and the memory may raise.
    """
    _check_destination(wish)
    if wish.name:
        check_name(store.catalog, wish.name)
    validation = held_out(wish)
    with workshop(store.models_dir, watcher) as shop:
        origin = Origin(watcher)
        source = found(wish, store, shop, watcher, origin)
        name = wish.name or f"{source.stem}-{wish.format.name}"
        check_name(store.catalog, name)
        wish = settled(wish, source)
        check_text([wish])
        if wish.act_order is not None and wish.method != "gptq":
            raise SettingsError(
                "--act-order is for --method gptq only.", "Leave it out, or add --method gptq."
            )
        kept = matching(source, wish.keep_f16)
        planning.plan([wish.recipe], source, shop, watcher, wish.output)
        with gate.reference(source.folder, validation, wish.threads, shop, watcher) as reference:
            doubts = gate.doubts_about_source(reference.loss)
            what = f"The source {source.named} was not used"
            refuse(doubts, what, force=wish.force, instead=judging.ANOTHER)
            ground = groundwork([wish], source, validation, shop, watcher)
            made = build(wish.recipe, ground, target(shop, name))
            loss = gate.measure(made.file.parent, validation, reference, wish.threads, watcher)
        spoken = asking.ask(made.file.parent, wish.threads, watcher)
        doubts += gate.doubts(reference.loss, loss, wish.format.kl_limit, spoken.answers)
        refuse(doubts, f"The model {name} was not installed", force=wish.force)
        result = Result(
            name=name,
            path=wish.output or store.models_dir / name,
            format=wish.format.name,
            command=wish.command,
            source=source.named,
            revision=source.revision,
            source_sha256=checksum(origin.files, watcher),
            calibration_sha256=checksum([ground.calibration], watcher) if ground.calibrated else "",
            adapter_sha256=checksum(files_of(wish.adapter), watcher) if wish.adapter else "",
            licence=source.licence,
            source_bytes=source.size_bytes,
            size_bytes=made.size_bytes,
            source_loss=reference.loss,
            loss=loss,
            imatrix=bool(wish.imatrix),
            method=wish.method,
            kept_f16=kept,
            made=made,
            spoken=spoken,
            used=used(converted=origin.converted, recipe=wish.recipe),
            doubts=tuple(doubts),
        )
        if wish.output:
            installing.deliver(wish.output, made.file.parent, result.document(), watcher)
        else:
            installing.install(store, "llm", made.file.parent, result.document(), watcher)
    return result


def found(wish: Wish, store: Store, shop: Path, watcher: Watcher, origin: Origin | None = None) -> Source:
    """What the wish is for, its adapter in it; ``origin`` is told what that is made of.

    Raises what ``sources.find`` and ``lora.merged`` raise.
    """
    origin = origin or Origin(watcher)
    agree = licences.agreement(store.models_dir, accept=wish.accept_licence)
    source = sources.find(wish.source, store, shop, origin.convert, agree, watcher)
    if not origin.converted:
        origin.files = sorted(source.folder.glob("*.gguf"))
    if not wish.adapter:
        return source
    return lora.merged(source, wish.adapter, shop / "merged", wish.threads, watcher)


def _check_destination(wish: Wish) -> None:
    for_elsewhere = wish.format.runtime == "transformers"
    if for_elsewhere and wish.output is None:
        raise SettingsError(
            f"Nothing here runs {wish.format.name}, so it does not belong into the store.",
            "Say with --output FOLDER where the checkpoint is to be written.",
        )
    if wish.output and not for_elsewhere:
        raise SettingsError(
            "--output is for the formats hf-... only.", "Use --as to name a model of the store."
        )
    if wish.output and wish.output.exists():
        raise SettingsError(f"{wish.output} is there already.", "Name a folder that is not.")


def held_out(wish: Wish) -> Texts:
    """What the loss is measured on. Raises SettingsError when it cannot be read."""
    return dialogues.read(wish.validation or text("validation.txt"))


def text(name: str) -> Path:
    """A text that ships with the program."""
    return paths.shipped_folder("models") / "calibration" / name


def groundwork(
    wishes: Sequence[Wish], source: Source, spoken: Texts, shop: Path, watcher: Watcher
) -> Groundwork:
    """What may have to be found out first, for all of them. ``spoken`` is what the assistant says."""
    wish = wishes[0]
    in_detail = any(each.method in ("gptq", "awq") for each in wishes)
    return Groundwork(
        source,
        wish.calibration or text("calibration.txt"),
        spoken,
        wish.threads,
        shop,
        watcher,
        in_detail=in_detail,
    )


def settled(wish: Wish, source: Source) -> Wish:
    """The wish with what was left open decided."""
    method, imatrix = methods.settled(wish.method, wish.imatrix, wish.format, source.weights)
    if wish.through:
        method, imatrix = methods.PLAIN, False  # what the checkpoint is made with is its format's own
    return replace(wish, method=method, imatrix=imatrix)


def check_text(wishes: Sequence[Wish]) -> None:
    """Raises SettingsError for a calibration text that none of these settled wishes would read."""
    unread = [wish for wish in wishes if not wish.imatrix and wish.method == methods.PLAIN]
    if wishes[0].calibration and len(unread) == len(wishes):
        raise SettingsError(
            "--calibration is for an importance matrix and for --method only.", "Add --imatrix."
        )


def matching(source: Source, pattern: str) -> tuple[str, ...]:
    """The matrices whose names ``pattern`` finds. Raises SettingsError when it is none, or not a pattern."""
    if not pattern:
        return ()
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise SettingsError(
            f"'{pattern}' is not a regular expression: {error}.", "Write it like 'blk\\.[0-2]\\.'."
        ) from error
    names = [tensor.name for tensor in source.header.tensors if len(tensor.shape) > 1]
    kept = tuple(name for name in names if found.search(name))
    if not kept:
        raise SettingsError(
            f"No tensor has a name that '{pattern}' finds.", f"Their names are like {', '.join(names[:3])}."
        )
    return kept


def target(shop: Path, name: str) -> Path:
    """Where the new file is made: alone in a folder."""
    folder = shop / "made" / name
    folder.mkdir(parents=True)
    return folder / f"{name}.gguf"

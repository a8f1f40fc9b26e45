"""From a source to an installed model: measure, make, measure again, judge, install.

The order is the point: nothing enters the store before it was compared with what it was made from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assistant import resources
from assistant.errors import SettingsError
from assistant.prepare import asking, card, dialogues, formats, gate, installing, lora, methods, planning
from assistant.prepare import source as sources
from assistant.prepare.block_numbers import BLOCK
from assistant.prepare.building import Recipe, build
from assistant.prepare.dialogues import Texts
from assistant.prepare.formats import Format
from assistant.prepare.groundwork import Groundwork
from assistant.prepare.judging import refuse
from assistant.prepare.outcome import Result
from assistant.prepare.provenance import Origin, checksum, files_of, used
from assistant.prepare.source import Source
from assistant.prepare.workshop import workshop
from assistant.store import Store, licences
from assistant.store.own import check_name
from assistant.store.progress import Watcher


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for."""

    source: str
    format: Format
    name: str = ""
    """In the store; empty makes one of the source's name and the format's."""
    imatrix: bool | None = None
    """None leaves it to ``methods.settled``."""
    method: str = ""
    """A name of ``methods``; empty leaves it to ``methods.settled``."""
    act_order: bool | None = None
    """GPTQ: the columns first that matter most, which is the default."""
    group_size: int = BLOCK
    """Weights with one scale, for formats that leave it open."""
    calibration: Path | None = None
    """Text that shows which weights matter; None is the one that ships."""
    adapter: Path | None = None
    """A folder with a LoRA adapter, which becomes part of the model first."""
    keep_f16: str = ""
    output_type: int | None = None
    embedding_type: int | None = None
    threads: int = 1
    output: Path | None = None
    """For formats that nothing here runs: the folder that is made, instead of a model in the store."""
    accept_licence: bool = False
    """To the conditions of the source's licence, where it has any."""
    force: bool = False
    """Install what is measurably worse than it should be. What is broken is refused all the same."""

    @property
    def command(self) -> str:
        """What makes it again."""
        options: dict[str, str | bool] = {
            "to": self.format.name,
            "method": self.method,
            "imatrix" if self.imatrix else "no-imatrix": True,
            "no-act-order": self.act_order is False,
            "group-size": str(self.group_size) if self.group_size != BLOCK else "",
            "calibration": str(self.calibration or ""),
            "adapter": str(self.adapter or ""),
            "keep-f16": self.keep_f16,
            "output-type": formats.tensor_name(self.output_type),
            "embedding-type": formats.tensor_name(self.embedding_type),
            "as": self.name,
            "output": str(self.output or ""),
            "force": self.force,
        }
        return card.command(self.source, options=options)

    @property
    def recipe(self) -> Recipe:
        """How the file is made."""
        return Recipe(
            self.format,
            self.method,
            bool(self.imatrix),
            self.act_order is not False,
            self.group_size,
            self.keep_f16,
            self.output_type,
            self.embedding_type,
        )


def make(wish: Wish, store: Store, watcher: Watcher) -> Result:
    """Do all of it; on any error the store is as it was.

    Raises ModelRefused when it lost too much, ModelCorrupt when source or result are broken, and
    what finding the source, the disk and the memory may raise.
    """
    _check_destination(wish)
    if wish.name:
        check_name(store.catalog, wish.name)
    validation = dialogues.read(text("validation.txt"))
    with workshop(store.models_dir, watcher) as shop:
        origin = Origin(watcher)
        source = found(wish, store, shop, watcher, origin)
        name = wish.name or f"{source.stem}-{wish.format.name}"
        check_name(store.catalog, name)
        wish = settled(wish, source)
        if wish.act_order is not None and wish.method != "gptq":
            raise SettingsError(
                "--act-order is for --method gptq only.", "Leave it out, or add --method gptq."
            )
        kept = matching(source, wish.keep_f16)
        planning.plan([wish.recipe], source, shop, watcher, wish.output)
        with gate.reference(source.folder, validation, wish.threads, shop, watcher) as reference:
            doubts = gate.doubts_about_source(reference.loss)
            refuse(doubts, f"The source {source.named} was not used", force=wish.force)
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


def text(name: str) -> Path:
    """A text that ships with the program."""
    return resources.folder("models") / "calibration" / name


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
    """The wish with what was left open decided. Raises SettingsError for a text that nobody would read."""
    method, imatrix = methods.settled(wish.method, wish.imatrix, wish.format, planning.weights_of(source))
    if wish.calibration and not imatrix and method == methods.PLAIN:
        raise SettingsError(
            "--calibration is for an importance matrix and for --method only.", "Add --imatrix."
        )
    return replace(wish, method=method, imatrix=imatrix)


def matching(source: Source, pattern: str) -> int:
    """How many matrices ``pattern`` finds. Raises SettingsError when it is none, or not a pattern."""
    if not pattern:
        return 0
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise SettingsError(
            f"'{pattern}' is not a regular expression: {error}.", "Write it like 'blk\\.[0-2]\\.'."
        ) from error
    names = [tensor.name for tensor in source.header.tensors if len(tensor.shape) > 1]
    kept = sum(bool(found.search(name)) for name in names)
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

"""From a source to an installed model: measure, make, measure again, judge, install.

The order is the point: nothing enters the store before it was compared with what it was made from.
"""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from assistant import resources
from assistant.errors import ModelRefused, SettingsError
from assistant.prepare import card, dialogues, formats, gate, lora, methods
from assistant.prepare import source as sources
from assistant.prepare.building import Recipe, build
from assistant.prepare.checkpoint import convert
from assistant.prepare.dialogues import Texts
from assistant.prepare.formats import Format
from assistant.prepare.groundwork import Groundwork
from assistant.prepare.outcome import Result
from assistant.prepare.source import Source
from assistant.prepare.workshop import require_memory, workshop
from assistant.store import Store
from assistant.store.catalog import ModelFile
from assistant.store.disk import writing
from assistant.store.folder import sha256_of
from assistant.store.incoming import Incoming
from assistant.store.own import check_name
from assistant.store.progress import Meter, Watcher


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for."""

    source: str
    format: Format
    name: str = ""
    """In the store; empty makes one of the source's name and the format's."""
    imatrix: bool = True
    method: str = "rtn"
    """A name of ``methods``."""
    act_order: bool = True
    """GPTQ: the columns first that matter most."""
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
    force: bool = False
    """Install what is measurably worse than it should be. What is broken is refused all the same."""

    @property
    def command(self) -> str:
        """What makes it again."""
        options: dict[str, str | bool] = {
            "to": self.format.name,
            "method": self.method,
            "imatrix" if self.imatrix else "no-imatrix": True,
            "no-act-order": not self.act_order,
            "calibration": str(self.calibration or ""),
            "adapter": str(self.adapter or ""),
            "keep-f16": self.keep_f16,
            "output-type": formats.tensor_name(self.output_type),
            "embedding-type": formats.tensor_name(self.embedding_type),
            "as": self.name,
            "output": str(self.output or ""),
            "force": self.force,
        }
        return card.command(self.source, options)

    @property
    def recipe(self) -> Recipe:
        """How the file is made."""
        return Recipe(
            self.format,
            self.method,
            self.imatrix,
            self.act_order,
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
        source = sources.find(wish.source, store, shop, lambda folder, to: convert(folder, to, watcher))
        if wish.adapter:
            source = lora.merged(source, wish.adapter, shop / "merged", wish.threads, watcher)
        name = wish.name or f"{source.stem}-{wish.format.name}"
        check_name(store.catalog, name)
        kept = matching(source, wish.keep_f16)
        require_memory(source.size_bytes + methods.memory_bytes(wish.method, weights_of(source)))
        with gate.reference(source.folder, validation, wish.threads, shop, watcher) as reference:
            doubts = gate.doubts_about_source(reference.loss)
            refuse(doubts, wish, f"{source.named} was not used")
            made = build(wish.recipe, groundwork(wish, source, validation, shop, watcher), target(shop, name))
            loss = gate.measure(made.file.parent, validation, reference, wish.threads, watcher)
        spoken = gate.NOT_ASKED
        if not wish.output:
            spoken = gate.ask(made.file.parent, wish.threads, watcher)
        doubts += gate.doubts(reference.loss, loss, wish.format.kl_limit, spoken.answers)
        refuse(doubts, wish, f"{name} was not installed")
        result = Result(
            name=name,
            path=wish.output or store.models_dir / name,
            format=wish.format.name,
            command=wish.command,
            source=source.named,
            source_sha256=sha256_of(source.file, Meter("Checking the source", source.size_bytes, watcher)),
            licence=source.licence,
            source_bytes=source.size_bytes,
            size_bytes=made.size_bytes,
            source_loss=reference.loss,
            loss=loss,
            imatrix=wish.imatrix,
            method=wish.method,
            kept_f16=kept,
            made=made,
            spoken=spoken,
            doubts=tuple(doubts),
        )
        if wish.output:
            _deliver(result, wish.output, watcher)
        else:
            _install(result, store, watcher)
    return result


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


def groundwork(wish: Wish, source: Source, spoken: Texts, shop: Path, watcher: Watcher) -> Groundwork:
    """What may have to be found out first. ``spoken`` is what the assistant says."""
    return Groundwork(
        source, wish.calibration or text("calibration.txt"), spoken, wish.threads, shop, watcher
    )


def weights_of(source: Source) -> int:
    """How many there are."""
    return sum(math.prod(tensor.shape) for tensor in source.header.tensors)


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


def refuse(doubts: list[str], wish: Wish, what: str) -> None:
    """Raises ModelRefused when there are doubts that nobody overruled."""
    if doubts and not wish.force:
        raise ModelRefused(
            f"{what[0].upper()}{what[1:]}: {'; '.join(doubts)}.",
            "Try another format (q8_0 loses least), or another source; --force installs it all the same.",
        )


def _deliver(result: Result, folder: Path, watcher: Watcher) -> None:
    """Move the files and their card to where the person wants them."""
    made = result.made.file.parent
    with writing(folder.parent):
        card.write(made, {**result.document(), "files": _checksums(made, watcher)})
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, folder)


def _checksums(folder: Path, watcher: Watcher) -> dict[str, str]:
    paths = sorted(folder.iterdir())
    meter = Meter("Checking the files", sum(path.stat().st_size for path in paths), watcher)
    return {path.name: sha256_of(path, meter) for path in paths}


def _install(result: Result, store: Store, watcher: Watcher) -> None:
    """Move the files and their card into the store, whole."""
    incoming = Incoming(store.models_dir, result.name)
    incoming.clear()
    incoming.prepare()
    with writing(store.models_dir):
        for file in sorted(result.made.file.parent.iterdir()):
            file.rename(incoming.files / file.name)
        checksums = _checksums(incoming.files, watcher)
        card.write(incoming.files, {**result.document(), "files": checksums})
        files = {}
        for path in sorted(incoming.files.iterdir()):
            checksum = checksums.get(path.name) or sha256_of(path, Meter(path.name, 0, watcher))
            files[path.name] = ModelFile(bytes=path.stat().st_size, sha256=checksum)
            path.chmod(0o644)
    origin = f"{result.source} by assistant quantize" + (" --force" if result.doubts else "")
    incoming.settle("llm", origin, files, result.licence)

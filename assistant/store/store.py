"""The store: which models are on this disk, and whether they are intact.

Engines use ``opened``, which never touches the network. Only ``pull`` does.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, TypeVar

from assistant.core.errors import ModelCorrupt, ModelLocked, ModelMissing, ModelUnknown, SettingsError
from assistant.runtime import paths
from assistant.store import keys, listing
from assistant.store.catalog import MODEL_NAME, Calibration, Catalog, Kind, ModelFile, read_catalog, unknown
from assistant.store.disk import writing
from assistant.store.folder import (
    Record,
    amend_record,
    hash_faults,
    read_record,
    size_faults,
    unrecorded,
    write_record,
)
from assistant.store.formats.gguf import GgufHeader, read_header_from
from assistant.store.incoming import Arrival, Incoming, locked, restore
from assistant.store.progress import Meter, Unwatched, Watcher

log = logging.getLogger(__name__)

T = TypeVar("T")

TRUSTED_PARAMETERS = 1_000_000_000
"""Smaller models remember so little that no calibration makes them honest (docs/answers.md)."""


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of models and the catalog that describes them."""

    models_dir: Path
    catalog: Catalog
    key_file: Path | None = None
    """Key for encrypted models; None means systemd's credential, if there is one."""

    @contextlib.contextmanager
    def opened(self, name: str, kind: Kind) -> Iterator[Path]:
        """A context manager that yields the folder of a model to load, checked as in ``place``.

        An encrypted model is decrypted into memory. Raises the errors of ``place``, and ModelLocked,
        EngineUnavailable, EngineFailed.
        """
        folder = self.place(name, kind)
        sealed = self.sealed(name)
        if not sealed:
            yield folder
            return
        from assistant.store.opening import in_memory  # noqa: PLC0415  few models are encrypted

        with in_memory(folder, list(sealed), keys.find(self.key_file)) as unlocked:
            yield unlocked

    def path(self, name: str, kind: Kind) -> Path:
        """Like ``place``, for a model that is not encrypted. Raises ModelLocked if it is."""
        folder = self.place(name, kind)
        if self.sealed(name):
            raise ModelLocked(
                f"{name} is encrypted, so only the assistant itself can use it.",
                f"Decrypt it first: `assistant models decrypt {name}`.",
            )
        return folder

    def sealed(self, name: str) -> Mapping[str, ModelFile]:
        """Return the files of an encrypted model after decryption; empty for other models."""
        record = read_record(self.models_dir / name)
        return record.sealed if record else {}

    def calibration(self, name: str, parameters: int) -> Calibration | None:
        """How far to trust a language model's memory: as measured here, in the catalogue, or by its size.

        None for a small one that nobody measured.
        """
        record = read_record(self.models_dir / name)
        if record and record.calibration:
            return record.calibration
        if name not in self.catalog.models and parameters >= TRUSTED_PARAMETERS:
            name = self.catalog.unmeasured or name
        known = self.catalog.models.get(name)
        return known.calibration if known else None

    def try_key(self, name: str) -> None:
        """Raise ModelLocked if the model is encrypted and cannot be opened here, or ModelCorrupt."""
        if sealed := self.sealed(name):
            from assistant.store.opening import try_key  # noqa: PLC0415  as in opened

            try_key(self.models_dir / name, list(sealed), keys.find(self.key_file))

    def header(self, name: str) -> GgufHeader:
        """Read the header of a language model, encrypted or not. Raises the errors of ``opened``."""
        return self.head(name, "llm", ".gguf", read_header_from)

    def head(self, name: str, kind: Kind, ending: str, read: Callable[[BinaryIO, int, str], T]) -> T:
        """Call ``read`` with the model's file that has that extension, its length and its name, encrypted or
        not.

        Returns the result. Raises the errors of ``opened`` and ``read``.
        """
        from assistant.store.opening import head_of  # noqa: PLC0415  as in opened

        folder = self.place(name, kind)
        return head_of(folder, ending, keys.find(self.key_file) if self.sealed(name) else None, read)

    def place(self, name: str, kind: Kind) -> Path:
        """Return a model's folder, encrypted or not, checked by size and time against its record.

        Files that were modified since, or copied in by hand, are hashed once. Raises ModelUnknown,
        ModelMissing, ModelCorrupt.
        """
        restore(self.models_dir, name)
        found, files = self._described(name)
        if found != kind:
            others = ", ".join(entry.name for entry in self.entries() if entry.kind == kind)
            raise ModelUnknown(
                f"'{name}' is a model of kind {found}, not {kind}.", f"Models of kind {kind}: {others}."
            )
        self._check(name, files, everything=False, watcher=Unwatched())
        return self.models_dir / name

    def verify(self, name: str, watcher: Watcher | None = None) -> None:
        """Read and hash every file. Raises ModelUnknown, ModelMissing, ModelCorrupt."""
        self._check(name, self._described(name)[1], everything=True, watcher=watcher or Unwatched())

    def entries(self) -> tuple[listing.Entry, ...]:
        """Every catalog model, then the user's own, judged only by sizes and times."""
        return listing.entries(self.models_dir, self.catalog)

    def pull(
        self, names: Sequence[str], watcher: Watcher | None = None, *, accept: bool = False
    ) -> tuple[Arrival, ...]:
        """Fetch the models (or sets) that are missing or damaged; the only use of the network.

        ``accept`` accepts their licenses. Raises ModelUnknown, LicenceNotAccepted, StorageFull,
        DownloadFailed.
        """
        from assistant.store.pull import pull  # noqa: PLC0415  starting up needs no TLS and no HTTP

        return pull(self.models_dir, self.catalog, names, watcher or Unwatched(), accept=accept)

    def import_from(
        self,
        path: Path,
        name: str | None = None,
        kind: Kind | None = None,
        watcher: Watcher | None = None,
        *,
        accept: bool = False,
    ) -> tuple[Arrival, ...]:
        """Import the catalog models found in ``path`` or, with ``name`` and ``kind``, a model of the user's
        own.

        ``accept`` accepts their licenses. Raises the errors of ``importing.import_known`` and
        ``own.import_own``.
        """
        from assistant.store.importing import import_known  # noqa: PLC0415  as in pull
        from assistant.store.own import import_own  # noqa: PLC0415

        watcher = watcher or Unwatched()
        if name is None and kind is None:
            return import_known(self.models_dir, self.catalog, path, watcher, accept=accept)
        if name is None or kind is None:
            raise SettingsError(
                "A model of your own needs both a name and a kind.", "Set both --as and --kind."
            )
        place, catalog = self.models_dir, self.catalog
        return (import_own(place, catalog, path, name=name, kind=kind, watcher=watcher, accept=accept),)

    def remove(self, name: str, watcher: Watcher | None = None) -> int:
        """Delete a model and any unfinished download of it; returns the bytes freed.

        Raises ModelUnknown, ModelMissing.
        """
        self._described(name)
        place = self.models_dir / name
        incoming = Incoming(self.models_dir, name)
        with locked(self.models_dir, watcher or Unwatched()), writing(self.models_dir):
            freed = sum(_size(path) for path in (place, incoming.base))
            if not place.exists() and not incoming.base.exists():
                raise ModelMissing(f"{name} is not installed.", "There is nothing to remove.")
            incoming.prepare()
            if place.exists():
                place.rename(
                    incoming.base / "gone"
                )  # in one step, so a partly deleted model is never visible
            incoming.clear()
        log.info("removed model=%s", name)
        return freed

    def _described(self, name: str) -> tuple[Kind, Mapping[str, ModelFile]]:
        """Return kind and files of a model, from the catalog or from its record."""
        if name in self.catalog.models:
            if sealed := self._sealed_record(name):
                return sealed.kind, sealed.expected
            model = self.catalog.models[name]
            return model.kind, model.files
        if re.fullmatch(MODEL_NAME, name) and (record := read_record(self.models_dir / name)):
            return record.kind, record.expected
        raise unknown(name, [entry.name for entry in self.entries()])

    def _sealed_record(self, name: str) -> Record | None:
        record = read_record(self.models_dir / name)
        return record if record and record.sealed else None

    def _check(
        self, name: str, files: Mapping[str, ModelFile], *, everything: bool, watcher: Watcher
    ) -> None:
        folder = self.models_dir / name
        own = name not in self.catalog.models
        again = "import it again" if own else f"run `assistant models pull {name}`"
        if not folder.is_dir():
            raise ModelMissing(f"The model {name} is not installed.", f"To get it, {again}.")
        try:
            faults = size_faults(folder, files)
            names = [] if faults else list(files)
            if not everything and names:
                names = unrecorded(folder, files, read_record(folder))
            if names:
                meter = Meter(f"Checking {name}", sum(files[file].bytes for file in names), watcher)
                faults = hash_faults(folder, names, files, meter)
        except OSError as error:
            faults = [f"it cannot be read ({error.strerror or error})"]
            names = []
        if faults:
            raise ModelCorrupt(
                f"The model {name} is damaged: {'; '.join(faults)}.", f"To repair it, {again}."
            )
        if names:
            self._record(name, files)

    def _record(self, name: str, files: Mapping[str, ModelFile]) -> None:
        """Record that the files are right, if the folder is writable."""
        folder = self.models_dir / name
        record = read_record(folder)
        with contextlib.suppress(OSError):
            origin, licence = (record.origin, record.licence) if record else ("found here", "")
            sealed = record.sealed if record else {}
            write_record(folder, self._described(name)[0], origin, files, licence=licence, sealed=sealed)
            if record and record.calibration:
                amend_record(folder, calibration=record.calibration)


def open_store(models_dir: Path, catalog: Path | None = None, key_file: Path | None = None) -> Store:
    """Open the store in ``models_dir``, which need not exist yet, with the shipped catalog or another.

    ``key_file`` opens encrypted models.

    Raises SettingsError if the catalog is not valid.
    """
    if catalog is None:
        catalog = paths.shipped_folder("models") / "catalog.yaml"
    saved_ns = catalog.stat().st_mtime_ns if catalog.is_file() else 0
    return Store(models_dir.expanduser().absolute(), _catalog(catalog, saved_ns), key_file)


@cache
def _catalog(file: Path, _saved_ns: int) -> Catalog:
    """Cached while the file is unchanged: the check takes 40 ms, and every engine needs the catalog."""
    return read_catalog(file)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

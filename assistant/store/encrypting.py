"""Encrypts a model where it lies, and decrypts it again.

The new files are made beside the old ones, read back from the disk and compared, and take their place by
renames; until then nothing of the old is touched. What is deleted in the end may still be found on
flash storage by somebody who takes it apart: only what never was there in the clear is safe from that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.core.errors import AssistantError, ModelCorrupt, SettingsError
from assistant.store import sealed
from assistant.store.catalog import ModelFile
from assistant.store.disk import new_file, require, sync, writing
from assistant.store.folder import Record, hash_faults, read_record, sha256_of
from assistant.store.incoming import Incoming, locked
from assistant.store.progress import Meter, Unwatched, Watcher
from assistant.store.sealed import CHUNK_BYTES, SUFFIX, TAG_BYTES, Opened
from assistant.store.store import Store

HEAD_BYTES = 1200
"""More than any head has."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A model that was encrypted or decrypted."""

    name: str
    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be done to a model."""

    what: str
    needed_bytes: int
    plain_bytes: int
    make: Callable[[Path, Path, Meter], dict[str, ModelFile]]
    """From the model's folder into another; the new files."""
    sealed: Mapping[str, ModelFile] | None
    """What the new files become when they are decrypted."""


def encrypt(store: Store, name: str, key: bytes, watcher: Watcher) -> Changed:
    """Put encrypted files in the place of the model's own.

    Raises ModelUnknown, ModelMissing, ModelCorrupt (before or after: the old files then stay), SettingsError
    when it is encrypted already, StorageFull, EngineUnavailable without the package.
    """
    store.verify(name, watcher)
    if store.sealed(name):
        raise SettingsError(f"{name} is encrypted already.", "There is nothing to do.")
    plain = _record(store, name).expected

    def make(folder: Path, to: Path, meter: Meter) -> dict[str, ModelFile]:
        return {file + SUFFIX: _seal(folder / file, to, wanted, key, meter) for file, wanted in plain.items()}

    plain_bytes = sum(file.bytes for file in plain.values())
    needed_bytes = sum(HEAD_BYTES + TAG_BYTES * (1 + file.bytes // CHUNK_BYTES) for file in plain.values())
    change = _Change("Encrypting", plain_bytes + needed_bytes, plain_bytes, make, plain)
    return _changed(store, name, change, watcher)


def decrypt(store: Store, name: str, key: bytes, watcher: Watcher) -> Changed:
    """Put the model's own files in the place of the encrypted ones.

    Raises what ``encrypt`` raises, and ModelLocked for another key.
    """
    store.verify(name, watcher)
    plain = store.sealed(name)
    if not plain:
        raise SettingsError(f"{name} is not encrypted.", "There is nothing to do.")

    def make(folder: Path, to: Path, meter: Meter) -> dict[str, ModelFile]:
        for file in plain:
            with Opened(folder / (file + SUFFIX), key) as opened, new_file(to / file) as target:
                for piece in opened.chunks():
                    target.write(piece)
                    meter.add(len(piece))
            sync(to / file)
        return dict(plain)

    plain_bytes = sum(file.bytes for file in plain.values())
    return _changed(store, name, _Change("Decrypting", plain_bytes, plain_bytes, make, None), watcher)


def _changed(store: Store, name: str, change: _Change, watcher: Watcher) -> Changed:
    """Make the new files, check them as they lie on the disk, and let them take the place of the old."""
    incoming = Incoming(store.models_dir, name)
    with locked(store.models_dir, watcher), writing(store.models_dir):
        record = _record(store, name)
        incoming.clear()
        require(change.needed_bytes, store.models_dir)
        incoming.prepare()
        try:
            meter = Meter(f"{change.what} {name}", change.plain_bytes, watcher)
            files = change.make(store.models_dir / name, incoming.files, meter)
            size_bytes = sum(file.bytes for file in files.values())
            meter = Meter(f"Checking {name}", size_bytes, watcher)
            if faults := hash_faults(incoming.files, files, files, meter):
                raise ModelCorrupt(
                    f"What was written of {name} is not what it should be: {'; '.join(faults)}.",
                    "Check the disk; nothing was changed.",
                )
            place = incoming.settle(record.kind, record.origin, files, record.licence, change.sealed)
        finally:
            incoming.clear()
    return Changed(name, place, size_bytes)


def _seal(plain: Path, folder: Path, wanted: ModelFile, key: bytes, meter: Meter) -> ModelFile:
    """Encrypt one file into ``folder`` and read it back; the encrypted file."""
    target = folder / (plain.name + SUFFIX)
    head = sealed.new_head(plain.name, wanted.bytes, wanted.sha256, key)
    with plain.open("rb") as reader, new_file(target) as writer:
        sealed.write(reader, writer, key, head, meter)
    sync(target)
    digest = hashlib.sha256()
    with Opened(target, key) as opened:
        for piece in opened.chunks():
            digest.update(piece)
    if digest.hexdigest() != wanted.sha256:
        raise ModelCorrupt(
            f"{plain.name} does not come out of its encryption as it went in.",
            "Check the disk and the memory; nothing was changed.",
        )
    quiet = Meter("", head.sealed_bytes, Unwatched())
    return ModelFile(bytes=head.sealed_bytes, sha256=sha256_of(target, quiet))


def _record(store: Store, name: str) -> Record:
    record = read_record(store.models_dir / name)
    if record is None:
        raise AssistantError(
            f"The folder of {name} has no record of its files, and none can be written.",
            "Let this user write to the folder of the models.",
        )
    return record

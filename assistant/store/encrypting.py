"""Encrypts a model in place, and decrypts it again.

New files are written beside the old ones, read back from disk, compared, and then renamed into place; until
then the old files are untouched. Deleted plaintext may still be recoverable from flash storage by someone who
takes it apart. Only data that was never stored in plaintext is safe from that.
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
"""Larger than any header."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A model that was encrypted or decrypted."""

    name: str
    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Change:
    """How to convert a model's files."""

    what: str
    needed_bytes: int
    plain_bytes: int
    make: Callable[[Path, Path, Meter], dict[str, ModelFile]]
    """Reads the model's folder, writes the other folder, and returns the new files."""
    sealed: Mapping[str, ModelFile] | None
    """What the new files become when they are decrypted."""


def encrypt(store: Store, name: str, key: bytes, watcher: Watcher) -> Changed:
    """Replace the model's files by encrypted ones.

    Raises ModelUnknown, ModelMissing, ModelCorrupt (before or after: the old files then stay), SettingsError
    if it is already encrypted, StorageFull, EngineUnavailable without the package.
    """
    store.verify(name, watcher)
    if store.sealed(name):
        raise SettingsError(f"{name} is already encrypted.", "There is nothing to do.")
    plain = _record(store, name).expected

    def make(folder: Path, to: Path, meter: Meter) -> dict[str, ModelFile]:
        return {file + SUFFIX: _seal(folder / file, to, wanted, key, meter) for file, wanted in plain.items()}

    plain_bytes = sum(file.bytes for file in plain.values())
    needed_bytes = sum(HEAD_BYTES + TAG_BYTES * (1 + file.bytes // CHUNK_BYTES) for file in plain.values())
    change = _Change("Encrypting", plain_bytes + needed_bytes, plain_bytes, make, plain)
    return _changed(store, name, change, watcher)


def decrypt(store: Store, name: str, key: bytes, watcher: Watcher) -> Changed:
    """Replace the encrypted files by the model's own.

    Raises the same errors as ``encrypt``, and ModelLocked for the wrong key.
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
    """Write the new files, check them as stored on disk, and put them in place of the old ones."""
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
                    f"The new files of {name} are damaged: {'; '.join(faults)}.",
                    "Nothing was changed. Check the disk.",
                )
            place = incoming.settle(record.kind, record.origin, files, record.licence, change.sealed)
        finally:
            incoming.clear()
    return Changed(name, place, size_bytes)


def _seal(plain: Path, folder: Path, wanted: ModelFile, key: bytes, meter: Meter) -> ModelFile:
    """Encrypt one file into ``folder``, read it back, and return the encrypted file."""
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
            f"{plain.name} changed while it was being encrypted and decrypted again.",
            "Nothing was changed. Check the disk and the memory.",
        )
    quiet = Meter("", head.sealed_bytes, Unwatched())
    return ModelFile(bytes=head.sealed_bytes, sha256=sha256_of(target, quiet))


def _record(store: Store, name: str) -> Record:
    record = read_record(store.models_dir / name)
    if record is None:
        raise AssistantError(
            f"The folder of {name} has no record of its files, and a new one can't be written.",
            "Give this user write permission for the models folder.",
        )
    return record

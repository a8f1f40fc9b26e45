"""A model being installed: invisible until it is complete, and only one at a time.

It is assembled under ``.incoming`` in the models folder, on the same file system, and enters the store with a
single rename. An interrupted attempt is resumed by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.core.errors import ModelCorrupt
from assistant.store.catalog import Kind, ModelFile
from assistant.store.disk import grown_file, make_folder, new_file, sync, writing
from assistant.store.folder import CHUNK_BYTES, RECORD, write_record
from assistant.store.progress import Meter, Watcher

log = logging.getLogger(__name__)

LOCK = ".lock"
INCOMING = ".incoming"
OLD = "old"
"""Subfolder of ``base`` for the version that is being replaced."""


@contextlib.contextmanager
def locked(models_dir: Path, watcher: Watcher) -> Iterator[None]:
    """Hold the store's lock, which is released when this process ends for any reason.

    Raises SettingsError or StorageFull when the folder cannot be made, SettingsError for root in the store
    of another user.
    """
    with writing(models_dir):
        make_folder(models_dir)
        file = grown_file(models_dir / LOCK)
    with file:
        with writing(models_dir):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                watcher.note("Another `assistant models` command is running. Waiting for it to finish.")
                fcntl.flock(file, fcntl.LOCK_EX)
            for old in models_dir.glob(f"{INCOMING}/*/{OLD}"):
                _give_back(models_dir, old)
        yield


def restore(models_dir: Path, name: str) -> None:
    """Put a model's folder back if power was lost while it was being replaced.

    Nothing is done either while somebody else is at work in the store, or by root in another user's. Never
    raises.
    """
    old = models_dir / INCOMING / name / OLD
    with contextlib.suppress(OSError):
        if old.is_dir():
            with grown_file(models_dir / LOCK) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _give_back(models_dir, old)


def _give_back(models_dir: Path, old: Path) -> None:
    place = models_dir / old.parent.name
    if not place.exists() and not place.is_symlink():
        old.rename(place)
        log.warning("restored model=%s", place.name)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A model that is now installed."""

    name: str
    path: Path
    size_bytes: int
    origin: str
    """The source it came from; empty if it was already installed."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """Folders of one model during installation. Used only while the lock is held."""

    models_dir: Path
    name: str

    @property
    def base(self) -> Path:
        """The parent of the folders below."""
        return self.models_dir / INCOMING / self.name

    @property
    def files(self) -> Path:
        """Where the model is assembled."""
        return self.base / "files"

    @property
    def downloads(self) -> Path:
        """Holds archives and unfinished downloads."""
        return self.base / "downloads"

    def prepare(self) -> None:
        """Create the folders."""
        with writing(self.models_dir):
            make_folder(self.files)
            make_folder(self.downloads)

    def clear(self) -> None:
        """Delete what has arrived so far, and restore a version that was being replaced."""
        with contextlib.suppress(OSError):
            if (self.base / OLD).exists():
                _give_back(self.models_dir, self.base / OLD)
        shutil.rmtree(self.base, ignore_errors=True)
        with contextlib.suppress(OSError):  # still in use by another model, or never created
            (self.models_dir / INCOMING).rmdir()

    def clear_if_empty(self) -> None:
        """Remove the folders if nothing was received."""
        if not any(path.is_file() and path.stat().st_size for path in self.base.rglob("*")):
            self.clear()

    def settle(
        self,
        kind: Kind,
        origin: str,
        files: Mapping[str, ModelFile],
        licence: str = "",
        sealed: Mapping[str, ModelFile] | None = None,
    ) -> Path:
        """Move the model, whose files have just been verified, into the store, and return its folder.

        ``sealed`` describes the files of an encrypted model after decryption. Between two renames the folder
        has no name; if the process dies there, the next one puts the old folder back (``restore``).
        """
        place = self.models_dir / self.name
        old = self.base / OLD
        with writing(self.models_dir):
            write_record(self.files, kind, origin, files, licence=licence, sealed=sealed)
            for name in (*files, RECORD):
                sync(self.files / name)
            discard(old)
            if place.exists() or place.is_symlink():
                place.rename(old)
            self.files.rename(place)
            sync(self.models_dir)
        self.clear()
        log.info("installed model=%s origin=%s", self.name, origin)
        return place


def within(folder: Path, file: Path) -> Path:
    """Where ``file`` of ``folder`` lies really.

    A link may lead to another place in the folder, or to ``blobs`` beside it or its parent, where Hugging
    Face's cache keeps the files of its snapshots. Raises ModelCorrupt for all others.
    """
    if not file.is_symlink():
        return file
    lies = file.resolve()
    top = folder.resolve()
    allowed = (top, top.parent / "blobs", top.parent.parent / "blobs")
    if not any(lies.is_relative_to(place) for place in allowed):
        raise ModelCorrupt(
            f"{file.name} is a link that leads out of {folder}.",
            "Put the file itself there: what it leads to is not looked at.",
        )
    return lies


def copy(source: Path, target: Path, meter: Meter) -> str:
    """Copy a file's content and return its hash. Raises OSError if ``source`` cannot be read, and the errors
    of ``writing`` if ``target`` cannot be written.
    """
    digest = hashlib.sha256()
    with os.fdopen(
        os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb"
    ) as reader:
        with writing(target.parent):
            writer = new_file(target)
        with writer:
            while chunk := reader.read(CHUNK_BYTES):
                with writing(target.parent):
                    writer.write(chunk)
                digest.update(chunk)
                meter.add(len(chunk))
    return digest.hexdigest()


def discard(path: Path) -> None:
    """Delete a folder, or the link to one; does nothing if it doesn't exist."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)

"""Provides a folder in which a model is made, and moves the result to the store or to another folder.

The folder is in the store's ``.incoming``, on the same disk, so that a good model enters the store by a
rename, with its card and its record. The store's lock is held all the while; leftovers of a killed process or
a power cut are removed by the next one. This module also has the helpers that every maker needs: the result's
name, the refusal of doubtful results, the memory of this process, and a child process's last output.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any

from assistant.board import health, heap
from assistant.core.errors import EngineFailed, ModelRefused
from assistant.store import Store
from assistant.store.catalog import Kind, ModelFile
from assistant.store.disk import free_bytes, require, writing
from assistant.store.folder import sha256_of
from assistant.store.incoming import INCOMING, Incoming, copy, discard, locked
from assistant.store.progress import Meter, Unwatched, Watcher, megabytes
from assistant.tools.quantize import card

FOLDER = ".quantize"
"""Hidden, so that it cannot be a model's name."""

CALLED_BACK = frozenset({"_receive", "receive", "_see"})
"""Functions that llama.cpp calls back: those of ``scorers``, their observers, and the engine."""

AGAIN_S = 0.02

RESERVE_MB = 700
"""In addition to the weights: the scores of 128 positions, in a few copies, and Python itself (measured:
560 MB with a vocabulary of 152,000).
"""

MAX_NAME_LETTERS = 48
"""Limit for a name in the store."""

MAX_READ_BYTES = 4000
MAX_REASON_LETTERS = 200
"""Limit for a child process's last output."""

ANOTHER_FORMAT = "Try a different format (one with more bits loses less) or a different source"
ANOTHER_SOURCE = "Choose a different source, or fetch it again"


@contextlib.contextmanager
def workspace(models_dir: Path, watcher: Watcher) -> Iterator[Path]:
    """Create a temporary folder to work in. SIGTERM is handled like Ctrl-C: the folder is removed.

    Raises SettingsError or StorageFull if the folder cannot be made.
    """
    with locked(models_dir, watcher), _terminable(), writing(models_dir):
        folder = models_dir / INCOMING / FOLDER
        discard(folder)
        folder.mkdir(parents=True, mode=0o700)
        try:
            yield folder
        finally:
            discard(folder)
            with contextlib.suppress(OSError):  # # A model being installed is there, too.
                folder.parent.rmdir()


def plan(disk_bytes: int, model_bytes: int, work_dir: Path, watcher: Watcher) -> None:
    """Report what making and measuring a model of that size requires, and what is available.

    Raises StorageFull or EngineFailed if there is too little.
    """
    needed_mb, have_mb = model_bytes // 1_000_000 + RESERVE_MB, health.available_mb()
    has = f" ({have_mb:,} MB are free)" if have_mb is not None else ""
    watcher.note(
        f"This needs at most {megabytes(disk_bytes)} of disk space "
        f"({megabytes(free_bytes(work_dir))} is free) and {needed_mb:,} MB of "
        f"memory{has}."
    )
    require(disk_bytes, work_dir)
    if have_mb is not None and have_mb < needed_mb:
        raise EngineFailed(
            f"Measuring this model needs {needed_mb:,} MB of memory, but only {have_mb:,} MB is free.",
            "Close other programs, or do it on a larger machine and copy the "
            "file here with `assistant models import`.",
        )


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C and lose neither, if this is the main thread.

    An exception inside a function that a library calls back is printed and dropped, so in that case the
    signal is sent again a moment later.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_name in CALLED_BACK:
                # # Sent to the main thread: a signal that another thread receives does not end a wait of the
                # main one.
                main = threading.main_thread().ident
                threading.Timer(AGAIN_S, signal.pthread_kill, (main, number)).start()
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, stop)
    except ValueError:  # # Not the main thread: the caller handles signals itself.
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def install(store: Store, kind: Kind, made: Path, about: Mapping[str, Any], watcher: Watcher) -> Path:
    """Move the files in ``made`` into the store with their card; returns the model's folder.

    ``about`` is the stamped card, which has ``name``, ``source``, ``licence``, ``command``, and, in
    ``forced``, the doubts that --force overrode. Called inside the workspace, which holds the store's lock.
    Raises StorageFull.
    """
    incoming = Incoming(store.models_dir, str(about["name"]))
    incoming.clear()
    incoming.prepare()
    with writing(store.models_dir):
        for file in sorted(made.iterdir()):
            file.rename(incoming.files / file.name)
        files = _with_card(incoming.files, about, watcher)
        for name in files:
            (incoming.files / name).chmod(0o644)
    origin = f"{about['source']} by assistant quantize" + (" --force" if about["forced"] else "")
    return incoming.settle(kind, origin, files, str(about["licence"]))


def plan_delivery(size_bytes: int, to: Path, work_dir: Path, watcher: Watcher) -> None:
    """Report the space that ``deliver`` needs if ``to`` is on a different disk than ``work_dir``. Raises
    StorageFull.
    """
    if not _on_one_disk(work_dir, to):
        free = megabytes(free_bytes(to.parent))
        watcher.note(
            f"The folder {to} is on a different disk: it needs "
            f"{megabytes(size_bytes)} there ({free} is free)."
        )
        require(size_bytes, to.parent)


def deliver(to: Path, made: Path, about: Mapping[str, Any], watcher: Watcher) -> None:
    """Move the folder ``made`` with a card to the new folder ``to``, which appears only when it is complete.

    Raises StorageFull, SettingsError.
    """
    with writing(to.parent):
        _with_card(made, about, watcher)
        to.parent.mkdir(parents=True, exist_ok=True)
        if _on_one_disk(made, to):
            made.rename(to)
            return
        part = to.with_name(f".{to.name}.part")
        discard(part)
        try:
            _copy(made, part, watcher)
            part.rename(to)
        except BaseException:
            discard(part)
            raise


def _copy(made: Path, part: Path, watcher: Watcher) -> None:
    files = sorted(made.iterdir())
    size_bytes = sum(file.stat().st_size for file in files)
    require(size_bytes, part.parent)
    meter = Meter(f"Copying to {part.parent}", size_bytes, watcher)
    part.mkdir()
    for file in files:
        copy(file, part / file.name, meter)


def _on_one_disk(one: Path, other: Path) -> bool:
    """True if a rename can move one to the other, which need not exist yet."""
    while not other.exists():
        other = other.absolute().parent
    return one.stat().st_dev == other.stat().st_dev


def _with_card(folder: Path, about: Mapping[str, Any], watcher: Watcher) -> dict[str, ModelFile]:
    """Write the card next to the files, and return all files."""
    paths = sorted(folder.iterdir())
    meter = Meter(f"Checking {about['name']}", sum(path.stat().st_size for path in paths), watcher)
    files = {path.name: _model_file(path, meter) for path in paths}
    checksums = {name: file.sha256 for name, file in files.items()}
    written = card.write(folder, {**about, "files": checksums})
    return files | {path.name: _model_file(path, Meter("", 0, Unwatched())) for path in written}


def _model_file(path: Path, meter: Meter) -> ModelFile:
    return ModelFile(bytes=path.stat().st_size, sha256=sha256_of(path, meter))


def refuse(doubts: Sequence[str], what: str, *, force: bool, instead: str = ANOTHER_FORMAT) -> None:
    """Raises ModelRefused if there are ``doubts`` and no ``force``; ``what`` is the start of the message."""
    if doubts and not force:
        raise ModelRefused(f"{what}: {'; '.join(doubts)}.", f"{instead}; --force installs it anyway.")


def stem_of(named: str) -> str:
    """Return the last part of a folder or of maker/model as a valid name in the store."""
    path = Path(named).expanduser()
    last = path.resolve().name if path.exists() else named.rsplit("/", 1)[-1]
    return fit_for_store(last)


def fit_for_store(last: str) -> str:
    """Replace all characters that a name in the store must not have."""
    return re.sub(r"[^a-z0-9._-]+", "-", last.lower()).strip("._-")[:MAX_NAME_LETTERS] or "model"


def resident_bytes() -> int:
    """Return the memory of this process; 0 on systems that don't report it."""
    gc.collect()
    heap.trim()
    return health.memory_bytes("VmRSS", of="self/status") or 0


def last_line(said: IO[bytes]) -> str:
    """Return the last line of a program's output, which usually says why it ended."""
    said.seek(max(said.seek(0, os.SEEK_END) - MAX_READ_BYTES, 0))
    lines = said.read().decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
    return "".join(letter for letter in lines[-1] if letter.isprintable())[:MAX_REASON_LETTERS].rstrip(".")

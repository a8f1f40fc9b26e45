"""The folder where a model is made: beside the store's models, and gone when the work is over.

It lies under the store's ``.incoming``, on the same disk, so that what is good enters the store by a
rename. The store's lock is held all the while; what a killed process or a power cut left there is
swept away by the next one to come in.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from assistant.board import health
from assistant.core.errors import EngineFailed
from assistant.store.disk import free_bytes, require, writing
from assistant.store.incoming import INCOMING, discard, locked
from assistant.store.progress import Watcher, megabytes

FOLDER = ".quantize"
"""Hidden, so that it cannot be a model's name."""

CALLED_BACK = frozenset({"_receive", "receive", "_see"})
"""Functions that llama.cpp calls: of ``scorers``, of their observers, and of the engine."""

AGAIN_S = 0.02

RESERVE_MB = 700
"""Beside the weights: the scores of 128 positions, in a few copies, and Python itself (measured: 560 MB
with a vocabulary of 152,000)."""


@contextlib.contextmanager
def workshop(models_dir: Path, watcher: Watcher) -> Iterator[Path]:
    """A new folder to work in. Being told to terminate is like Ctrl-C: it is cleaned up.

    Raises SettingsError or StorageFull when the folder cannot be made.
    """
    with locked(models_dir, watcher), _terminable(), writing(models_dir):
        folder = models_dir / INCOMING / FOLDER
        discard(folder)
        folder.mkdir(parents=True, mode=0o700)
        try:
            yield folder
        finally:
            discard(folder)
            with contextlib.suppress(OSError):  # a model on its way in is there too
                folder.parent.rmdir()


def plan(disk_bytes: int, model_bytes: int, shop: Path, watcher: Watcher) -> None:
    """Say what making and measuring a model of that size takes, and what there is.

    Raises StorageFull or EngineFailed when there is too little.
    """
    needed_mb, have_mb = model_bytes // 1_000_000 + RESERVE_MB, health.available_mb()
    has = f" ({have_mb:,} MB are free)" if have_mb is not None else ""
    watcher.note(
        f"This needs at most {megabytes(disk_bytes)} of disk ({megabytes(free_bytes(shop))} are free) "
        f"and {needed_mb:,} MB of memory{has}."
    )
    require(disk_bytes, shop)
    if have_mb is not None and have_mb < needed_mb:
        raise EngineFailed(
            f"Measuring this model needs {needed_mb:,} MB of memory, and {have_mb:,} MB are free.",
            "Close other programs, or do it on a larger machine and bring the file with "
            "`assistant models import`.",
        )


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM is like Ctrl-C, and neither gets lost, where this is the main thread.

    What is raised inside a function that a library calls back is printed and forgotten, so there the
    signal is given again a moment later.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_name in CALLED_BACK:
                # To the main thread itself: one that another thread gets does not end a wait of the main one.
                main = threading.main_thread().ident
                threading.Timer(AGAIN_S, signal.pthread_kill, (main, number)).start()
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, stop)
    except ValueError:  # not the main thread: whoever called has its own way
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

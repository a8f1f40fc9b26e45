"""The folder where a model is made: beside the store's models, and gone when the work is over.

It lies under the store's ``.incoming``, on the same disk, so that what is good enters the store by a
rename. The store's lock is held all the while; what a killed process or a power cut left there is
swept away by the next one to come in.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from assistant.board import health
from assistant.errors import EngineFailed
from assistant.store.disk import writing
from assistant.store.incoming import INCOMING, discard, locked
from assistant.store.progress import Watcher

FOLDER = ".quantize"
"""Hidden, so that it cannot be a model's name."""

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


def require_memory(model_bytes: int) -> None:
    """Raises EngineFailed when a model of that size could not be measured."""
    needed_mb, have_mb = model_bytes // 1_000_000 + RESERVE_MB, health.available_mb()
    if have_mb is not None and have_mb < needed_mb:
        raise EngineFailed(
            f"Measuring this model needs {needed_mb:,} MB of memory, and {have_mb:,} MB are free.",
            "Close other programs, or do it on a larger machine and bring the file with "
            "`assistant models import`.",
        )


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt, where this is the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: whoever called has its own way
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

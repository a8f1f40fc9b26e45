"""Opens an encrypted model by decrypting it into memory, so its plaintext is never on a disk.

Engines open a model's files by name, so they get a folder of links to the files in memory. When an engine has
loaded, it has mapped or copied what it needs, and links and files are removed.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from assistant.core.errors import ModelMissing
from assistant.runtime import memory_file
from assistant.store.sealed import SUFFIX, Opened

log = logging.getLogger(__name__)

T = TypeVar("T")


@contextlib.contextmanager
def in_memory(folder: Path, files: Sequence[str], key: bytes) -> Iterator[Path]:
    """A context manager that yields a folder with the decrypted ``files`` of ``folder``.

    Raises ModelLocked, ModelCorrupt, EngineUnavailable, and EngineFailed if memory runs out.
    """
    memory_file.require()
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assistant-")), folder.name)
        place.mkdir(mode=0o700)
        for name in files:
            sealed = folder / (name + SUFFIX)
            with Opened(sealed, key) as opened:
                descriptor = memory_file.create(name, opened.chunks(), sealed.stat().st_mtime_ns)
            stack.callback(os.close, descriptor)
            memory_file.link(place / name, descriptor)
        log.info("decrypted=memory model=%s files=%d", folder.name, len(files))
        yield place


def try_key(folder: Path, files: Sequence[str], key: bytes) -> None:
    """Raise ModelLocked if ``files`` of ``folder`` were encrypted with another key, or ModelCorrupt."""
    for name in files:
        Opened(folder / (name + SUFFIX), key).close()


def head_of(folder: Path, ending: str, key: bytes | None, read: Callable[[BinaryIO, int, str], T]) -> T:
    """Call ``read`` with the file in ``folder`` that has that extension, its length and its name, and return
    the result. With several such files it is the first; with a ``key``, the file is decrypted.

    Raises ModelMissing, ModelLocked, and the errors of ``read``.
    """
    files = sorted(folder.rglob(f"*{ending}{SUFFIX if key else ''}"))
    if not files:
        raise ModelMissing(
            f"There is no *{ending} file in {folder}.",
            "Fetch the model again, or choose a different one that suits the engine.",
        )
    if key is not None:
        with Opened(files[0], key) as opened:
            # Buffered, because each small read would otherwise decrypt part of a chunk.
            reader = cast("io.BufferedReader", io.BufferedReader(opened))
            return read(reader, opened.head.size_bytes, opened.head.name)
    try:
        with files[0].open("rb") as file:
            return read(file, files[0].stat().st_size, files[0].name)
    except OSError as error:
        raise ModelMissing(
            f"The model file {files[0]} cannot be read: {error.strerror or error}.",
            "Check that the file is readable, or fetch the model again.",
        ) from error

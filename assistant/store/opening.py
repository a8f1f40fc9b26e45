"""Opens an encrypted model without its plaintext ever being on a disk: into files in memory.

Engines load a model by the names of its files, so they are given a folder of links to them; when the
engine has loaded, it maps or has copied what it needs, and links and files go.
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
    """A folder in which the decrypted ``files`` of ``folder`` seem to lie, while inside.

    Raises ModelLocked, ModelCorrupt, EngineUnavailable, and EngineFailed without memory for it.
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
    """Raises ModelLocked when ``files`` of ``folder`` were encrypted with another key, ModelCorrupt."""
    for name in files:
        Opened(folder / (name + SUFFIX), key).close()


def head_of(folder: Path, ending: str, key: bytes | None, read: Callable[[BinaryIO, int, str], T]) -> T:
    """What ``read`` makes of the file in ``folder`` with that ending, its length and its name; the first of
    several, and with a ``key`` of what is decrypted.

    Raises ModelMissing, ModelLocked, and what ``read`` raises.
    """
    files = sorted(folder.rglob(f"*{ending}{SUFFIX if key else ''}"))
    if not files:
        raise ModelMissing(
            f"There is no file *{ending} in {folder}.",
            "Fetch the model again, or choose another one: each engine has files of its own.",
        )
    if key is not None:
        with Opened(files[0], key) as opened:
            # A buffered reader is what ``Opened`` becomes: small reads would each decrypt a chunk's piece.
            reader = cast("io.BufferedReader", io.BufferedReader(opened))
            return read(reader, opened.head.size_bytes, opened.head.name)
    try:
        with files[0].open("rb") as file:
            return read(file, files[0].stat().st_size, files[0].name)
    except OSError as error:
        raise ModelMissing(
            f"The model file {files[0]} cannot be read: {error.strerror or error}.",
            "Check that it may be read, or fetch the model again.",
        ) from error

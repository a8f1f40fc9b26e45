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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from assistant import memory_file
from assistant.gguf import GgufHeader, read_header, read_header_from
from assistant.store.sealed import SUFFIX, Opened

log = logging.getLogger(__name__)


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


def header_of(folder: Path, key: bytes | None) -> GgufHeader:
    """Of the GGUF file in ``folder``, the first of several; with a ``key`` of what is decrypted.

    Raises ModelMissing, ModelCorrupt, ModelLocked.
    """
    files = sorted(folder.glob(f"*.gguf{SUFFIX}" if key else "*.gguf"))
    if not files:
        return read_header(folder / "model.gguf")  # says for itself that there is none
    if key is None:
        return read_header(files[0])
    with Opened(files[0], key) as opened:
        # A buffered reader is what ``Opened`` becomes: small reads would each decrypt a chunk's piece.
        reader = cast("io.BufferedReader", io.BufferedReader(opened))
        return read_header_from(reader, opened.head.size_bytes, opened.head.name)

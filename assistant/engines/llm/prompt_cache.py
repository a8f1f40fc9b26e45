"""Saves bytes that are costly to recompute on disk under a key: complete and private, or treated as missing.

The file is a digest of key and content, followed by the content. The key identifies what the bytes were
computed from: a file that belongs to something else, is damaged or was cut off by a power failure has a
different digest. Independent of what the bytes mean.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path

log = logging.getLogger(__name__)

_DIGEST_BYTES = hashlib.sha256().digest_size
_MAX_BYTES = 1024**3
"""A prompt of 1,000 tokens takes 12 MB with a model of 0.5 B parameters, 130 MB with one of 8 B."""


def load(path: Path, key: bytes) -> bytes | None:
    """Return what was saved under this key, or None."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
    except OSError:
        return None
    digest, state = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return state if digest == _digest(key, state) else None


def save(path: Path, key: bytes, state: bytes) -> None:
    """Replace the file atomically, readable only by this user. A full disk is not an error here."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_digest(key, state) + state)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        log.warning("kept=no file=%s reason=%r", path.name, error.strerror)


def _digest(key: bytes, state: bytes) -> bytes:
    # The key has no fixed length, so its own digest is used.
    return hashlib.sha256(hashlib.sha256(key).digest() + state).digest()

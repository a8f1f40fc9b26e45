"""The format of one encrypted file: AES-256-GCM in chunks, each bound to its place in this file.

::

    head    8  magic "SHELFENC"
            2  version, 1                     numbers are little-endian
            2  length of the name
            4  plaintext bytes per chunk; the last may have fewer
            8  total plaintext bytes
           32  SHA-256 of the plaintext
           32  salt, random
            .  name of the plain file, UTF-8
           16  key check: HMAC-SHA256 over all of the above, truncated
           32  SHA-256 of all of the above
    chunks  each its ciphertext and a GCM tag of 16 bytes; an empty file has one empty chunk

Every file has its own keys for data and check: HKDF-SHA256 (RFC 5869) of the user's key with the salt. So a
chunk's nonce can simply be its number (12 bytes, big-endian). The data authenticated with a chunk are the
head's SHA-256, the chunk's number and the number of chunks. This detects a changed byte, a chunk that was
moved, left out, repeated or taken from another file, and a file that was cut off or renamed. Each chunk can
be decrypted alone. Without the key, only the lengths, the names and the hash of the plaintext are visible.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from assistant.core.errors import EngineUnavailable, ModelCorrupt, ModelLocked
from assistant.store.progress import Meter

SUFFIX = ".sealed"
MAGIC = b"SHELFENC"
CHUNK_BYTES = 1024 * 1024
MAX_CHUNK_BYTES = 16 * 1024 * 1024
"""Two chunks are held in memory."""
TAG_BYTES = 16

_FIXED = struct.Struct("<8sHHIQ32s32s")
_CHECK_BYTES = 16
_DIGEST_BYTES = 32
_MAX_NAME_BYTES = 1024
_AGAIN = "Copy or fetch it again, and encrypt it again."


@dataclass(frozen=True, slots=True)
class Head:
    """What an encrypted file shows without its key, unauthenticated."""

    name: str
    size_bytes: int
    """Plaintext length."""
    sha256: str
    """Plaintext hash, in hexadecimal digits."""
    chunk_bytes: int
    salt: bytes
    raw: bytes
    """The whole head as stored in the file."""

    @property
    def chunks(self) -> int:
        return max(1, -(-self.size_bytes // self.chunk_bytes))

    @property
    def sealed_bytes(self) -> int:
        """Length of the whole encrypted file."""
        return len(self.raw) + self.size_bytes + self.chunks * TAG_BYTES

    @property
    def digest(self) -> bytes:
        return self.raw[-_DIGEST_BYTES:]


def write(plain: BinaryIO, target: BinaryIO, key: bytes, head: Head, meter: Meter) -> None:
    """Encrypt ``plain``, described by ``head`` (see ``new_head``). Raises OSError, EngineUnavailable."""
    cipher = _cipher(key, head.salt)
    target.write(head.raw)
    for number in range(head.chunks):
        piece = plain.read(head.chunk_bytes)
        target.write(cipher.encrypt(_nonce(number), piece, _bound(head, number)))
        meter.add(len(piece))


def new_head(name: str, size_bytes: int, sha256: str, key: bytes, chunk_bytes: int = CHUNK_BYTES) -> Head:
    """Create the head for a new file, with a new salt."""
    salt, encoded = os.urandom(32), name.encode()
    begin = _FIXED.pack(MAGIC, 1, len(encoded), chunk_bytes, size_bytes, bytes.fromhex(sha256), salt)
    begin += encoded
    begin += _key_check(key, salt, begin)
    return Head(name, size_bytes, sha256, chunk_bytes, salt, begin + hashlib.sha256(begin).digest())


def read_head(file: Path) -> Head:
    """Read the head of ``file`` and check the file's length. Raises ModelCorrupt, OSError."""
    with file.open("rb") as opened:
        begin = opened.read(_FIXED.size)
        if len(begin) < _FIXED.size or not begin.startswith(MAGIC):
            raise _damaged(file, "it doesn't start like an encrypted file")
        _, version, name_bytes, chunk_bytes, size_bytes, sha256, salt = _FIXED.unpack(begin)
        rest = opened.read(min(name_bytes, _MAX_NAME_BYTES) + _CHECK_BYTES + _DIGEST_BYTES)
        length = os.fstat(opened.fileno()).st_size
    raw = begin + rest
    if hashlib.sha256(raw[:-_DIGEST_BYTES]).digest() != raw[-_DIGEST_BYTES:]:
        raise _damaged(file, "its header was changed or is incomplete")
    if version != 1:
        raise _damaged(file, f"it has version {version}, but only version 1 is supported")
    name = rest[:name_bytes].decode("utf-8", "replace")
    if not 0 < chunk_bytes <= MAX_CHUNK_BYTES or file.name != name + SUFFIX:
        raise _damaged(file, f"it is the file {name!r:.80} under another name")
    head = Head(name, size_bytes, sha256.hex(), chunk_bytes, salt, raw)
    if length != head.sealed_bytes:
        raise _damaged(file, f"it is {length} bytes instead of {head.sealed_bytes}")
    return head


class Opened(io.RawIOBase):
    """An encrypted file that reads like a plain one; each chunk is authenticated before it is used.

    Raises ModelLocked for the wrong key, ModelCorrupt, OSError, EngineUnavailable.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self.head = read_head(path)
        checked = len(self.head.raw) - _CHECK_BYTES - _DIGEST_BYTES
        wanted = self.head.raw[checked:-_DIGEST_BYTES]
        if not hmac.compare_digest(_key_check(key, self.head.salt, self.head.raw[:checked]), wanted):
            raise ModelLocked(
                f"{path.name} was encrypted with a different key.", "Use the key it was encrypted with."
            )
        self._path = path
        self._cipher = _cipher(key, self.head.salt)
        self._file = path.open("rb")
        self._position = 0
        self._number, self._chunk = -1, b""

    def chunks(self) -> Iterator[bytes]:
        """Yield the whole plaintext in order."""
        for number in range(self.head.chunks):
            yield self._decrypted(number)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.head.size_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= self.head.size_bytes:
            return 0
        number, start = divmod(self._position, self.head.chunk_bytes)
        if number != self._number:
            self._chunk, self._number = self._decrypted(number), number
        piece = self._chunk[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _decrypted(self, number: int) -> bytes:
        head = self.head
        self._file.seek(len(head.raw) + number * (head.chunk_bytes + TAG_BYTES))
        expected = min(head.chunk_bytes, head.size_bytes - number * head.chunk_bytes)
        sealed = self._file.read(expected + TAG_BYTES)
        try:
            plain: bytes = self._cipher.decrypt(_nonce(number), sealed, _bound(head, number))
        except Exception as error:  # the library's InvalidTag, or ValueError if it is too short
            raise _damaged(self._path, f"chunk {number + 1} of {head.chunks} was changed") from error
        return plain


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _bound(head: Head, number: int) -> bytes:
    """Return the data authenticated with a chunk: this file, the chunk's place, and the number of chunks."""
    return head.digest + struct.pack("<QQ", number, head.chunks)


def _derived(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    """HKDF-SHA256 with one block of output."""
    extracted = hmac.digest(salt, key, "sha256")
    return hmac.digest(extracted, b"assistant model file v1 " + purpose + b"\x01", "sha256")


def _key_check(key: bytes, salt: bytes, head: bytes) -> bytes:
    return hmac.digest(_derived(key, salt, b"check"), head, "sha256")[:_CHECK_BYTES]


def _cipher(key: bytes, salt: bytes) -> Any:
    try:
        aead = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
    except ImportError as error:
        raise EngineUnavailable(
            "Encrypted models need the Python package 'cryptography', which is not installed.",
            "Install the assistant with the `encryption` extra (`scripts/setup run encryption`).",
        ) from error
    return aead.AESGCM(_derived(key, salt, b"data"))


def _damaged(file: Path, why: str) -> ModelCorrupt:
    return ModelCorrupt(f"The encrypted file {file.name} is damaged: {why}.", _AGAIN)

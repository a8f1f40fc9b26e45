"""Repairs the header of a WAV whose sizes are wrong, as streams and interrupted recorders leave it.

libsndfile believes a size of 0, and half of what is there; and for what it cannot read it has no plain words.
"""

from __future__ import annotations

import os
import struct

_FLOAT, _EXTENSIBLE = 3, 0xFFFE
_HEAD_BYTES = 1 << 16


class RiffInvalid(Exception):
    """The text says what is wrong with its header."""


def repaired(descriptor: int) -> bytes | None:
    """The whole file with the right sizes; None where nothing is wrong with them. Raises RiffInvalid."""
    length = os.fstat(descriptor).st_size
    head = os.pread(descriptor, _HEAD_BYTES, 0)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    place, has_format = 12, False
    while place + 8 <= len(head):
        name, size = head[place : place + 4], struct.unpack_from("<I", head, place + 4)[0]
        if not name.isascii() or not name.decode("ascii").isprintable():
            raise RiffInvalid("its chunks are out of order, or one has a wrong size")
        if name == b"fmt ":
            has_format = True
            _check_format(head[place + 8 : place + 8 + size])
        if name == b"data":
            return _with_sizes(descriptor, place, size, length, has_format=has_format)
        place += 8 + size + size % 2
    return None


def _check_format(fields: bytes) -> None:
    if len(fields) < 16:
        raise RiffInvalid("its header is damaged")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", fields)
    if rate_hz == 0:
        raise RiffInvalid("its header says 0 samples per second")
    if channels and tag == _FLOAT and bits not in {32, 64}:
        raise RiffInvalid(f"its header says floating point with {bits} bits")


def _with_sizes(descriptor: int, place: int, size: int, length: int, *, has_format: bool) -> bytes | None:
    if not has_format:
        raise RiffInvalid("its chunks are out of order: the sound comes before its format")
    begin = place + 8
    end = begin + size + size % 2
    if begin >= length or (
        size and (end + 8 > length or _is_chunk(os.pread(descriptor, 8, end), length - end))
    ):
        return None
    sound = os.pread(descriptor, length, 0)
    sizes = struct.pack("<I", min(length - begin, 0xFFFFFFFE))
    return (
        sound[:4]
        + struct.pack("<I", min(length - 8, 0xFFFFFFFE))
        + sound[8 : place + 4]
        + sizes
        + sound[begin:]
    )


def _is_chunk(header: bytes, left: int) -> bool:
    """Whether another chunk begins there."""
    name, size = header[:4], struct.unpack("<I", header[4:])[0]
    return name.isascii() and name.decode("ascii").isprintable() and size <= left

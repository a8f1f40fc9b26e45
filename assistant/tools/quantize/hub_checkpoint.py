"""A checkpoint that a person named: a folder of this computer, or a name on Hugging Face, fetched by it.

``huggingface_hub`` fetches, goes on where it stopped, and checks; only weights in safetensors and what
describes them are taken. They stay in the data folder, so that the next format needs no network.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.core.errors import AssistantError, DownloadFailed, ModelMissing
from assistant.runtime import paths
from assistant.store.disk import require
from assistant.store.kinds import MAX_LICENCE_LETTERS
from assistant.store.licences import Agree, terms
from assistant.store.progress import Watcher, megabytes

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
WANTED = ("*.safetensors", "*.json", "*.model", "*.jinja", "README.md", "LICENSE*", "vocab.txt", "merges.txt")
LICENCE = re.compile(r"^license(?:_name)?:\s*['\"]?([A-Za-z0-9][\w.+-]*)", re.MULTILINE)
README_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder with a checkpoint, and what is known of where it comes from."""

    folder: Path
    named: str
    revision: str
    """The commit on the hub; empty for a folder."""
    licence: str
    """As its README says; empty when it does not."""


def find(named: str, watcher: Watcher, agree: Agree) -> Checkpoint:
    """The checkpoint in a folder, or fetched by its name on Hugging Face when ``agree`` is content.

    Raises ModelMissing for what is neither, LicenceNotAccepted, DownloadFailed, StorageFull.
    """
    folder = Path(named).expanduser()
    if folder.is_dir():
        agree(named, declared_licence(folder))
        return Checkpoint(folder, named, "", declared_licence(folder))
    if not HUB_NAME.fullmatch(named):
        raise ModelMissing(
            f"There is no folder {named}.",
            "Name a checkpoint's folder, or its name on Hugging Face (maker/model).",
        )
    folder = paths.data() / "checkpoints" / named.replace("/", "--")
    revision = _fetch(named, folder, watcher, agree)
    agree(named, declared_licence(folder))
    return Checkpoint(folder, named, revision, declared_licence(folder))


def declared_licence(folder: Path) -> str:
    """What the README of a checkpoint names in its head, or the title of a licence that is known."""
    return _named_in_readme(folder) or _title_of_licence(folder)


def _title_of_licence(folder: Path) -> str:
    """The first line of its LICENSE, where it is one with conditions."""
    for file in sorted(folder.glob("LICEN[SC]E*")):
        with contextlib.suppress(OSError), file.open("rb") as opened:
            lines = opened.read(README_BYTES).decode("utf-8", "replace").split("\n")
            title = " ".join(next((line for line in lines if line.strip()), "").split())
            if terms(title):
                return title[:MAX_LICENCE_LETTERS]
    return ""


def _named_in_readme(folder: Path) -> str:
    try:
        with (folder / "README.md").open("rb") as file:
            head = file.read(README_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    if not head.startswith("---"):
        return ""
    names = LICENCE.findall(head.split("\n---", 1)[0])
    return next((name for name in names if name != "other"), "")


def _fetch(named: str, folder: Path, watcher: Watcher, agree: Agree) -> str:
    """What the hub has of it into ``folder``; the commit. What is there already is not fetched again."""
    by_hand = (
        f"Check the network, or bring its folder: `hf download {named} --local-dir FOLDER`, and name that."
    )
    done = folder / ".fetched"
    if done.is_file():
        return done.read_text(encoding="utf-8").strip()
    try:
        hub: Any = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise DownloadFailed(
            f"{named} is not on this computer, and the Python package huggingface_hub is not installed.",
            "Install the assistant with the extra `hub`, or name the folder of the checkpoint.",
        ) from error
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        facts = hub.HfApi().model_info(named, files_metadata=True, timeout=30)
        agree(named, _named_by_hub(facts))
        files = [each for each in facts.siblings if any(Path(each.rfilename).match(end) for end in WANTED)]
        size_bytes = sum(each.size or 0 for each in files)
        require(size_bytes, paths.data())
        watcher.note(f"Fetching {named}: {megabytes(size_bytes)} in {len(files)} files into {folder}.")
        hub.snapshot_download(
            named,
            revision=facts.sha,
            local_dir=folder,
            allow_patterns=[each.rfilename for each in files],
            max_workers=2,
        )
    except AssistantError:
        raise
    except Exception as error:  # the package and what it uses raise what they like
        raise DownloadFailed(
            f"{named} is not on this computer and could not be fetched: {_first_line(error)}.", by_hand
        ) from error
    done.write_text(str(facts.sha), encoding="utf-8")
    return str(facts.sha)


def _named_by_hub(facts: Any) -> str:
    """The licence in what the hub tells about a model; empty when it tells none."""
    told = [getattr(facts.card_data, key, None) for key in ("license", "license_name")]
    return next((str(name) for name in told if name and name != "other"), "")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")

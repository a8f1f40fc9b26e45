"""The input and output of a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from assistant.runtime import paths
from assistant.settings.schema import Settings
from assistant.store import Store, open_store
from assistant.store.progress import Watcher


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    ok: bool | None
    """False means broken; None means worth knowing, or unknown."""
    what: str
    next_step: str = ""
    """What to do; empty if nothing needs to be done."""


@dataclass(frozen=True, slots=True)
class Patient:
    """The installation being checked."""

    settings: Settings
    watcher: Watcher
    """Shows the progress of long checks."""
    hash_models: bool
    """Read all of every model, instead of only comparing sizes."""
    root: Path
    """Parent folder of /proc and /sys."""

    @property
    def models(self) -> Path:
        """The models folder."""
        return paths.models(self.settings.store.models)

    def store(self) -> Store:
        """Open the model store. Raises SettingsError if the catalog is broken."""
        return open_store(self.models, key_file=self.settings.store.key_file)


Check: TypeAlias = Callable[[Patient], Iterator[Finding]]
"""Checks one thing: raises AssistantError if it is broken, and yields what else it finds."""

"""What a check looks at, and what it says."""

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
    """What one check found out."""

    check: str
    ok: bool | None
    """False is broken; None is worth knowing, or cannot be told."""
    what: str
    next_step: str = ""
    """What to do; empty when there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined."""

    settings: Settings
    watcher: Watcher
    """Sees the progress of long checks."""
    hash_models: bool
    """Read all of every model, not only its sizes."""
    root: Path
    """Where /proc and /sys are."""

    @property
    def models(self) -> Path:
        """The folder of the models."""
        return paths.models(self.settings.store.models)

    def store(self) -> Store:
        """Raises SettingsError when the catalogue is broken."""
        return open_store(self.models, key_file=self.settings.store.key_file)


Check: TypeAlias = Callable[[Patient], Iterator[Finding]]
"""Looks at one thing. Raises AssistantError for what is broken; yields what else it finds."""

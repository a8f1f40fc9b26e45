"""Where the language model's adapter lies: a file of one's own, or a model of the store."""

from __future__ import annotations

from pathlib import Path

from assistant import paths
from assistant.settings import Settings
from assistant.store import open_store


def place(settings: Settings) -> Path | None:
    """Its file or folder; None where there is none. Raises ModelError for a name that is not there."""
    name = settings.llm.adapter
    if name is None:
        return None
    if name.endswith(".gguf"):
        return Path(name)
    return open_store(paths.models(settings.store.models)).path(name, "llm")

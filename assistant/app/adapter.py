"""Finds the language model's adapter: a file, or a model in the store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from assistant.engines.llm.llama_cpp.gguf import find_adapter
from assistant.runtime import paths
from assistant.settings.schema import Settings
from assistant.store import Store, open_store
from assistant.store.formats.gguf import read_header


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Path | None]:
    """Yield its file or folder, to be loaded inside the block; None without an adapter.

    An encrypted one is decrypted into memory. Raises ModelError for an unknown name, and the errors of
    ``Store.opened``.
    """
    name = settings.llm.adapter
    if name is None or name.endswith(".gguf"):
        yield None if name is None else Path(name)
        return
    with _store(settings).opened(name, "llm") as folder:
        yield folder


def size_bytes(settings: Settings) -> int:
    """Size of its matrices; 0 without one. Raises the errors of ``opened``."""
    name = settings.llm.adapter
    if name is None:
        return 0
    if name.endswith(".gguf"):
        return read_header(find_adapter(Path(name))).tensor_bytes
    return _store(settings).header(name).tensor_bytes


def _store(settings: Settings) -> Store:
    return open_store(paths.models(settings.store.models), key_file=settings.store.key_file)

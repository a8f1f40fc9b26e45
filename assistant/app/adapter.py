"""Where the language model's adapter lies: a file of one's own, or a model of the store."""

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
    """Its file or folder, to be loaded while inside; None where there is none.

    An encrypted one is decrypted into memory. Raises ModelError for a name that is not there, and what
    ``Store.opened`` raises.
    """
    name = settings.llm.adapter
    if name is None or name.endswith(".gguf"):
        yield None if name is None else Path(name)
        return
    with _store(settings).opened(name, "llm") as folder:
        yield folder


def size_bytes(settings: Settings) -> int:
    """What its matrices take; 0 without one. Raises what ``opened`` raises."""
    name = settings.llm.adapter
    if name is None:
        return 0
    if name.endswith(".gguf"):
        return read_header(find_adapter(Path(name))).tensor_bytes
    return _store(settings).header(name).tensor_bytes


def _store(settings: Settings) -> Store:
    return open_store(paths.models(settings.store.models), key_file=settings.store.key_file)

"""JSON files that lie beside models: data from strangers, so of bounded size and depth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MAX_BYTES = 10_000_000
"""Of a file that describes a model; Gemma 3's tokenizer_config.json has 1.2 MB."""


def read_object(file: Path, most_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """What ``file`` says. Raises OSError where it cannot be opened, ValueError where it is no JSON object."""
    with file.open("rb") as opened:
        content = opened.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"{file.name} is too large")
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError(f"{file.name} is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file.name} is no JSON object")
    return found


def facts(file: Path, most_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """The same of a file that nothing depends on: nothing where it is missing, or says nothing."""
    try:
        return read_object(file, most_bytes)
    except (OSError, ValueError):
        return {}

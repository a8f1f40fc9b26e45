"""JSON files that come with models: untrusted data, so size and depth are limited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MAX_BYTES = 10_000_000
"""Limit for a file that describes a model; Gemma 3's tokenizer_config.json is 1.2 MB."""


def read_object(file: Path, most_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read a JSON object from ``file``.

    Raises OSError if it cannot be opened, ValueError if it isn't a JSON object.
    """
    with file.open("rb") as opened:
        content = opened.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"{file.name} is too large")
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError(f"{file.name} is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file.name} is not a JSON object")
    return found


def facts(file: Path, most_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Like ``read_object``, for optional files: returns an empty dict if ``file`` is missing or invalid."""
    try:
        return read_object(file, most_bytes)
    except (OSError, ValueError):
        return {}

"""JSON files that lie beside models: data from strangers, so of bounded size and depth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MAX_BYTES = 50_000_000
"""Gemma 3's tokenizer.json has 33 MB; other files have a few at most."""


def read_object(file: Path) -> dict[str, Any]:
    """What ``file`` says. Raises OSError where it cannot be opened, ValueError where it is no JSON object."""
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{file.name} is larger than {MAX_BYTES // 1_000_000} MB")
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError(f"{file.name} is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file.name} is no JSON object")
    return found


def facts(file: Path) -> dict[str, Any]:
    """The same of a file that nothing depends on: nothing where it is missing, or says nothing."""
    try:
        return read_object(file)
    except (OSError, ValueError):
        return {}

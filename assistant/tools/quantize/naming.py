"""A name in the store for what is made of something that a person named."""

from __future__ import annotations

import re
from pathlib import Path

MAX_LETTERS = 48


def stem_of(named: str) -> str:
    """Of a folder or of maker/model the last part, fit for a name in the store."""
    path = Path(named).expanduser()
    last = path.resolve().name if path.exists() else named.rsplit("/", 1)[-1]
    return re.sub(r"[^a-z0-9._-]+", "-", last.lower()).strip("._-")[:MAX_LETTERS] or "model"

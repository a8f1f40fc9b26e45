"""What a child process said before it failed, fit for one sentence."""

from __future__ import annotations

import os
from typing import IO

MAX_READ_BYTES = 4000
MAX_LETTERS = 200


def last_line(said: IO[bytes]) -> str:
    """The last line in a file of output, where programs say why they ended."""
    said.seek(max(said.seek(0, os.SEEK_END) - MAX_READ_BYTES, 0))
    lines = said.read().decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
    return "".join(letter for letter in lines[-1] if letter.isprintable())[:MAX_LETTERS].rstrip(".")

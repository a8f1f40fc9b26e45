"""The file of tables: a SQLite database, opened read-only, in which names are found by their words.

``scripts/knowledge`` creates it. To this module the file is untrusted: missing or wrong content gives no
answer, and nothing in it is ever executed.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.core.errors import ModelCorrupt
from assistant.text.en.words import keys, words

log = logging.getLogger(__name__)

FILE = "knowledge.db"
APPLICATION_ID = 0x53484B4E
"""In the file's header; identifies tables of this kind."""
VERSION = 1
"""Changes with the tables' structure."""

Row = tuple[Any, ...]


def key_of(name: str) -> str:
    """Return the form in which names are compared: lowercase words without accents."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ø", "o").replace("Ø", "O"))
    return " ".join(keys(words("".join(letter for letter in plain if not unicodedata.combining(letter)))))


class Tables:
    """The open file, if any. Can be used from any thread."""

    def __init__(self, path: Path | None) -> None:
        """Open it; None acts like an empty file. Raises ModelCorrupt."""
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        if path is not None:
            self._connection = _open(path)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def rows(self, query: str, *values: object) -> Sequence[Row]:
        """Run a query; returns nothing from a damaged file."""
        if self._connection is None:
            return ()
        try:
            with self._lock:
                return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            log.error("knowledge=%s fault=unreadable error=%s", FILE, error)
            return ()

    def row(self, query: str, *values: object) -> Row | None:
        """Return the first row of a query."""
        return next(iter(self.rows(query, *values)), None)

    def parts(self) -> Sequence[Row]:
        """Return name, version, license, date, SHA-256 and use of all sources of the file."""
        return self.rows("SELECT name, version, licence, date, sha256, uses FROM part ORDER BY rowid")


_AGAIN = "Make them again: `scripts/knowledge`."


def _open(path: Path) -> sqlite3.Connection:
    """Open it read-only. Raises ModelCorrupt."""
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA mmap_size=33554432")
        marks = [
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        ]
    except sqlite3.Error as error:
        raise ModelCorrupt(f"The knowledge tables {path} cannot be read: {error}.", _AGAIN) from error
    if marks != [APPLICATION_ID, VERSION]:
        connection.close()
        raise ModelCorrupt(f"{path} has no knowledge tables of version {VERSION}.", _AGAIN)
    return connection

"""The tables' file: one SQLite database, opened to read only, in which names are found by their words.

``scripts/knowledge`` makes it. It is somebody else's file as far as this module goes: what it lacks or holds
wrongly gives no answer, and nothing in it is ever run.
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
"""In the file's header: says that these are tables of this kind."""
VERSION = 1
"""Changes when a table does."""

Row = tuple[Any, ...]


def key_of(name: str) -> str:
    """What a name is compared by: its words in small letters, without accents."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ø", "o").replace("Ø", "O"))
    return " ".join(keys(words("".join(letter for letter in plain if not unicodedata.combining(letter)))))


class Tables:
    """The open file, or none. Any thread may ask it."""

    def __init__(self, path: Path | None) -> None:
        """None is a file that has nothing. Raises ModelCorrupt."""
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        if path is not None:
            self._connection = _open(path)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def rows(self, query: str, *values: object) -> Sequence[Row]:
        """What a query finds; nothing from a damaged file."""
        if self._connection is None:
            return ()
        try:
            with self._lock:
                return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            log.error("knowledge=%s fault=unreadable error=%s", FILE, error)
            return ()

    def row(self, query: str, *values: object) -> Row | None:
        """The first row that a query finds."""
        return next(iter(self.rows(query, *values)), None)

    def parts(self) -> Sequence[Row]:
        """Name, version, licence, date, SHA-256 and use of everything that went into the file."""
        return self.rows("SELECT name, version, licence, date, sha256, uses FROM part ORDER BY rowid")


_AGAIN = "Make them again: `scripts/knowledge`."


def _open(path: Path) -> sqlite3.Connection:
    """Open to read only. Raises ModelCorrupt."""
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
        raise ModelCorrupt(f"{path} holds no knowledge tables of version {VERSION}.", _AGAIN)
    return connection

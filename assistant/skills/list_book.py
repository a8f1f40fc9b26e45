"""Shopping lists, to-do lists and notes on disk.

A list exists while something is on it. Names ignore case; ``NOTES`` is a list like any other. Independent of
how people ask for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assistant.runtime.database import Database

NOTES = "notes"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    list TEXT NOT NULL COLLATE NOCASE,
    item TEXT NOT NULL COLLATE NOCASE
);
"""


class ListBook:
    """All lists. Can be used from any thread.

    Every method may raise StateUnavailable, and those that write also StorageFull.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA)

    def close(self) -> None:
        self._database.close()

    def names(self) -> list[str]:
        """Return the names of all lists, oldest first."""
        return [
            row[0] for row in self._database.rows("SELECT list FROM items GROUP BY list ORDER BY min(id)")
        ]

    def items(self, name: str) -> list[str]:
        """Return what is on the list, in the order in which it was added."""
        return [
            row[0] for row in self._database.rows("SELECT item FROM items WHERE list = ? ORDER BY id", name)
        ]

    def add(self, name: str, items: Sequence[str]) -> None:
        """Append to the list. Duplicates are allowed."""
        with self._database.change() as connection:
            connection.executemany(
                "INSERT INTO items (list, item) VALUES (?, ?)", [(name, item) for item in items]
            )

    def remove(self, name: str, items: Sequence[str]) -> list[str]:
        """Take items off the list; returns those that were on it."""
        with self._database.change() as connection:
            return [
                item
                for item in items
                if connection.execute("DELETE FROM items WHERE list = ? AND item = ?", (name, item)).rowcount
            ]

    def remove_last(self, name: str) -> str | None:
        """Take off the most recently added item; None if the list is empty."""
        with self._database.change() as connection:
            row = connection.execute(
                "SELECT id, item FROM items WHERE list = ? ORDER BY id DESC LIMIT 1", (name,)
            ).fetchone()
            if row is None:
                return None
            connection.execute("DELETE FROM items WHERE id = ?", (row[0],))
            return str(row[1])

    def clear(self, name: str) -> int:
        """Empty the list; returns how many items were on it."""
        with self._database.change() as connection:
            return connection.execute("DELETE FROM items WHERE list = ?", (name,)).rowcount

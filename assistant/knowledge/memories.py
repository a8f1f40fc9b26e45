"""What people asked to be remembered: kept on the disk until they ask to forget it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assistant.knowledge import recall
from assistant.knowledge.contract import Fact, Lookup
from assistant.runtime.database import Database, Row
from assistant.text.en import wording
from assistant.text.en.words import Word

_SCHEMA = """
CREATE TABLE IF NOT EXISTS memories (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    text TEXT NOT NULL,
    told_at TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Memory:
    """One thing that somebody told."""

    id: int
    text: str
    """In their words."""
    told_at: datetime

    @property
    def about(self) -> frozenset[str]:
        return recall.stems(self.text)


class MemoryBook:
    """All memories. Any thread may use it.

    Every method may raise StateUnavailable, those that write StorageFull too.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA)
        self._memories = self._read()

    def close(self) -> None:
        self._database.close()

    def all(self) -> Sequence[Memory]:
        """What is remembered, in the order in which it was told."""
        return self._memories

    def add(self, text: str, now: datetime) -> None:
        """Remember; what was told in the same words before is told anew."""
        with self._database.change() as connection:
            connection.execute("DELETE FROM memories WHERE text = ? COLLATE NOCASE", (text,))
            connection.execute(
                "INSERT INTO memories (text, told_at) VALUES (?, ?)",
                (text, now.isoformat(timespec="seconds")),
            )
        self._memories = self._read()

    def find(self, wanted: frozenset[str]) -> Memory | None:
        """What says most closely all that is wanted; of several the one told last."""
        fitting = [memory for memory in self._memories if wanted and wanted <= memory.about]
        return min(fitting, key=lambda memory: (len(memory.about - wanted), -memory.id), default=None)

    def forget(self, memories: Iterable[Memory]) -> None:
        """Forget these."""
        with self._database.change() as connection:
            connection.executemany("DELETE FROM memories WHERE id = ?", [(each.id,) for each in memories])
        self._memories = self._read()

    def _read(self) -> tuple[Memory, ...]:
        query = "SELECT id, text, told_at FROM memories ORDER BY id"
        return tuple(self._database.understood("memories", query, _memory))


def _memory(row: Row) -> Memory:
    """Raises ValueError or TypeError for a row that is damaged."""
    number, text, told_at = row
    if not isinstance(number, int) or not isinstance(text, str):
        raise ValueError("not a memory")
    return Memory(number, text, datetime.fromisoformat(told_at))


class Memories:
    """The topic: memories answer questions."""

    def __init__(self, book: MemoryBook | None) -> None:
        self._book = book
        self.readers = {"memory": self._read}

    def lookups(self) -> Iterable[Lookup]:
        return (self.recall_memory,)

    def recall_memory(self, memory: Memory) -> Fact | None:
        told = f"you, on {wording.calendar_day(memory.told_at)}"
        return Fact(f"You told me that {recall.to_them(memory.text)}.", told)

    def _read(self, words: Sequence[Word]) -> Memory | None:
        return self._book.find(recall.asked(words)) if self._book else None

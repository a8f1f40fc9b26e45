"""A small SQLite file that must survive a pulled plug.

Written ahead (WAL) and flushed at every change (``synchronous=FULL``), so what was answered is
on the disk. Private to its owner. Knows nothing of what is kept in it. Any thread may use it;
calls wait for each other.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from assistant.core.errors import AssistantError, StateUnavailable, StorageFull

log = logging.getLogger(__name__)

Row = tuple[Any, ...]

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Database:
    """One open file. ``schema`` are statements that may run again on a file that has them."""

    def __init__(self, path: Path, schema: str) -> None:
        """Open or create it, readable by its owner only.

        A damaged file is set aside with the ending ``.damaged`` and a new one begun: an
        appliance with an empty list is worth more than one that does not start.
        Raises StateUnavailable when its folder cannot be written, StorageFull.
        """
        self.path = path
        self.was_damaged = False
        """The file that was there had to be set aside."""
        self._lock = threading.RLock()
        with _plain_errors(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._connection = _open(path, schema)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError) or not path.stat().st_size:
                    raise
                log.error("file=%s fault=damaged action=set-aside error=%s", path.name, error)
                _set_aside(path)
                self.was_damaged = True
                self._connection = _open(path, schema)

    def rows(self, query: str, *values: object) -> list[Row]:
        """What a query finds. Raises StateUnavailable."""
        with self._lock, _plain_errors(self.path):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """All changes made inside are on the disk afterwards, or none.

        Raises StorageFull, StateUnavailable.
        """
        with self._lock, _plain_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def _open(path: Path, schema: str) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    path.chmod(0o600)
    connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        connection.text_factory = _text
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("integrity_check failed")
        _require_ours(connection, schema)
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _text(raw: bytes) -> str:
    """A damaged letter must not keep the other rows from being read."""
    return raw.decode("utf-8", "replace")


def _require_ours(connection: sqlite3.Connection, schema: str) -> None:
    """Raises DatabaseError when the file holds anything that this program does not make.

    Triggers, views and computed columns would act whenever somebody reads or writes.
    """
    with closing(sqlite3.connect(":memory:")) as empty:
        empty.executescript(schema)
        ours = {name: _columns(empty, name) for _, name, _ in _objects(empty)}
    found = _objects(connection)
    for kind, name, made_by in found:
        if kind != "table" or name not in ours or not made_by.upper().startswith("CREATE TABLE"):
            raise sqlite3.DatabaseError(f"it holds a {kind} that is not ours")
        if not set(ours[name]) <= set(columns := _columns(connection, name)) or any(columns.values()):
            raise sqlite3.DatabaseError("its columns are not ours")
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    if not found and pages > 1:
        raise sqlite3.DatabaseError("its tables are gone")


def _objects(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    return [(str(kind), str(name), str(sql)) for kind, name, sql in connection.execute(query)]


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, int]:
    """Name -> whether it is hidden or computed."""
    rows = connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,))
    return {str(name): int(hidden) for name, hidden in rows}


def _set_aside(path: Path) -> None:
    """Keep the damaged file for its owner; of several, the newest."""
    for ending in ("", "-wal", "-shm"):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.replace(path.with_name(f"{path.name}.damaged{ending}"))


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except AssistantError:
        raise
    except (sqlite3.Error, OSError, OverflowError) as error:
        if "disk is full" in str(error) or getattr(error, "errno", None) in _NO_SPACE:
            raise StorageFull(
                "It could not be saved because the disk is full.",
                f"Free some space where {path.parent} lies.",
            ) from error
        raise StateUnavailable(
            f"{path.name} cannot be used: {error}.",
            f"Check that {path.parent} can be written and that the disk is healthy.",
        ) from error

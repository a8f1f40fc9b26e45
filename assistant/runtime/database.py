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
from contextlib import contextmanager
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
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA trusted_schema=OFF")
        if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("quick_check failed")
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection


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
    except (sqlite3.Error, OSError) as error:
        if "disk is full" in str(error) or getattr(error, "errno", None) in _NO_SPACE:
            raise StorageFull(
                "It could not be saved because the disk is full.",
                f"Free some space where {path.parent} lies.",
            ) from error
        raise StateUnavailable(
            f"{path.name} cannot be used: {error}.",
            f"Check that {path.parent} can be written and that the disk is healthy.",
        ) from error

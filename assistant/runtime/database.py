"""A small SQLite file that survives a power cut.

It uses write-ahead logging (WAL) and flushes every change (``synchronous=FULL``), so anything confirmed is on
disk. Private to its owner. Independent of its content. Can be used from any thread; calls wait for each
other.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from assistant.core.errors import AssistantError, StateUnavailable, StorageFull

log = logging.getLogger(__name__)

T = TypeVar("T")
Row = tuple[Any, ...]

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Database:
    """One open file. ``schema`` is a list of statements that are safe to run again."""

    def __init__(self, path: Path, schema: str) -> None:
        """Open or create it, readable only by its owner.

        A damaged file is renamed with the extension ``.damaged`` and a new one is started: an appliance with
        an empty list is better than one that doesn't start. Where nothing can be written, the contents can
        be read, and every change is refused until writing works again. Raises StateUnavailable if it can't
        be used for another reason.
        """
        self.path = path
        self._schema = schema
        self.fault: AssistantError | None = None
        """Why nothing can be written now."""
        self.was_damaged = False
        """True if the existing file had to be set aside."""
        self._lock = threading.RLock()
        try:
            self._connection = self._opened()
        except AssistantError as error:
            if not _is_unwritable(error.__cause__):
                raise
            log.error("file=%s fault=unwritable code=%s problem=%s", path.name, error.code, error)
            self.fault = error
            self._connection = _open_to_read(path, schema)

    def _opened(self) -> sqlite3.Connection:
        with _plain_errors(self.path):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                return _open(self.path, self._schema)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError) or not self.path.stat().st_size:
                    raise
                log.error("file=%s fault=damaged action=set-aside error=%s", self.path.name, error)
                _set_aside(self.path)
                self.was_damaged = True
                return _open(self.path, self._schema)

    def rows(self, query: str, *values: object) -> list[Row]:
        """Run a query. Raises StateUnavailable."""
        with self._lock, _plain_errors(self.path):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Apply all changes made inside the block to the disk, or none.

        Raises StorageFull, StateUnavailable.
        """
        with self._lock, _plain_errors(self.path):
            if self.fault:
                connection = self._opened()
                self._connection.close()
                self._connection, self.fault = connection, None
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def understood(self, table: str, query: str, read: Callable[[Row], T]) -> list[T]:
        """What ``read`` makes of each row that ``query`` finds; the row's id comes first.

        Rows of ``table`` for which it raises ValueError, TypeError, OverflowError or OSError are set aside:
        one damaged row holds up nothing. Raises StateUnavailable.
        """
        found, damaged = [], []
        for row in self.rows(query):
            try:
                found.append(read(row))
            except (ValueError, TypeError, OverflowError, OSError):  # noqa: PERF203 - a handful of rows
                damaged.append(row)
        if damaged:
            self._set_rows_aside(table, damaged)
        return found

    def newly_set_aside(self) -> int:
        """How many rows were set aside since this was asked last. Raises StateUnavailable, StorageFull."""
        count = int(self.rows("SELECT count(*) FROM set_aside WHERE told = 0")[0][0])
        if count:
            with self.change() as connection:
                connection.execute("UPDATE set_aside SET told = 1")
        return count

    def _set_rows_aside(self, table: str, rows: list[Row]) -> None:
        log.error("file=%s fault=damaged rows=%d action=set-aside", self.path.name, len(rows))
        try:
            with self.change() as connection:
                for row in rows:
                    kept = repr(row)[:_MOST_KEPT]
                    connection.execute("INSERT INTO set_aside (content, told) VALUES (?, 0)", (kept,))
                    connection.execute(f"DELETE FROM {table} WHERE id IS ?", (row[0],))  # noqa: S608 - ours
        except AssistantError as error:  # a full disk; it is tried again whenever they are looked at
            log.error("file=%s fault=damaged action=left code=%s", self.path.name, error.code)

    def close(self) -> None:
        with self._lock:
            self._connection.close()


_SET_ASIDE = """
CREATE TABLE IF NOT EXISTS set_aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content TEXT NOT NULL,        -- of a row that cannot be understood, for its owner
    told INTEGER NOT NULL         -- whether it was said
);
"""

_MOST_KEPT = 10_000
"""Letters of a damaged row."""

_MAGIC = b"SQLite format 3\0"


def _open(path: Path, own_schema: str) -> sqlite3.Connection:
    schema = own_schema + _SET_ASIDE
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    path.chmod(0o600)
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if head and head != _MAGIC:  # SQLite takes a stump of a file for a new one
        raise sqlite3.DatabaseError("it is not a database")
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
    except UnicodeDecodeError as error:  # SQLite quotes what is damaged
        connection.close()
        raise sqlite3.DatabaseError("its schema is damaged") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _is_unwritable(error: BaseException | None) -> bool:
    """Whether there is no place to write, for now or for good."""
    if isinstance(error, sqlite3.OperationalError):
        reasons = ("readonly", "read-only", "disk is full", "disk I/O", "unable to open")
        return any(reason in str(error) for reason in reasons)
    return isinstance(error, OSError) and error.errno in _UNWRITABLE


_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENOENT, *_NO_SPACE)


def _open_to_read(path: Path, schema: str) -> sqlite3.Connection:
    """What is on the disk, to be read only; empty where that cannot be read either."""
    try:
        place = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(place, uri=True, isolation_level=None, check_same_thread=False)
        connection.text_factory = _text
        _require_ours(connection, schema)
        if _objects(connection):
            return connection
        connection.close()
    except sqlite3.Error as error:
        log.error("file=%s fault=unreadable error=%s", path.name, error)
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(schema)
    return connection


def _text(raw: bytes) -> str:
    """Decode text so that a damaged character doesn't make other rows unreadable."""
    return raw.decode("utf-8", "replace")


def _require_ours(connection: sqlite3.Connection, schema: str) -> None:
    """Raise DatabaseError if the file contains anything that this program doesn't create.

    Triggers, views and computed columns would run whenever the file is read or written.
    """
    with closing(sqlite3.connect(":memory:")) as empty:
        empty.executescript(schema)
        ours = {name: _columns(empty, name) for _, name, _ in _objects(empty)}
    found = _objects(connection)
    for kind, name, made_by in found:
        if kind != "table" or name not in ours or not made_by.upper().startswith("CREATE TABLE"):
            raise sqlite3.DatabaseError(f"it contains a {kind} that isn't ours")
        if not set(ours[name]) <= set(columns := _columns(connection, name)) or any(columns.values()):
            raise sqlite3.DatabaseError("its columns aren't ours")
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    if not found and pages > 1:
        raise sqlite3.DatabaseError("its tables are missing")


def _objects(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    return [(str(kind), str(name), str(sql)) for kind, name, sql in connection.execute(query)]


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, int]:
    """Return column name -> nonzero if it is hidden or computed."""
    rows = connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,))
    return {str(name): int(hidden) for name, hidden in rows}


def _set_aside(path: Path) -> None:
    """Keep the damaged file for its owner; only the newest if there are several."""
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
    except (sqlite3.Error, OSError, OverflowError, UnicodeDecodeError) as error:
        if "disk is full" in str(error) or getattr(error, "errno", None) in _NO_SPACE:
            raise StorageFull(
                "It could not be saved because the disk is full.",
                f"Free some space where {path.parent} lies.",
            ) from error
        if getattr(error, "errno", None) == errno.EROFS or "readonly" in str(error):
            raise StateUnavailable(
                "It could not be saved because the file system is read-only.",
                f"Make {path.parent} writable; a worn-out SD card turns read-only.",
            ) from error
        raise StateUnavailable(
            f"{path.name} cannot be used: {error}.",
            f"Check that {path.parent} is writable and that the disk is healthy.",
        ) from error

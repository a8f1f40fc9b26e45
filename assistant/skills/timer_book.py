"""Timers, alarms and reminders on disk: never lost, never rung twice, correct after clock changes.

There are two kinds of time. A requested *duration* counts on the clock since boot, which nobody can set and
which continues during suspend; its wall time is stored as well, for after a reboot, and follows the wall
clock when that is corrected. A requested *time of day* is stored as local time, so that seven o'clock stays
seven o'clock across daylight saving changes. An entry is removed only after its ringing was acknowledged.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from assistant.core.errors import AssistantError
from assistant.runtime.database import Database, Row

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["timer", "alarm", "reminder"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS timers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    duration_s REAL,              -- as asked for; for the words "your ten minute timer"
    local TEXT,                   -- wall time without a zone, ISO; NULL counts down instead
    every TEXT NOT NULL,          -- weekdays on which it repeats, '0' is Monday
    due_utc_s REAL,               -- for what counts down: when it ends by the wall clock
    due_boot_s REAL,              -- and by the clock since boot; of a paused one, what is left
    boot_id TEXT                  -- of this boot; 'paused' while it is
);
"""

_KINDS = ("timer", "alarm", "reminder")
_MOST_NAME = 10_000
_SELECT = "SELECT id, kind, name, duration_s, local, every, due_utc_s, due_boot_s, boot_id FROM timers"
_PAUSED = "paused"

LONGEST = timedelta(days=366)
"""Longest duration of a timer, and furthest time of day ahead."""

_POSSIBLE_S = 10 * LONGEST.total_seconds()
"""An appliance may have been off for years."""

_YEARS, _YEARS_S = range(1970, 2200), 230 * LONGEST.total_seconds()
"""When anything may be due, whatever the wall clock shows; the latter in seconds since 1970."""

_SET_S = 2.0
"""The wall clock was set, not merely slewed, if it moves further than this from the boot clock."""


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Clocks:
    """This machine's clocks; tests supply their own."""

    utc_s: Callable[[], float] = time.time
    """Wall time, seconds since 1970; may jump."""
    boot_s: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
    """Seconds since boot, suspend included; never jumps."""
    boot_id: str = ""
    """Changes at every boot; empty reads the kernel's."""
    from_local: Callable[[datetime], float] = datetime.timestamp
    """Local time without a zone to seconds since 1970, in the machine's zone."""
    to_local: Callable[[float], datetime] = datetime.fromtimestamp
    """Seconds since 1970 to local time."""


@dataclass(frozen=True, slots=True)
class Timer:
    """An entry of the book as of this moment."""

    id: int
    kind: Kind
    name: str
    """Its name as the user said it; for a reminder, what to be reminded of; often empty."""
    duration: timedelta | None
    """As requested; None for a time of day."""
    local: datetime | None
    """Wall time without a zone; None for a countdown."""
    every: frozenset[int]
    """Weekdays on which it repeats; Monday is 0."""
    left_s: float
    """Seconds until it rings; negative if that is past."""
    is_paused: bool = False
    """True while ``left_s`` doesn't change."""

    @property
    def ringing(self) -> bool:
        return self.left_s <= 0


class TimerBook:
    """All timers, alarms and reminders. Can be used from any thread.

    Every method may raise StateUnavailable, and those that write also StorageFull.
    """

    def __init__(self, path: Path, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks()
        self._boot_id = self._clocks.boot_id or _boot_id()
        self._database = Database(path, _SCHEMA)
        self._silenced: set[int] = set()
        self._ahead_s = math.nan
        """How far the wall clock was ahead of the boot clock when the entries were last compared with it."""
        self._lost_before = self._database.was_damaged

    def close(self) -> None:
        self._database.close()

    # Setting

    def count_down(self, kind: Kind, duration: timedelta, name: str = "") -> Timer:
        """Ring after ``duration``. Raises TooLong."""
        with self._database.change() as connection:
            return self._count_down(connection, kind, duration, name)

    def _count_down(
        self, connection: sqlite3.Connection, kind: Kind, duration: timedelta, name: str
    ) -> Timer:
        _require_possible(duration)
        seconds = duration.total_seconds()
        utc_s, boot_s = self._clocks.utc_s() + seconds, self._clocks.boot_s() + seconds
        return self._insert(connection, kind, name, seconds, None, "", utc_s, boot_s, self._boot_id)

    def set_for(self, kind: Kind, local: datetime, name: str = "", every: Collection[int] = ()) -> Timer:
        """Set an entry ringing at ``local`` (wall-clock time, no zone) and repeats on weekdays ``every``."""
        days = "".join(str(day) for day in sorted(every))
        with self._database.change() as connection:
            return self._insert(connection, kind, name, None, local.isoformat(), days, None, None, None)

    def _insert(self, connection: sqlite3.Connection, *values: object) -> Timer:
        cursor = connection.execute(
            "INSERT INTO timers (kind, name, duration_s, local, every, due_utc_s, due_boot_s, boot_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        return self._timer((cursor.lastrowid, *values))

    def extend(self, timer: Timer, by: timedelta) -> None:
        """Let it ring later, or sooner; a time of day moves. Raises TooLong."""
        _require_possible(timedelta(seconds=timer.left_s) + by)
        seconds, local = by.total_seconds(), None
        if timer.local:  # by the clock since 1970: right across a daylight saving change
            local = self._clocks.to_local(self._clocks.from_local(timer.local) + seconds).isoformat()
        with self._database.change() as connection:
            connection.execute(
                "UPDATE timers SET due_utc_s = due_utc_s + ?1, due_boot_s = due_boot_s + ?1, local = ?2"
                " WHERE id = ?3",
                (seconds, local, timer.id),
            )

    def pause(self, timer: Timer) -> None:
        """Pause it; one for a time of day counts down from now on, and repeats from its next day."""
        with self._database.change() as connection:
            if timer.local:
                self._put_away(connection, timer)
                self._insert(connection, timer.kind, timer.name, None, None, "", None, timer.left_s, _PAUSED)
            else:
                update = "UPDATE timers SET due_boot_s = ?, boot_id = ? WHERE id = ?"
                connection.execute(update, (timer.left_s, _PAUSED, timer.id))

    def resume(self, timer: Timer) -> None:
        """Resume a paused countdown where it stopped."""
        self._run_for(timer, timer.left_s)

    def restart(self, timer: Timer) -> None:
        """Restart a countdown with its original duration."""
        if timer.duration is not None:
            self._run_for(timer, timer.duration.total_seconds())

    def _run_for(self, timer: Timer, seconds: float) -> None:
        utc_s, boot_s = self._clocks.utc_s() + seconds, self._clocks.boot_s() + seconds
        with self._database.change() as connection:
            connection.execute(
                "UPDATE timers SET due_utc_s = ?1, due_boot_s = ?2, boot_id = ?3 WHERE id = ?4",
                (utc_s, boot_s, self._boot_id, timer.id),
            )

    def cancel(self, timers: Collection[Timer]) -> None:
        """Remove these from the book, repeating ones for good."""
        with self._database.change() as connection:
            connection.executemany("DELETE FROM timers WHERE id = ?", [(timer.id,) for timer in timers])

    # Looking

    def all(self, *kinds: Kind) -> list[Timer]:
        """Return the entries of these kinds (or all), soonest first, including ringing ones."""
        timers = self._entries()
        return sorted(
            (
                timer
                for timer in timers
                if (timer.kind in kinds or not kinds) and timer.id not in self._silenced
            ),
            key=lambda timer: timer.left_s,
        )

    def next_due_s(self) -> float | None:
        """Seconds until the next one rings, 0 if one should be ringing, None if there is none.

        Call it again after each skill, and at least every minute: the wall clock may be set.
        """
        left_s = [timer.left_s for timer in self.all() if not timer.is_paused]
        return max(0.0, left_s[0]) if left_s else None

    # Ringing

    def due(self) -> list[Timer]:
        """Return what should be ringing now; ``-left_s`` is for how long it should have been.

        They stay due, through a crash and a reboot, until acknowledged, snoozed or canceled.
        """
        self._follow_wall_clock()
        self._put_away_silenced()
        return [timer for timer in self.all() if timer.ringing]

    def acknowledge(self, timers: Collection[Timer]) -> None:
        """Record that these have rung. A repeating one is set for its next day.

        They are silent from now on even if that can't be saved, on a full disk: saving is retried whenever
        ``due`` is called.
        """
        self._silenced.update(timer.id for timer in timers)
        self._put_away_silenced()

    def snooze(self, duration: timedelta) -> list[Timer]:
        """Let everything that is ringing ring again after ``duration``; returns the new entries."""
        ringing = [timer for timer in self.all() if timer.ringing]
        with self._database.change() as connection:
            for timer in ringing:
                self._put_away(connection, timer)
            return [self._count_down(connection, timer.kind, duration, timer.name) for timer in ringing]

    def _put_away_silenced(self) -> None:
        if not self._silenced:
            return
        try:
            timers = self._entries()
            with self._database.change() as connection:
                for timer in timers:
                    if timer.id in self._silenced:
                        self._put_away(connection, timer)
        except AssistantError as error:
            log.error("timers=%d action=silenced-only code=%s", len(self._silenced), error.code)
        else:
            self._silenced.clear()

    def _put_away(self, connection: sqlite3.Connection, timer: Timer) -> None:
        if timer.local and timer.every:
            following = _following(timer.local, timer.every, self._clocks.to_local(self._clocks.utc_s()))
            connection.execute("UPDATE timers SET local = ? WHERE id = ?", (following.isoformat(), timer.id))
        else:
            connection.execute("DELETE FROM timers WHERE id = ?", (timer.id,))

    def damage(self) -> str:
        """A sentence about entries that could not be read, once for each; empty when there are none."""
        if self._lost_before:
            self._lost_before = False
            return "My timers were damaged, and had to be begun anew."
        count = self._database.newly_set_aside()
        entries = "An entry" if count == 1 else f"{count} entries"
        return f"{entries} of my timers could not be read." if count else ""

    def _entries(self) -> list[Timer]:
        """All except those that are many years away, because the wall clock is wrong for now."""
        timers = self._database.understood("timers", _SELECT, self._timer)
        return [timer for timer in timers if abs(timer.left_s) < _POSSIBLE_S]

    # Clocks

    def _timer(self, row: Row) -> Timer:
        """Raises ValueError, TypeError, OverflowError or OSError for a row that is damaged."""
        number, kind, name, seconds, local_text, every, due_utc_s, due_boot_s, boot_id = row
        if kind not in _KINDS or not isinstance(number, int) or not isinstance(name, str):
            raise ValueError("not an entry")
        if len(name) > _MOST_NAME or not isinstance(every, str):
            raise ValueError("not an entry")
        local = datetime.fromisoformat(local_text) if local_text else None
        if local:
            is_possible = local.tzinfo is None and local.year in _YEARS
            left_s = self._clocks.from_local(local) - self._clocks.utc_s()
        elif boot_id == _PAUSED or (boot_id and boot_id == self._boot_id):
            left_s = due_boot_s - (0.0 if boot_id == _PAUSED else self._clocks.boot_s())
            is_possible = abs(left_s) < _POSSIBLE_S
        else:
            is_possible = 0 <= due_utc_s < _YEARS_S
            left_s = due_utc_s - self._clocks.utc_s()
        if not is_possible:  # NaN isn't either; what only the wall clock makes so is no damage
            raise ValueError("it is due at an impossible time")
        days = frozenset(int(day) for day in every)
        if not days <= set(range(7)) or (days and local is None):
            raise ValueError("not a list of weekdays")
        return Timer(
            id=number,
            kind=kind,
            name=name,
            duration=None if seconds is None else timedelta(seconds=seconds),
            local=local,
            every=days,
            left_s=left_s,
            is_paused=boot_id == _PAUSED,
        )

    def _follow_wall_clock(self) -> None:
        """Adjust the stored wall times of countdowns after the wall clock was set."""
        ahead_s = self._clocks.utc_s() - self._clocks.boot_s()
        if abs(ahead_s - self._ahead_s) < _SET_S / 2:
            return  # asked every second, all day
        self._ahead_s = ahead_s
        stale = (
            "boot_id = ?1 AND boot_id != '' AND due_boot_s IS NOT NULL"
            " AND abs(due_boot_s + ?2 - due_utc_s) > ?3"
        )
        values = (self._boot_id, ahead_s, _SET_S)
        if self._database.rows(f"SELECT id FROM timers WHERE {stale}", *values):  # noqa: S608 - no input
            with self._database.change() as connection:
                connection.execute(f"UPDATE timers SET due_utc_s = due_boot_s + ?2 WHERE {stale}", values)  # noqa: S608


class TooLong(AssistantError):
    """The timer is longer than LONGEST."""


def _require_possible(duration: timedelta) -> None:
    if duration > LONGEST:
        raise TooLong(
            f"The longest timer I can set is {LONGEST.days} days.", "Set a shorter one, or an alarm."
        )


def _following(local: datetime, every: Collection[int], now: datetime) -> datetime:
    """Return the first time after ``local`` and after ``now`` on one of these weekdays."""
    ahead = max(0, (now.date() - local.date()).days)
    days = (local + timedelta(days=ahead + more) for more in range(9))
    return next(day for day in days if day.weekday() in every and day > max(local, now))

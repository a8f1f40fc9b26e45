"""Never lost, never rung twice, right when clocks jump."""

from __future__ import annotations

import os
import sqlite3
import stat
import time as system_time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from assistant.core.errors import StateUnavailable, StorageFull
from assistant.skills.timer_book import Clocks, TimerBook
from tests.skills.conftest import Time

MINUTE = timedelta(minutes=1)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "timers.db"


@pytest.fixture
def book(path: Path, time: Time) -> Iterator[TimerBook]:
    book = TimerBook(path, time.clocks())
    yield book
    book.close()


def names(book: TimerBook) -> list[str]:
    return [timer.name for timer in book.all()]


def test_a_timer_rings_when_its_time_is_over_and_until_acknowledged(book: TimerBook, time: Time) -> None:
    book.count_down("timer", 10 * MINUTE, "pasta")
    time.run(599)
    assert book.due() == []
    assert book.next_due_s() == pytest.approx(1)
    time.run(2)
    [ringing] = book.due()
    assert ringing.name == "pasta"
    assert ringing.left_s == pytest.approx(-1)
    assert book.next_due_s() == 0
    assert book.due() == [ringing]
    book.acknowledge([ringing])
    assert book.due() == []
    assert book.all() == []
    assert book.next_due_s() is None


def test_the_soonest_comes_first(book: TimerBook) -> None:
    book.count_down("timer", 10 * MINUTE, "late")
    book.count_down("timer", 1 * MINUTE, "soon")
    book.set_for("alarm", datetime(2025, 11, 23, 16, 15), "alarm")  # noqa: DTZ001
    assert names(book) == ["soon", "alarm", "late"]
    assert [timer.name for timer in book.all("alarm")] == ["alarm"]


def test_setting_the_wall_clock_does_not_move_a_countdown(book: TimerBook, time: Time) -> None:
    book.count_down("timer", 10 * MINUTE)
    time.wall += timedelta(hours=5)
    assert book.due() == []
    time.run(601)
    assert len(book.due()) == 1


def test_an_alarm_follows_the_wall_clock(book: TimerBook, time: Time) -> None:
    book.set_for("alarm", datetime(2025, 11, 23, 20, 0))  # noqa: DTZ001
    time.wall += timedelta(hours=4)  # the network's time arrives late on a board without a clock
    [missed] = book.due()
    assert missed.left_s == pytest.approx(-600)


def test_a_wall_clock_that_is_decades_off_costs_nothing(path: Path, time: Time, book: TimerBook) -> None:
    book.set_for("alarm", datetime(2025, 11, 24, 7, 0), "up", range(5))  # noqa: DTZ001
    book.set_for("reminder", datetime(2025, 11, 24, 8, 0), "bin")  # noqa: DTZ001
    book.count_down("timer", 600 * MINUTE, "roast")
    book.close()
    now, time.boot_s = time.wall, 5.0
    for year in (1970, 2070):
        time.wall = now.replace(year=year)
        book = TimerBook(path, time.clocks("second boot"))
        assert book.due() == []
        assert book.all() == []
        assert not book.damage()
        time.wall = now  # the network's time has arrived
        assert set(names(book)) == {"up", "bin", "roast"}
        assert book.due() == []
        book.close()


def test_a_timer_for_a_time_of_day_is_extended(book: TimerBook, time: Time) -> None:
    book.set_for("timer", datetime(2025, 11, 23, 16, 30), "tea")  # noqa: DTZ001
    [before] = book.all()
    book.extend(before, 10 * MINUTE)
    [after] = book.all()
    assert after.left_s == pytest.approx(before.left_s + 600)
    assert after.local == datetime(2025, 11, 23, 16, 40)  # noqa: DTZ001
    book.extend(after, -20 * MINUTE)
    assert book.all()[0].left_s == pytest.approx(before.left_s - 600)
    time.run(before.left_s - 599)
    assert len(book.due()) == 1


def test_a_timer_for_a_time_of_day_is_paused(book: TimerBook, time: Time) -> None:
    book.set_for("timer", datetime(2025, 11, 23, 16, 30), "tea")  # noqa: DTZ001
    [before] = book.all()
    book.pause(before)
    time.run(5 * 3600)
    [paused] = book.all()
    assert (paused.name, paused.is_paused) == ("tea", True)
    assert paused.left_s == pytest.approx(before.left_s)
    book.resume(paused)
    time.run(before.left_s - 1)
    assert book.due() == []
    time.run(2)
    assert [timer.name for timer in book.due()] == ["tea"]


def test_a_paused_repeating_timer_still_repeats(book: TimerBook) -> None:
    book.set_for("timer", datetime(2025, 11, 23, 16, 30), "tea", range(7))  # noqa: DTZ001
    book.pause(book.all()[0])
    [paused, repeating] = book.all()
    assert (paused.is_paused, paused.every) == (True, frozenset())
    assert repeating.local == datetime(2025, 11, 24, 16, 30)  # noqa: DTZ001
    assert repeating.every == frozenset(range(7))


def test_after_a_reboot_a_countdown_goes_by_the_wall_clock_as_it_was_corrected(
    path: Path, time: Time, book: TimerBook
) -> None:
    book.count_down("timer", 60 * MINUTE)
    time.wall += timedelta(days=300)
    book.due()  # the loop looks into the book now and then
    book.close()
    time.wall += timedelta(minutes=20)  # switched off
    time.boot_s = 5.0
    again = TimerBook(path, time.clocks("second boot"))
    [timer] = again.all()
    assert timer.left_s == pytest.approx(40 * 60)
    time.run(40 * 60 + 1)
    assert len(again.due()) == 1
    again.close()


def test_an_unknown_boot_never_trusts_the_boot_clock(path: Path, time: Time) -> None:
    clocks = time.clocks()
    for boot_s in (1000.0, 7.0):
        unknown = TimerBook(path, Clocks(clocks.utc_s, lambda boot_s=boot_s: boot_s, "", clocks.from_local))  # type: ignore[misc]
        unknown._boot_id = ""
        if boot_s == 1000.0:
            unknown.count_down("timer", 10 * MINUTE)
        assert unknown.all()[0].left_s == pytest.approx(600)
        unknown.close()


def test_what_rang_and_was_not_acknowledged_rings_again_after_a_crash(
    path: Path, time: Time, book: TimerBook
) -> None:
    book.count_down("timer", MINUTE, "tea")
    time.run(61)
    assert len(book.due()) == 1
    after_crash = TimerBook(path, time.clocks())
    [ringing] = after_crash.due()
    after_crash.acknowledge([ringing])
    after_crash.close()
    once_more = TimerBook(path, time.clocks())
    assert once_more.due() == []
    once_more.close()


def test_snoozing_silences_all_that_rings_and_rings_again(book: TimerBook, time: Time) -> None:
    book.count_down("timer", MINUTE, "tea")
    book.set_for("alarm", datetime(2025, 11, 23, 16, 11), "up")  # noqa: DTZ001
    book.count_down("timer", 60 * MINUTE, "roast")
    time.run(70)
    assert {timer.name for timer in book.snooze(9 * MINUTE)} == {"tea", "up"}
    assert book.due() == []
    time.run(9 * 60)
    assert {timer.name for timer in book.due()} == {"tea", "up"}
    assert {timer.kind for timer in book.due()} == {"timer", "alarm"}


def test_a_repeating_alarm_is_set_for_its_next_day(book: TimerBook, time: Time) -> None:
    book.set_for("alarm", datetime(2025, 11, 28, 7, 0), every=range(5))  # noqa: DTZ001 - a Friday
    time.wall = time.wall.replace(day=28, hour=7, minute=1)
    book.acknowledge(book.due())
    [alarm] = book.all()
    assert alarm.local == datetime(2025, 12, 1, 7, 0)  # noqa: DTZ001 - the Monday
    assert not alarm.ringing


def test_a_repeating_alarm_missed_for_days_rings_once(book: TimerBook, time: Time) -> None:
    book.set_for("alarm", datetime(2025, 11, 24, 7, 0), every=range(7))  # noqa: DTZ001
    time.wall += timedelta(days=10)
    assert len(book.due()) == 1
    book.acknowledge(book.due())
    assert book.due() == []
    [alarm] = book.all()
    assert alarm.local == datetime(2025, 12, 4, 7, 0)  # noqa: DTZ001


def test_snoozing_a_repeating_alarm_keeps_its_repetition(book: TimerBook, time: Time) -> None:
    book.set_for("alarm", datetime(2025, 11, 24, 7, 0), every=range(7))  # noqa: DTZ001
    time.wall = time.wall.replace(day=24, hour=7, minute=0)
    book.snooze(9 * MINUTE)
    assert [timer.duration for timer in book.all()] == [9 * MINUTE, None]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine is in Berlin, by the rule for its zone, so that no zone files are needed."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    system_time.tzset()
    yield
    monkeypatch.undo()
    system_time.tzset()


@pytest.mark.parametrize(
    ("set_on", "rings_at_utc"),
    [
        (datetime(2026, 3, 28, 22, 0), "2026-03-29T05:00"),  # noqa: DTZ001 - summer time begins that night
        (datetime(2026, 10, 24, 22, 0), "2026-10-25T06:00"),  # noqa: DTZ001 - and ends
    ],
)
def test_seven_is_seven_across_daylight_saving(
    path: Path, berlin: None, set_on: datetime, rings_at_utc: str
) -> None:
    now_s = set_on.timestamp()
    book = TimerBook(path, Clocks(utc_s=lambda: now_s, boot_s=lambda: now_s, boot_id="boot"))
    seven = (set_on + timedelta(days=1)).replace(hour=7, minute=0)
    left_s = book.set_for("alarm", seven).left_s
    assert now_s + left_s == datetime.fromisoformat(f"{rings_at_utc}+00:00").timestamp()
    book.close()


def test_a_countdown_over_daylight_saving_keeps_its_length(path: Path, berlin: None) -> None:
    now_s = datetime(2026, 3, 29, 1, 30).timestamp()  # noqa: DTZ001 - half an hour before the jump
    book = TimerBook(path, Clocks(utc_s=lambda: now_s, boot_s=lambda: now_s, boot_id="boot"))
    assert book.count_down("timer", 60 * MINUTE).left_s == 3600
    book.close()


def test_extending_and_canceling(book: TimerBook, time: Time) -> None:
    pasta = book.count_down("timer", 10 * MINUTE, "pasta")
    book.extend(pasta, 5 * MINUTE)
    assert book.all()[0].left_s == pytest.approx(15 * 60)
    book.cancel([pasta])
    assert book.all() == []


def test_only_the_owner_can_read_it(book: TimerBook, path: Path) -> None:
    book.count_down("timer", MINUTE)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_it_is_written_ahead_and_flushed_at_every_change(book: TimerBook) -> None:
    assert book._database.rows("PRAGMA journal_mode") == [("wal",)]
    assert book._database.rows("PRAGMA synchronous") == [(2,)]


@pytest.mark.parametrize("damage", [b"not a database at all, just words" * 50, None])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(
    path: Path, time: Time, damage: bytes | None
) -> None:
    first = TimerBook(path, time.clocks())
    for number in range(50):
        first.count_down("timer", MINUTE, f"timer {number}" * 20)
    first.close()
    content = bytearray(path.read_bytes())
    if damage is None:
        content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(damage or bytes(content))
    book = TimerBook(path, time.clocks())
    book.count_down("timer", MINUTE, "new")
    assert names(book) == ["new"]
    assert path.with_name("timers.db.damaged").exists()
    book.close()


def test_a_folder_that_cannot_be_used_is_a_plain_error(tmp_path: Path, time: Time) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateUnavailable):
        TimerBook(tmp_path / "file" / "timers.db", time.clocks())


def test_a_change_is_whole_or_not_at_all(book: TimerBook) -> None:
    book.count_down("timer", MINUTE, "first")

    def fail_half_way() -> None:
        with book._database.change() as connection:
            connection.execute("DELETE FROM timers")
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    book.count_down("timer", 2 * MINUTE, "second")
    assert names(book) == ["first", "second"]


def fill_the_disk(book: TimerBook) -> None:
    """Make SQLite refuse to grow the file, as it does on a full disk."""
    connection = book._database._connection
    [(pages,)] = connection.execute("PRAGMA page_count").fetchall()
    connection.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_refuses_a_timer_and_keeps_the_others(book: TimerBook) -> None:
    book.count_down("timer", MINUTE, "first")
    fill_the_disk(book)
    with pytest.raises(StorageFull):
        book.count_down("timer", MINUTE, "x" * 20_000)
    assert names(book) == ["first"]


def test_acknowledged_is_silent_even_where_it_cannot_be_written(
    book: TimerBook, path: Path, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    book.count_down("timer", MINUTE, "tea")
    time.run(61)
    ringing = book.due()
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    book._database._connection.execute("PRAGMA busy_timeout = 10")
    book.acknowledge(ringing)
    assert book.due() == []
    assert book.next_due_s() is None
    assert "action=silenced-only" in caplog.text
    assert "tea" not in caplog.text
    blocker.execute("ROLLBACK")
    blocker.close()
    assert book.due() == []
    again = TimerBook(path, time.clocks())
    assert again.due() == []
    again.close()

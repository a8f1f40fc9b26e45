"""Rates and times, and what a terminal and a log show of them."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

import pytest

from assistant.store import progress as module
from assistant.store.progress import Meter, Progress, Terminal, describe, duration, megabytes, timed
from tests.store.site import Heard


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Time that goes on when told to."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def run(
    steps: int,
    watch: Callable[[Progress], None],
    *,
    clock: Clock | None = None,
    step_s: float = 1.0,
    heard: Heard,
) -> None:
    clock = clock or Clock()
    meter = Meter("Downloading x", steps * 1_000_000, heard, clock)
    for _ in range(steps):
        clock.now_s += step_s
        meter.add(1_000_000)
        for seen in heard.seen[-1:]:
            watch(seen)


def test_rate_and_remaining(heard: Heard) -> None:
    run(20, lambda _: None, heard=heard)
    halfway = heard.seen[9]
    assert halfway.bytes_per_s == pytest.approx(1_000_000)
    assert halfway.remaining_s == pytest.approx(10)
    assert heard.seen[-1].remaining_s == 0


def test_rate_is_of_the_last_seconds(heard: Heard) -> None:
    clock = Clock()
    meter = Meter("Downloading x", 200_000_000, heard, clock)
    for size in [10_000_000] * 10 + [100_000] * 20:
        clock.now_s += 1
        meter.add(size)
    assert heard.seen[-1].bytes_per_s == pytest.approx(100_000)


def test_resumed_bytes_count_as_done_and_not_as_fast(heard: Heard) -> None:
    clock = Clock()
    meter = Meter("Downloading x", 100_000_000, heard, clock)
    meter.skip(90_000_000)
    clock.now_s += 1
    meter.add(1_000_000)
    assert heard.seen[-1].done_bytes == 91_000_000
    assert heard.seen[-1].bytes_per_s == pytest.approx(1_000_000)


def test_bytes_that_are_lost_again(heard: Heard) -> None:
    clock = Clock()
    meter = Meter("Downloading x", 10, heard, clock)
    clock.now_s += 1
    meter.add(9)
    meter.skip(-9)
    clock.now_s += 1
    meter.add(1)
    assert heard.seen[-1].done_bytes == 1


def test_terminal_keeps_one_line_and_takes_it_away(heard: Heard) -> None:
    stream = Tty()
    terminal = Terminal(stream)
    run(10, terminal.progress, heard=heard)
    assert stream.getvalue().count("\n") == 0
    assert stream.getvalue().count("\r") == 9
    assert "50 %" in stream.getvalue()
    terminal.note("done")
    assert stream.getvalue().endswith("\r\x1b[Kdone\n")


def test_log_gets_a_line_now_and_then(heard: Heard) -> None:
    stream = io.StringIO()
    clock = Clock()
    run(30, Terminal(stream, clock).progress, clock=clock, heard=heard)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 7
    assert all(line.startswith("Downloading x: ") and "MB/s" in line for line in lines[:-1])
    assert lines[-1] == "Downloading x: 100 % of 30 MB, done in 30 s"
    assert "\r" not in stream.getvalue()


def test_short_work_is_silent(heard: Heard) -> None:
    for stream in (Tty(), io.StringIO()):
        run(10, Terminal(stream).progress, step_s=0.1, heard=heard)
        assert stream.getvalue() == ""


def test_alternating_work_does_not_fill_the_log() -> None:
    stream, clock = io.StringIO(), Clock()
    terminal = Terminal(stream, clock)
    for second in range(20):
        clock.now_s += 1
        terminal.progress(Progress("Downloading", 5 + second, 100, 2.0 + second, 1.0))
        terminal.progress(Progress("Unpacking", 10, 10, 2.0, 1.0))
    assert len(stream.getvalue().splitlines()) == 4
    terminal.progress(Progress("Downloading", 100, 100, 22.0, 1.0))
    assert stream.getvalue().splitlines()[-1] == "Downloading: 100 % of 1 kB, done in 22 s"


def test_stall_is_said() -> None:
    assert describe(Progress("X", 5, 10, 3.0, 0.0)) == "X: 50 % of 1 kB, waiting"


@pytest.mark.parametrize(
    ("rate", "unit", "said"),
    [
        (0.3312, "questions", "0.33 questions/s"),
        (0.021, "questions", "0.021 questions/s"),
        (7.26, "questions", "7.3 questions/s"),
        (1234.5, "questions", "1,234 questions/s"),
        (3_200_000.4, "bytes", "3.2 MB/s"),
        (4_000.0, "bytes", "4 kB/s"),
    ],
)
def test_what_is_slow_is_not_told_as_nothing(rate: float, unit: str, said: str) -> None:
    assert f", {said}, " in describe(Progress("X", 1, 3_000_000, 3.0, rate, unit))


def test_work_that_counts_nothing_tells_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()

    class Listener(Heard):
        def progress(self, progress: Progress) -> None:
            super().progress(progress)
            told.set()

    monkeypatch.setattr(module, "TELL_EVERY_S", 0.01)
    heard = Listener()
    with timed("Writing it", heard):
        assert told.wait(60)
    running, *_, done = heard.seen
    assert describe(running) == "Writing it: 0 s"
    assert describe(done) == "Writing it: done in 0 s"
    assert describe(Progress("Writing it", 0, 1, 83.0, 0.0, "")) == "Writing it: 1 min 23 s"


def test_what_fails_is_not_told_as_done(heard: Heard) -> None:
    with pytest.raises(ValueError, match="no"), timed("Writing it", heard):
        raise ValueError("no")
    assert heard.seen == []


@pytest.mark.parametrize(
    ("count", "said"),
    [(491_400_064, "491 MB"), (2_345_678, "2.3 MB"), (4_794, "5 kB"), (1, "1 kB"), (0, "0 kB")],
)
def test_megabytes(count: int, said: str) -> None:
    assert megabytes(count) == said


@pytest.mark.parametrize(("seconds", "said"), [(15.2, "15 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said

"""Progress of a long task, and its display in a terminal.

Independent of what the task is: it counts bytes. A ``Meter`` belongs to one task and reports to a
``Watcher``; ``Terminal`` is the watcher that users see.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TextIO

from assistant.runtime.harmless import one_line, underlying

RATE_WINDOW_S = 8.0
"""Window for the rate: long enough to be steady, short enough to notice a stall."""

REPORT_EVERY_S = 0.2
"""People cannot read faster."""

TELL_EVERY_S = 1.0
"""For tasks that count nothing, and show only elapsed seconds."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of one task."""

    what: str
    """What is being done, as shown to the user."""
    done_bytes: int
    total_bytes: int
    elapsed_s: float
    """Seconds since the task began."""
    bytes_per_s: float
    """Average over the last few seconds; 0 during a stall."""
    unit: str = "bytes"
    """What is counted instead of bytes, such as "tokens"; empty if nothing can be counted."""

    @property
    def remaining_s(self) -> float | None:
        """Estimated seconds left; None during a stall."""
        left = self.total_bytes - self.done_bytes
        return left / self.bytes_per_s if self.bytes_per_s > 0 else None


class Watcher(Protocol):
    """Receives progress reports."""

    def progress(self, progress: Progress) -> None:
        """Called a few times a second, and once when the task is done."""

    def note(self, text: str) -> None:
        """Report one line about an event."""


class Unwatched:
    """A watcher that shows nothing."""

    def progress(self, progress: Progress) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class Meter:
    """Counts the bytes of one task."""

    def __init__(
        self,
        what: str,
        total_bytes: int,
        watcher: Watcher,
        clock: Callable[[], float] = time.monotonic,
        unit: str = "bytes",
    ) -> None:
        self._what = what
        self._unit = unit
        self._total = total_bytes
        self._watcher = watcher
        self._clock = clock
        self._done = 0
        self._moved = 0
        self._started_s = self._reported_s = clock()
        self._window = deque([(self._started_s, 0)])

    def add(self, count: int) -> None:
        """Add ``count`` processed bytes."""
        self._moved += count
        self._done += count
        now_s = self._clock()
        if now_s - self._reported_s >= REPORT_EVERY_S or self._done == self._total:
            self._report(now_s)

    def skip(self, count: int) -> None:
        """Add ``count`` bytes that needed no work; negative if they are lost again."""
        self._done += count

    def _report(self, now_s: float) -> None:
        self._reported_s = now_s
        self._window.append((now_s, self._moved))
        while len(self._window) > 2 and now_s - self._window[0][0] > RATE_WINDOW_S:
            self._window.popleft()
        since_s, before = self._window[0]
        rate = (self._moved - before) / (now_s - since_s) if now_s > since_s else 0.0
        done = min(max(self._done, 0), self._total)
        elapsed_s = now_s - self._started_s
        self._watcher.progress(Progress(self._what, done, self._total, elapsed_s, rate, self._unit))


@contextmanager
def timed(what: str, watcher: Watcher) -> Iterator[None]:
    """Report elapsed seconds during a task in which nothing can be counted."""
    meter, over = Meter(what, 1, watcher, unit=""), threading.Event()

    def tell() -> None:
        while not over.wait(TELL_EVERY_S):
            meter.add(0)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
    meter.add(1)


class Terminal:
    """Shows progress on a stream: one updating line on a terminal, an occasional line elsewhere."""

    QUIET_S = 1.5
    """Tasks shorter than this get no line."""
    LINE_EVERY_S = 5.0
    """For a log or a pipe."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = underlying(stream)
        self._clock = clock
        self._live = stream.isatty()
        self._pending = False
        self._what = ""
        self._next_line_s = 0.0

    def progress(self, progress: Progress) -> None:
        if progress.elapsed_s < self.QUIET_S:
            return
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(
                f"\r{one_line(describe(progress))[:width]}\x1b[K"
            )  # ESC [ K clears what is left of it
            self._stream.flush()
            self._pending = True
            return
        finished = progress.done_bytes == progress.total_bytes
        if self._clock() >= self._next_line_s or (finished and progress.what == self._what):
            self._what = "" if finished else progress.what
            self._next_line_s = self._clock() + self.LINE_EVERY_S
            self._stream.write(one_line(describe(progress)) + "\n")
            self._stream.flush()

    def note(self, text: str) -> None:
        self.clear()
        self._stream.write(one_line(text) + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Erase the updating line, so that something else can be printed."""
        if self._pending:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._pending = False


def describe(progress: Progress) -> str:
    """``Downloading x: 34 % of 71 MB, 3.2 MB/s, 15 s left``"""
    finished = progress.done_bytes == progress.total_bytes
    if not progress.unit:
        return f"{progress.what}: {'done in ' if finished else ''}{duration(progress.elapsed_s)}"
    counted = progress.unit != "bytes"
    percent = 100 * progress.done_bytes // max(progress.total_bytes, 1)
    total = f"{progress.total_bytes:,} {progress.unit}" if counted else megabytes(progress.total_bytes)
    text = f"{progress.what}: {percent} % of {total}"
    if finished:
        return f"{text}, done in {duration(progress.elapsed_s)}"
    if progress.remaining_s is None:
        return f"{text}, waiting"
    rate = progress.bytes_per_s
    told = f"{_few_digits(rate)} {progress.unit}" if counted else megabytes(round(rate))
    return f"{text}, {told}/s, {duration(progress.remaining_s)} left"


def _few_digits(count: float) -> str:
    """Format 1,234 or 12; below 10, two significant digits: 3.2, 0.33."""
    return f"{count:,.0f}" if count >= 9.95 else f"{count:.2g}"


def megabytes(count: int) -> str:
    """Format bytes for people: 491 MB, 2.3 MB, 5 kB."""
    if count >= 10_000_000:
        return f"{count / 1e6:,.0f} MB"
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{-(-count // 1000)} kB"


def duration(seconds: float) -> str:
    """Format seconds for people: 15 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

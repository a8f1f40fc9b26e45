"""The process is killed at random moments; no timer is lost and none rings twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from assistant.skills.list_book import ListBook
from assistant.skills.timer_book import TimerBook

KILLS = 15

CHILD = """
import sys
from datetime import timedelta
from pathlib import Path
from assistant.skills.list_book import ListBook
from assistant.skills.timer_book import TimerBook

folder, run = Path(sys.argv[1]), sys.argv[2]
timers, lists = TimerBook(folder / "timers.db"), ListBook(folder / "lists.db")

def tell(*words):
    print(*words, flush=True)

tell("ready")
number = 0
while True:
    number += 1
    name = f"{run}-{number}"
    tell("adding", name)
    timers.count_down("timer", timedelta(days=1), name)
    tell("added", name)
    lists.add("shopping", [name])
    tell("listed", name)
    # One that rings at once: heard, then acknowledged.
    timers.count_down("alarm", timedelta(microseconds=1), f"ring-{name}")
    for ringing in timers.due():
        tell("rang", ringing.name)
        timers.acknowledge([ringing])
        tell("acknowledged", ringing.name)
"""


def live_and_die(folder: Path, run: int, after_s: float) -> list[list[str]]:
    """Run the child, kill it that long after it is ready, and return what it told."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(run)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    told, _ = child.communicate()
    return [line.split() for line in told.splitlines(keepends=True) if line.endswith("\n")]


def test_killed_at_random_moments_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    moments = random.Random(7)  # noqa: S311 - moments, not secrets
    told = [line for run in range(KILLS) for line in live_and_die(tmp_path, run, moments.uniform(0.0, 0.12))]
    said = {
        word: [name for what, name in told if what == word]
        for word in ("adding", "added", "listed", "acknowledged", "rang")
    }
    assert len(said["added"]) > KILLS, "the children did not live long enough to test anything"

    timers, lists = TimerBook(tmp_path / "timers.db"), ListBook(tmp_path / "lists.db")
    kept = [timer.name for timer in timers.all("timer")]
    assert len(kept) == len(set(kept)), "doubled"
    assert set(said["added"]) <= set(kept), "lost"
    assert set(kept) <= set(said["adding"]), "invented"
    assert set(said["listed"]) <= set(lists.items("shopping"))
    assert len(lists.items("shopping")) == len(set(lists.items("shopping")))

    # What was acknowledged never rings again, in a later life either.
    still_ringing = {timer.name for timer in timers.due()}
    assert not still_ringing & set(said["acknowledged"])
    for name in set(said["acknowledged"]):
        last_rang = max(at for at, line in enumerate(told) if line == ["rang", name])
        assert last_rang < told.index(["acknowledged", name])
    timers.close()
    lists.close()

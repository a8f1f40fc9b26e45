"""Assigns processor cores: one plan for all engines and the event loop.

The engines take turns (``runtime.engine_thread``), so they share their cores, and each has exactly one thread
on every one of them. Wake word, voice activity and the event loop run at the same time: on a small core if
there are any, otherwise on a core the engines leave free. So an audio frame never waits for a model, and a
model's threads, which wait for each other at every step, never wait for an audio frame. With one or two cores
none can be spared, and the kernel decides.

Only Linux lets a program choose its cores; elsewhere only the thread counts apply.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assistant.board import cores
from assistant.board.limits import ROOT, cpu_quota

ENOUGH_TO_SPARE_ONE = 3
"""With two cores, reserving one would halve the engines' speed, while the loop takes only 3 % of a core."""


@dataclass(frozen=True, slots=True)
class CorePlan:
    """Processor numbers by use."""

    engines: tuple[int, ...]
    """For speech to text, the language model and the voice, in turn: one thread on each."""
    loop: tuple[int, ...]
    """For the event loop, the wake word and the VAD; empty means any core."""
    all: tuple[int, ...]
    """All processors this process may use, for everything else and for programs it starts."""
    pinned: bool
    """True if the engines' threads are pinned to their cores."""
    why: str
    """Reason for this plan, shown to the user."""

    def __str__(self) -> str:
        if not self.pinned:
            return (
                f"model threads: one on each of {len(self.engines)} cores, out of "
                f"{len(self.all)} ({self.why})"
            )
        listening = f", {_listed(self.loop)} for listening" if self.loop else ""
        return f"{_listed(self.engines)} for the models{listening} ({self.why})"


def plan(
    root: Path = ROOT, *, most_threads: int = 0, chosen: Collection[int] = (), pin: bool = True
) -> CorePlan:
    """Plan for the cores below ``root``, within what the settings fix. Never raises.

    ``most_threads`` is the largest thread count fixed in the settings, or 0; ``chosen`` are the cores that
    the settings select for the engines. Cores that this process may not use are left out.
    """
    everything = tuple(sorted(cores.allowed_cores(root)))
    big, small = cores.big_cores(root), cores.small_cores(root)
    wanted = tuple(sorted(set(chosen) & set(everything)))
    if not pin or (root == ROOT and not hasattr(os, "sched_setaffinity")):
        why = (
            "pinning is off in the settings"
            if not pin
            else "this system does not let a program choose its cores"
        )
        return CorePlan(wanted or big, (), everything, pinned=False, why=why)
    if wanted:
        rest = tuple(sorted(set(everything) - set(wanted)))
        return CorePlan(wanted, rest, everything, pinned=True, why="chosen in the settings")
    if math.isfinite(quota := cpu_quota(root)):
        why = f"a control group limits this to the time of {quota:g} cores"
        return CorePlan(big, (), everything, pinned=False, why=why)
    if small:
        return CorePlan(big, small, everything, pinned=True, why="small cores do the listening")
    if len(big) >= ENOUGH_TO_SPARE_ONE and most_threads < len(big):
        # The first core also handles most interrupts, which no model thread should wait for.
        loop = tuple(sorted(cores.threads_of(big[0], root)))
        return CorePlan(big[1:], loop, everything, pinned=True, why="one core is reserved for listening")
    why = (
        "too few cores to reserve one for listening"
        if len(big) < ENOUGH_TO_SPARE_ONE
        else "the settings use every core"
    )
    return CorePlan(big, (), everything, pinned=False, why=why)


@contextmanager
def kept_on(processors: Collection[int]) -> Iterator[None]:
    """Pin the calling thread, and threads it starts inside, to these processors; empty changes nothing.

    On exit, the previous affinity is restored.
    """
    if not processors or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def helpers(found: CorePlan) -> ThreadPoolExecutor:
    """Create threads for calls that wait for a disk or a program; they and their children avoid the loop's
    core.
    """
    return ThreadPoolExecutor(thread_name_prefix="helper", initializer=_free, initargs=(found.all,))


def _free(processors: Collection[int]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, processors)


def _listed(processors: Collection[int]) -> str:
    """Format like the kernel: (0, 1, 2, 5) is "cores 0-2,5"."""
    runs: list[list[int]] = []
    for cpu in sorted(processors):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    ranges = ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"core{'s' if len(processors) > 1 else ''} {ranges}"

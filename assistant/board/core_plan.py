"""Which cores compute, and which one listens: one plan for all engines and the loop.

The engines take turns, so they share their cores, and each has a thread on every one of them and no
thread more. Wake word, voice activity and the loop run beside them all the time: on a small core
where there are small ones, else on a core that the engines leave, so that a frame of sound never
waits for a model, nor a model's threads, which wait for each other at every step, for a frame of
sound. With one or two cores there is none to spare, and the kernel decides.

Linux lets a program choose its cores; elsewhere only the thread counts hold.
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
"""Of two cores, one for the loop would halve the engines' speed for the 3 % of a core that the loop takes."""


@dataclass(frozen=True, slots=True)
class CorePlan:
    """Numbers of processors."""

    engines: tuple[int, ...]
    """Speech to text, language model and voice, in turn: one thread on each."""
    loop: tuple[int, ...]
    """The loop, the wake word and the VAD; empty: wherever there is room."""
    all: tuple[int, ...]
    """What this process may use: for everything else, and for programs that it starts."""
    pinned: bool
    """Whether the engines' threads are kept on their cores."""
    why: str
    """For people."""

    def __str__(self) -> str:
        if not self.pinned:
            return f"a thread of the models on {len(self.engines)} of {len(self.all)} cores; {self.why}"
        listening = f", {_listed(self.loop)} for listening" if self.loop else ""
        return f"{_listed(self.engines)} for the models{listening}; {self.why}"


def plan(
    root: Path = ROOT, *, most_threads: int = 0, chosen: Collection[int] = (), pin: bool = True
) -> CorePlan:
    """Plan for the cores below ``root``, as far as the settings leave it open. Never raises.

    ``most_threads`` is the largest count that the settings fix, 0 when they fix none; ``chosen`` are
    cores that they want computed on. What is not allowed to this process is left out.
    """
    everything = tuple(sorted(cores.allowed_cores(root)))
    big, small = cores.big_cores(root), cores.small_cores(root)
    wanted = tuple(sorted(set(chosen) & set(everything)))
    if not pin or (root == ROOT and not hasattr(os, "sched_setaffinity")):
        why = "the settings say so" if not pin else "this system does not let a program choose its cores"
        return CorePlan(wanted or big, (), everything, pinned=False, why=why)
    if wanted:
        rest = tuple(sorted(set(everything) - set(wanted)))
        return CorePlan(wanted, rest, everything, pinned=True, why="chosen in the settings")
    if math.isfinite(quota := cpu_quota(root)):
        why = f"a control group grants the time of {quota:g} cores, whichever they are"
        return CorePlan(big, (), everything, pinned=False, why=why)
    if small:
        return CorePlan(big, small, everything, pinned=True, why="there are small cores for the loop")
    if len(big) >= ENOUGH_TO_SPARE_ONE and most_threads < len(big):
        # The first core also serves most interrupts, which no model's thread should wait for.
        loop = tuple(sorted(cores.threads_of(big[0], root)))
        return CorePlan(big[1:], loop, everything, pinned=True, why="one core is left to the loop")
    why = "too few cores to spare one" if len(big) < ENOUGH_TO_SPARE_ONE else "the settings want every core"
    return CorePlan(big, (), everything, pinned=False, why=why)


@contextmanager
def kept_on(processors: Collection[int]) -> Iterator[None]:
    """Keep the calling thread, and the threads it starts inside, on these; empty changes nothing.

    Where it was before is restored.
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
    """Threads for what may wait for a disk or a program: free of the loop's core, as their children are."""
    return ThreadPoolExecutor(thread_name_prefix="helper", initializer=_free, initargs=(found.all,))


def _free(processors: Collection[int]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, processors)


def _listed(processors: Collection[int]) -> str:
    """As the kernel writes it: (0, 1, 2, 5) is "cores 0-2,5"."""
    runs: list[list[int]] = []
    for cpu in sorted(processors):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    ranges = ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"core{'s' if len(processors) > 1 else ''} {ranges}"

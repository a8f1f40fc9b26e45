"""``assistant bench cores``: which number of threads, pinned or not, generates fastest, alone and next to
others.

Each plan runs in a child process that loads the real language model and generates text, first on an idle
machine, then next to another program that keeps one core busy (a Python loop in a separate process): once
with equal priority, and once with the priority the service has, whose slice has more weight
(systemd/assistant.slice). A nice value gives the same share of a core without privileges, so the busy program
is niced here.

The default plan also generates while another thread recognizes speech or synthesizes a voice at the pace of a
conversation: one second of speech per second. Those engines and the model take turns (``FairLock``), and the
speed by the clock is what remains for the model. Without pauses, they take half of the time or more, which no
choice of cores can recover; for those cases, the speed *in its turn* is reported.
"""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from assistant.app import engines as loading
from assistant.audio.files import read_sound
from assistant.board import core_plan
from assistant.board.cores import allowed_cores, big_cores
from assistant.core.types import SAMPLE_RATE_HZ, Message, Sentence
from assistant.runtime.cancel import Cancel
from assistant.runtime.engine_thread import FairLock
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.child import in_own_process
from assistant.tools.bench.lib.measuring import Document, Result, ratio, table
from assistant.tools.bench.lib.variants import changed

TOKENS = 32
"""Generated per round."""
KEPT = 0.8
"""Fraction of the idle speed that is wanted next to other programs."""
QUESTION = [Message("user", "Tell me a long story about a fox and a hen.")]
SPOKEN = Sentence("The fox went over the hill to see what it could see.")
HEARD = Path(__file__).parents[2] / "cli" / "demo" / "how_old_is_the_brooklyn_bridge.wav"

SERVICE_WEIGHT = 2000
"""CPUWeight in systemd/assistant.slice; other slices have 100."""
_A_STEP = 1.25
"""Each nice level changes a process's share of the CPU by this factor."""

_SPIN = """
import os
import sys
os.nice(int(sys.argv[1]))
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, range(os.cpu_count()))
while True:
    pass
"""
"""Undoes the CPU affinity inherited from its parent."""


BESIDE = {
    "foreign": "a busy program",
    "service": "the same, as the service",
    "stt": "recognition",
    "tts": "the voice",
    "stt_always": "recognition without pause",
    "tts_always": "the voice without pause",
}
"""What runs next to the model, for people."""


@dataclass(frozen=True, slots=True)
class Case:
    """A plan to measure."""

    threads: int
    cores: tuple[int, ...]
    """Cores it is pinned to; empty: not pinned."""
    beside: tuple[str, ...]
    """What runs next to it, one after the other: keys of ``BESIDE``."""

    @property
    def name(self) -> str:
        where = f"kept on {','.join(map(str, self.cores))}" if self.cores else "anywhere"
        return f"{self.threads} thread{'s' if self.threads > 1 else ''}, {where}"


def run(settings: Settings, *, rounds: int, progress: Callable[[str], None]) -> Result:
    """Measure every plan, one after the other. Raises AssistantError if one fails."""
    found = []
    for case in cases(settings):
        progress(case.name)
        found.append({"plan": case.name, "threads": case.threads, **_measured(settings, case, rounds)})
    quiet_best = max(found, key=lambda each: each["quiet"]["clock"])
    steady_best = max(found, key=lambda each: each["service"]["clock"])
    document: Document = {
        "rounds": rounds,
        "plans": found,
        "best_quiet": quiet_best["plan"],
        "best_beside_others": steady_best["plan"],
        "wanted": KEPT,
    }
    return Result(_as_text(document), document)


def cases(settings: Settings) -> list[Case]:
    """Return plans from one thread to one on every big core, pinned and not; the current plan comes first."""
    plan = core_plan.plan(
        most_threads=settings.most_threads, chosen=settings.cores.engines, pin=settings.cores.pin
    )
    big, everything = big_cores(), allowed_cores()
    own = Case(len(plan.engines), plan.engines if plan.pinned else (), tuple(BESIDE))
    others = [
        Case(threads, where, ("foreign", "service"))
        for threads in sorted({1, len(big) // 2 or 1, len(big) - 1 or 1, len(big)})
        for where in ((), big[-threads:])
        if len(everything) > 1 or not where
    ]
    return [own, *(case for case in others if (case.threads, case.cores) != (own.threads, own.cores))]


def _measured(settings: Settings, case: Case, rounds: int) -> Document:
    llm = {"threads": case.threads, "max_tokens": TOKENS, "temperature": 0, "draft_tokens": 0}
    order = {"cores": case.cores, "beside": case.beside, "rounds": rounds}
    return in_own_process(speeds, changed(settings, {"llm": llm}), f"The plan '{case.name}'", **order)


def speeds(settings: Settings, cores: Sequence[int], beside: Sequence[str], rounds: int) -> Document:
    """Measure tokens per second, alone and next to each of ``beside``; runs in a separate process."""
    in_turn = FairLock()
    others: dict[str, Callable[[Settings, FairLock], AbstractContextManager[None]]] = {
        "foreign": lambda *_: _foreign(0),
        "service": lambda *_: _foreign(_niceness(settings.llm.threads)),
        "stt": partial(_recognising, pace=True),
        "tts": partial(_speaking, pace=True),
        "stt_always": _recognising,
        "tts_always": _speaking,
    }
    with core_plan.kept_on(cores):
        llm: Any = loading.load_llm(settings)
        llm.warm_up()
        found = {"quiet": _speed(llm, in_turn, rounds)}
        for name in beside:
            with others[name](settings, in_turn):
                found[name] = _speed(llm, in_turn, rounds)
    llm.close()
    return found


def _speed(llm: Any, in_turn: FairLock, rounds: int) -> Document:
    """Return the median tokens per second after the first token, by the clock and in its turn."""
    clock, own = [], []
    for _ in range(rounds):
        pieces = llm.stream(QUESTION, Cancel())
        next(pieces)
        began_s, worked_s = time.perf_counter(), 0.0
        while True:
            with in_turn:
                turn_s = time.perf_counter()
                piece = next(pieces, None)
                worked_s += time.perf_counter() - turn_s
            if piece is None:
                break
        tokens = llm.usage.tokens_generated - 1
        clock.append(tokens / (time.perf_counter() - began_s))
        own.append(tokens / worked_s)
    return {"clock": round(median(clock), 2), "turn": round(median(own), 2)}


def _niceness(threads: int) -> int:
    """Return the nice value at which a program gets the same share of one core as it would next to the
    service.
    """
    return round(math.log(SERVICE_WEIGHT / threads / 100, _A_STEP))


@contextmanager
def _foreign(niceness: int) -> Iterator[None]:
    """Run another program that never rests, on any core, while the block lasts."""
    with subprocess.Popen([sys.executable, "-c", _SPIN, str(niceness)]) as spinning:  # noqa: S603 - our own interpreter
        try:
            yield
        finally:
            spinning.kill()


@contextmanager
def _recognising(settings: Settings, in_turn: FairLock, *, pace: bool = False) -> Iterator[None]:
    stt = loading.load_stt(settings)
    stt.warm_up()
    speech = read_sound(HEARD)
    pace_s = len(speech) / SAMPLE_RATE_HZ if pace else 0.0

    def hear() -> float:
        stt.transcribe(speech, Cancel())
        return pace_s

    with _again_and_again(hear, in_turn):
        yield
    stt.close()


@contextmanager
def _speaking(settings: Settings, in_turn: FairLock, *, pace: bool = False) -> Iterator[None]:
    tts = loading.load_tts(changed(settings, {"tts": {"phrase_cache": False}}))
    tts.warm_up()

    def speak() -> float:
        pcm = tts.synthesize(SPOKEN, Cancel())
        return len(pcm) / tts.sample_rate_hz if pace else 0.0

    with _again_and_again(speak, in_turn):
        yield
    tts.close()


@contextmanager
def _again_and_again(call: Callable[[], float], in_turn: FairLock) -> Iterator[None]:
    """Call ``call`` repeatedly; it returns after how many seconds, counted from its start, to call it
    again.
    """
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            began_s = time.monotonic()
            with in_turn:
                next_s = call()
            over.wait(max(0.0, began_s + next_s - time.monotonic()))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _as_text(document: Document) -> str:
    rows = []
    for plan in document["plans"]:
        quiet = plan["quiet"]["clock"]
        for name in ("quiet", *BESIDE):
            if speed := plan.get(name):
                kept = ratio(speed["turn" if name.endswith("_always") else "clock"], quiet)
                verdict = "" if name == "quiet" else ("met" if (kept or 0) >= KEPT else "missed")
                beside = BESIDE.get(name, "nothing")
                rows.append((plan["plan"], beside, speed["clock"], speed["turn"], f"{kept:.2f}", verdict))
    head = ("plan", "beside", "tokens/s by the clock", "in its turn", "of quiet", f"at least {KEPT}")
    return (
        f"The language model's speed by plan\n\n{table(head, rows)}\n\n"
        f"best when quiet: {document['best_quiet']}\n"
        f"best beside a busy program: {document['best_beside_others']}"
    )

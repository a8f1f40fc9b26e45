"""``assistant bench cores``: how many threads, kept on cores or not, write fastest here, and beside others.

Each plan is a child process that loads the real language model, writes quietly, and then beside a
foreign program that keeps one core busy (a loop of Python in a process of its own). The default plan
also writes while another thread recognises speech or makes a voice without pause: those engines and
the model take turns (``fair_lock``), so two speeds are told. *In its turn* is the speed while the model
computes; the rest of the time it waits, which no choice of cores can give back: *by the clock* counts
that as well. In a real turn neither runs all the time: recognition is over before the model begins,
and a voice needs 0.07 s for each second that it speaks.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from assistant import loading
from assistant.bench import machine
from assistant.bench.measuring import Document, Result, in_own_process, ratio, table
from assistant.bench.variants import changed
from assistant.board import core_plan
from assistant.board.cores import allowed_cores, big_cores
from assistant.cancel import Cancel
from assistant.errors import AssistantError
from assistant.fair_lock import FairLock
from assistant.settings import Settings
from assistant.types import Message, Sentence

TOKENS = 32
"""Written in a round."""
KEPT = 0.8
"""Of the quiet speed, wanted beside others."""
QUESTION = [Message("user", "Tell me a long story about a fox and a hen.")]
SPOKEN = Sentence("The fox went over the hill to see what it could see.")
HEARD_S = 3

_SPIN = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, range(os.cpu_count()))
while True:
    pass
"""
"""It does not stay on the cores of who started it."""


@dataclass(frozen=True, slots=True)
class Case:
    """A plan to try."""

    threads: int
    cores: tuple[int, ...]
    """Kept on these; empty: anywhere."""
    beside: tuple[str, ...]
    """What runs at the same time, one after the other: "foreign", "stt", "tts"."""

    @property
    def name(self) -> str:
        where = f"kept on {','.join(map(str, self.cores))}" if self.cores else "anywhere"
        return f"{self.threads} thread{'s' if self.threads > 1 else ''}, {where}"


def run(settings: Settings, *, rounds: int, progress: Callable[[str], None]) -> Result:
    """Try every plan, one after the other. Raises AssistantError when one fails."""
    about = machine.describe(settings)
    found = []
    for case in cases(settings):
        progress(case.name)
        found.append({"plan": case.name, "threads": case.threads, **_measured(settings, case, rounds)})
    quiet_best = max(found, key=lambda each: each["quiet"]["clock"])
    steady_best = max(found, key=lambda each: each["foreign"]["clock"])
    document: Document = {
        "bench": "cores",
        "rounds": rounds,
        "plans": found,
        "best_quiet": quiet_best["plan"],
        "best_beside_others": steady_best["plan"],
        "wanted": KEPT,
        **about,
    }
    return Result(_as_text(document), document)


def cases(settings: Settings) -> list[Case]:
    """From one thread to one on every big core, kept on cores and not; the plan in force comes first."""
    plan = core_plan.for_settings(settings)
    big, everything = big_cores(), allowed_cores()
    own = Case(len(plan.engines), plan.engines if plan.pinned else (), ("foreign", "stt", "tts"))
    others = [
        Case(threads, where, ("foreign",))
        for threads in sorted({1, len(big) // 2 or 1, len(big) - 1 or 1, len(big)})
        for where in ((), big[-threads:])
        if len(everything) > 1 or not where
    ]
    return [own, *(case for case in others if (case.threads, case.cores) != (own.threads, own.cores))]


def _measured(settings: Settings, case: Case, rounds: int) -> Document:
    llm = {"threads": case.threads, "max_tokens": TOKENS, "temperature": 0}
    order = {
        "settings": changed(settings, {"llm": llm}).model_dump(mode="json"),
        "cores": case.cores,
        "beside": case.beside,
        "rounds": rounds,
    }
    return in_own_process(__name__, json.dumps(order), f"The plan '{case.name}'")


def in_child() -> None:
    """Measure what standard input orders, and print tokens a second as one line of JSON."""
    order = json.loads(sys.stdin.read())
    settings = Settings.model_validate_json(json.dumps(order["settings"]))
    in_turn = FairLock()
    beside = {"foreign": _foreign, "stt": _recognising, "tts": _speaking}
    try:
        with core_plan.kept_on(order["cores"]):
            llm: Any = loading.load_llm(settings)
            llm.warm_up()
            found = {"quiet": _speed(llm, in_turn, order["rounds"])}
            for name in order["beside"]:
                with beside[name](settings, in_turn):
                    found[name] = _speed(llm, in_turn, order["rounds"])
    except AssistantError as error:
        sys.exit(str(error))
    llm.close()
    sys.stdout.write(json.dumps(found) + "\n")


def _speed(llm: Any, in_turn: FairLock, rounds: int) -> Document:
    """Median tokens a second, by the clock and in its turn, once the first token is there."""
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


@contextmanager
def _foreign(_: Settings, __: FairLock) -> Iterator[None]:
    """Another program that never rests, on whatever core the kernel gives it."""
    with subprocess.Popen([sys.executable, "-c", _SPIN]) as spinning:  # noqa: S603 - our own interpreter
        try:
            yield
        finally:
            spinning.kill()


@contextmanager
def _recognising(settings: Settings, in_turn: FairLock) -> Iterator[None]:
    stt = loading.load_stt(settings)
    stt.warm_up()
    noise = (np.random.default_rng(0).normal(size=16_000 * HEARD_S) * 2000).astype(np.int16)
    with _again_and_again(lambda: stt.transcribe(noise, Cancel()), in_turn):
        yield
    stt.close()


@contextmanager
def _speaking(settings: Settings, in_turn: FairLock) -> Iterator[None]:
    tts = loading.load_tts(changed(settings, {"tts": {"phrase_cache": False}}))
    tts.warm_up()
    with _again_and_again(lambda: tts.synthesize(SPOKEN, Cancel()), in_turn):
        yield
    tts.close()


@contextmanager
def _again_and_again(call: Callable[[], object], in_turn: FairLock) -> Iterator[None]:
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            with in_turn:
                call()

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
        for name in ("quiet", "foreign", "stt", "tts"):
            if speed := plan.get(name):
                kept = ratio(speed["turn"] if name in {"stt", "tts"} else speed["clock"], quiet)
                verdict = "" if name == "quiet" else ("met" if (kept or 0) >= KEPT else "missed")
                beside = {"foreign": "a busy program", "stt": "recognition", "tts": "the voice"}.get(
                    name, "nothing"
                )
                rows.append((plan["plan"], beside, speed["clock"], speed["turn"], f"{kept:.2f}", verdict))
    head = ("plan", "beside", "tokens/s by the clock", "in its turn", "of quiet", f"at least {KEPT}")
    return (
        f"The language model's speed by plan\n{machine.headline(document)}\n\n{table(head, rows)}\n\n"
        f"best when quiet: {document['best_quiet']}\n"
        f"best beside a busy program: {document['best_beside_others']}"
    )

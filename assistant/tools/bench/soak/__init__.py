"""``assistant bench soak``: thousands of turns in virtual time, most of them with faults.

Each turn with faults is followed by one without. The run checks that every question is answered or has a
reason why not, that the appliance returns to sleep soon after, that every confirmed timer rings, that no
silenced timer rings again, and that memory doesn't grow.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from assistant.board import heap
from assistant.core.errors import EngineTimeout
from assistant.core.state import State
from assistant.runtime import clock, paths
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.machine import rss_mb
from assistant.tools.bench.lib.measuring import Document, Result, rounded, table
from assistant.tools.bench.soak.faults import FAULTS
from assistant.tools.bench.soak.home import Home, open_home
from assistant.tools.bench.soak.ledger import Ledger

SLEEPS_WITHIN_S = 8.0
"""Once all faults are over and nothing is being played. The longest wait is the pause between two rings,
7.5 s, in which it listens for commands; otherwise, it is 4 s.
"""

_STUCK_AFTER_S = 120.0

_RESTORED_WITHIN_S = 4000.0

_WARM_UP = 0.1
"""Fraction of the turns after which memory is checked."""

_BLOCK_BYTES = 80
"""A block of Python's allocator has at most 512 bytes, and about this many on average."""

_QUESTIONS = {
    "Why do cats purr?": "llm",
    "What time is it?": "tell_time",
    "What is twelve times twelve?": "calculate",
    "Flip a coin.": "flip_coin",
}


@dataclass
class Tally:
    """The results of a run."""

    turns: int = 0
    answered: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why a question had no answer -> count."""
    slowest_s: float = 0.0
    """The longest time until it slept again."""
    wrong: list[str] = field(default_factory=list)
    """What must not happen; empty if all is well."""


def run(_: Settings, *, turns: int, seed: int, progress: Callable[[str], None]) -> Result:
    """Run ``turns`` turns.

    The same seed produces the same events; over thousands of turns, thread timing may shift some of them.
    """
    heap.return_what_is_freed()
    logging.getLogger("assistant").setLevel(logging.CRITICAL)  # The log would be full of deliberate faults.
    return clock.run(_run(turns, seed, progress), "virtual")


async def _run(turns: int, seed: int, progress: Callable[[str], None]) -> Result:
    random, tally = Random(seed), Tally()  # noqa: S311 - the same faults every time, not secrets
    memory: dict[str, dict[str, float]] = {}
    intents = paths.shipped_folder("config") / "intents" / "en.yaml"
    with tempfile.TemporaryDirectory() as folder:
        async with open_home(Path(folder), intents) as home:
            ledger = Ledger(home)
            await _sleeping(home, tally, "the start")
            while tally.turns < turns:
                await _turn(home, ledger, random, tally)
                if "begin" not in memory and tally.turns >= turns * _WARM_UP:
                    memory["begin"] = _memory_mb()
                if tally.turns % 500 < 2:
                    progress(f"{tally.turns} turns, {len(tally.wrong)} wrong")
            memory["end"] = _memory_mb()
            await ledger.ring_out()
            await _restored(home, tally)
            return _result(seed, tally, ledger, home, memory)


async def _turn(home: Home, ledger: Ledger, random: Random, tally: Tally) -> None:
    """Ask one question, possibly with faults, then another one without."""
    faults = random.choices(list(FAULTS), k=random.choice((0, 1, 1, 1, 2)))
    tally.faults.update(faults)
    await _question(home, ledger, random, tally, faults)
    if faults:
        await _question(home, ledger, random, tally, [])


async def _question(home: Home, ledger: Ledger, random: Random, tally: Tally, faults: list[str]) -> None:
    where = f"turn {tally.turns} ({', '.join(faults) or 'no fault'})"
    tally.turns += 1
    home.forget()
    was_hanging = home.hanging > 0
    words, handled_by = _words(ledger, random)
    happening = [asyncio.ensure_future(_later(fault, home, random)) for fault in faults]
    home.call()
    if random.random() < 0.5:
        await asyncio.sleep(random.uniform(0.6, 1.2))
    home.say(words)
    for failed in await asyncio.gather(*happening, return_exceptions=True):
        if isinstance(failed, Exception):
            tally.wrong.append(f"{where}: {type(failed).__name__}: {failed}")
    await _sleeping(home, tally, where)
    await asyncio.sleep(random.uniform(0, 3))
    await _sleeping(home, tally, where)
    _judge(home, tally, where, handled_by, is_faulty=bool(faults), was_hanging=was_hanging)
    tally.wrong += [f"{where}: {what}" for what in ledger.look()]


def _words(ledger: Ledger, random: Random) -> tuple[str, str]:
    """Return what the person says, and who should answer."""
    chance = random.random()
    if chance < 0.15:
        return ledger.new_timer(random), "set_timer"
    if chance < 0.2:
        return "Stop.", "stop"
    return random.choice(list(_QUESTIONS.items()))


async def _later(fault: str, home: Home, random: Random) -> None:
    await asyncio.sleep(random.uniform(0, 4))
    await FAULTS[fault](home, random)


async def _sleeping(home: Home, tally: Tally, where: str) -> None:
    """Wait until it sleeps; record how long that took after the last sound."""
    now = asyncio.get_running_loop().time
    began_s = quiet_s = now()
    while home.loop.state is not State.SLEEPING or home.microphone.sounding:
        if home.microphone.sounding or home.speaker.is_sounding:
            quiet_s = now()
        if now() - began_s > _STUCK_AFTER_S:
            tally.wrong.append(f"{where}: stuck while {home.loop.state.value}")
            break
        await asyncio.sleep(0.02)
    took_s = now() - quiet_s
    tally.slowest_s = max(tally.slowest_s, took_s)
    if took_s > SLEEPS_WITHIN_S:
        tally.wrong.append(f"{where}: slept after {took_s:.1f} s only")


async def _restored(home: Home, tally: Tally) -> None:
    """Wait until all shed features are restored, which takes at most an hour after many shortages."""
    began_s = asyncio.get_running_loop().time()
    while not home.is_whole:
        if asyncio.get_running_loop().time() - began_s > _RESTORED_WITHIN_S:
            tally.wrong.append(f"still given up at the end: {sorted(home.shortages.now)}")
            return
        await asyncio.sleep(30)


def _judge(
    home: Home, tally: Tally, where: str, handled_by: str, *, is_faulty: bool, was_hanging: bool
) -> None:
    """Check whether the question was answered and, if not, whether there is a reason.

    An engine may have hung on work that nobody waits for; the next question is then the first to notice.
    """
    spoken = [report for report in home.reports if report.handled_by != "announcement"]
    if any(report.handled_by == handled_by and not report.error for report in spoken):
        tally.answered += 1
        return
    reasons = [report.refused or report.error for report in spoken if report.refused or report.error]
    if was_hanging and reasons == [EngineTimeout.code]:
        tally.reasons[f"{EngineTimeout.code}, as an engine hung before it was asked"] += 1
    elif not is_faulty:
        said = [(report.transcript, report.handled_by, report.refused, report.error) for report in spoken]
        tally.wrong.append(f"{where}: not answered by {handled_by}: {said}")
    elif reasons:
        tally.reasons[str(reasons[-1])] += 1
    else:
        lost = home.states & {State.FAULTED, State.MUTED}
        tally.reasons[next(iter(lost)).value if lost else "not heard, or said something else"] += 1


def _memory_mb() -> dict[str, float]:
    """Return the process's memory, the part that the C library could not release, and live objects, in MB.

    The first two grow with the peak of what was needed at once, the last only with what is kept.
    """
    gc.collect()
    has_mb = rss_mb()
    heap.trim()
    return {
        "rss": has_mb,
        "rss_trimmed": rss_mb(),
        "python": sys.getallocatedblocks() * _BLOCK_BYTES / 1e6,
    }


def _result(
    seed: int, tally: Tally, ledger: Ledger, home: Home, memory: dict[str, dict[str, float]]
) -> Result:
    growth = {name: rounded(mb - memory["begin"][name], 2) for name, mb in memory["end"].items()}
    timers = {"set": ledger.confirmed, "lost": len(ledger.lost), "doubled": len(ledger.doubled)}
    document: Document = {
        "seed": seed,
        "turns": tally.turns,
        "answered": tally.answered,
        "not_answered": dict(tally.reasons.most_common()),
        "faults": dict(sorted(tally.faults.items())),
        "engines_rebuilt": home.rebuilt,
        "slowest_back_to_sleep_s": rounded(tally.slowest_s, 2),
        "timers": timers,
        "memory_growth_mb": growth,
        "wrong": [*tally.wrong, *ledger.lost, *ledger.doubled],
    }
    rows = [
        ("turns", tally.turns),
        ("answered", tally.answered),
        *((f"no answer: {reason}", times) for reason, times in tally.reasons.most_common()),
        ("faults", sum(tally.faults.values())),
        ("engines loaded anew", home.rebuilt),
        ("slowest way back to sleep, s", document["slowest_back_to_sleep_s"]),
        *((f"timers {what}", number) for what, number in timers.items()),
        ("memory growth, MB of RSS", growth["rss"]),
        ("... without what the C library can give back", growth["rss_trimmed"]),
        ("... of Python's objects", growth["python"]),
        ("wrong", len(document["wrong"])),
    ]
    return Result("\n".join([table(("soak", ""), rows), *document["wrong"][:20]]), document)

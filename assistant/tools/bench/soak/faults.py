"""The faults in ``bench soak``, one function each: the fault happens to a home, lasts a while, and ends."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from assistant.core import events as e
from assistant.core.errors import AssistantError, EngineFailed
from assistant.runtime import clock
from assistant.tools.bench.soak.home import BUDGET_S, REPLY, SETTINGS, WELL, Home

Fault = Callable[[Home, Random], Coroutine[Any, Any, None]]

_HANGS_S = 60.0
"""Long after every caller has given up, and before the run ends."""

REPLIES = (
    "",
    "   ",
    "**",
    "\u266a \u266a",
    "```\nprint()\n```",
    "minutes, " * 40,
    "1 2 3 4 5 6 7 8 9 " * 8,
    "word" * 200,
)
"""Empty and degenerate answers."""

MISHEARD = ("", " ", "minutes, " * 60, "[BLANK_AUDIO]", "...", "\u00e9\u4e2d\u0000x")


async def _for_a_while(device: object, state: str, seconds: float) -> None:
    setattr(device, state, True)
    await asyncio.sleep(seconds)
    setattr(device, state, False)


async def microphone_pulled(home: Home, random: Random) -> None:
    await _for_a_while(home.microphone, "broken", random.uniform(0.1, 8))


async def microphone_refuses(home: Home, random: Random) -> None:
    """Unplug the microphone; on return, it is busy or supports only another rate."""
    home.microphone.refuses = random.choice(("is busy", "does not support 16000 Hz"))
    await _for_a_while(home.microphone, "broken", random.uniform(0.1, 2))
    await asyncio.sleep(random.uniform(0.1, 6))
    home.microphone.refuses = ""


async def microphone_deaf(home: Home, random: Random) -> None:
    await _for_a_while(home.microphone, "deaf", random.uniform(0.5, 8))


async def microphone_stuck(home: Home, random: Random) -> None:
    await _for_a_while(home.microphone, "stuck", random.uniform(0.1, 2))


async def overruns(home: Home, random: Random) -> None:
    for _ in range(random.randint(1, 5)):
        home.microphone.lose(random.randint(1, 30))
        await asyncio.sleep(random.uniform(0.05, 0.5))


async def speaker_pulled(home: Home, random: Random) -> None:
    await _for_a_while(home.speaker, "broken", random.uniform(0.1, 8))


async def both_pulled(home: Home, random: Random) -> None:
    await asyncio.gather(microphone_pulled(home, random), speaker_pulled(home, random))


async def engine_fails(home: Home, random: Random) -> None:
    """Let an engine fail, with its own error or an unexpected one."""
    kind = random.choice(("stt", "llm", "tts"))
    error: type[Exception] = random.choice((AssistantError, ValueError, MemoryError, RuntimeError))

    def fail() -> None:
        if error is AssistantError:
            raise EngineFailed("It broke.", "Try again.")
        raise error("unforeseen")

    await _fault(home, kind, fail, BUDGET_S)


async def engine_hangs(home: Home, random: Random) -> None:
    loop = asyncio.get_running_loop()
    kind = random.choice(("stt", "llm", "tts"))

    def hang() -> None:
        home.hanging += 1
        clock.occupy(loop, _HANGS_S)
        home.hanging -= 1

    await _fault(home, kind, hang, 4 * BUDGET_S)


async def engine_slow(home: Home, random: Random) -> None:
    loop = asyncio.get_running_loop()
    kind = random.choice(("stt", "llm", "tts"))
    await _fault(home, kind, partial(clock.occupy, loop, random.uniform(0.5, BUDGET_S)), BUDGET_S)


async def _fault(home: Home, kind: str, fault: Callable[[], None], lasts_s: float) -> None:
    """Apply the fault at the engine's next call; if it isn't called, nothing happens."""
    home.faults[kind] = fault
    await asyncio.sleep(lasts_s)
    home.faults.pop(kind, None)


async def degenerate_reply(home: Home, random: Random) -> None:
    home.reply = random.choice(REPLIES)
    await asyncio.sleep(3)
    home.reply = REPLY


async def misheard(home: Home, random: Random) -> None:
    words = dict(home.heard)
    for loudness in words:
        home.heard[loudness] = random.choice(MISHEARD)
    await asyncio.sleep(3)
    home.heard.update(words)


async def clock_jumps(home: Home, random: Random) -> None:
    home.ahead_s += random.choice((-86_400, -3_600, -40, 40, 3_600, 86_400 * 365))


async def disk_full(home: Home, random: Random) -> None:
    """Make every write of the timer database fail, with the database's own error."""
    database = home.timers._database  # noqa: SLF001 - a full disk cannot be had otherwise
    database._connection.set_authorizer(_no_writing)  # noqa: SLF001
    await asyncio.sleep(random.uniform(1, 10))
    database._connection.set_authorizer(lambda *_: sqlite3.SQLITE_OK)  # noqa: SLF001


async def memory_short(home: Home, random: Random) -> None:
    await _strain(home, random, memory_mb=random.uniform(0, 79))


async def memory_slow(home: Home, random: Random) -> None:
    """Report that programs wait for memory, as if a model's weights were read over and over."""
    await _strain(home, random, stalled_percent=random.uniform(21, 100))


async def disk_short(home: Home, random: Random) -> None:
    await _strain(home, random, disk_mb=random.uniform(0, 99))


async def hot(home: Home, random: Random) -> None:
    await _strain(home, random, hot_c=random.uniform(81, 110))


async def _strain(home: Home, random: Random, **values: float) -> None:
    home.reading = replace(home.reading, **values)
    await asyncio.sleep(random.uniform(1, 20))
    home.reading = replace(home.reading, **{key: getattr(WELL, key) for key in values})


def _no_writing(action: int, *_: object) -> int:
    writing = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
    return sqlite3.SQLITE_DENY if action in writing else sqlite3.SQLITE_OK


async def settings_saved(home: Home, random: Random) -> None:
    changed = SETTINGS.model_dump()
    changed["conversation"]["forget_after_s"] = random.uniform(10, 300)
    changed["conversation"]["interruption"] = random.choice(("auto", "wake_word"))
    changed["audio"]["volume"] = random.uniform(0.1, 1)
    await home.reload(type(SETTINGS).model_validate(changed))


async def muted(home: Home, random: Random) -> None:
    home.loop.post(e.Muted())
    await asyncio.sleep(random.uniform(0.1, 5))
    home.loop.post(e.Unmuted())


async def interrupted(home: Home, random: Random) -> None:
    home.say(random.choice(("What time is it?", "Stop.", "And in winter?")))
    await asyncio.sleep(1)


async def noise(home: Home, random: Random) -> None:
    for _ in range(random.randint(1, 4)):
        home.noise()
        await asyncio.sleep(random.uniform(0.1, 1))


async def ordered(home: Home, random: Random) -> None:
    order = random.choice(("say", "ask", "stop", "listen", "status"))
    try:
        await home.orders.obey({"order": order, "text": "What is the capital of France?"})
    except Exception:  # noqa: BLE001 - the control socket answers every one with a reason
        return


async def signalled(home: Home, random: Random) -> None:
    """Send SIGUSR1 twice; if it is muted at the end, unmute it."""
    for _ in range(2):
        home.orders.toggle_mute()
        await asyncio.sleep(random.uniform(0.1, 3))
    home.loop.post(e.Unmuted())


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        *(microphone_pulled, microphone_refuses, microphone_deaf, microphone_stuck, overruns),
        *(speaker_pulled, both_pulled, engine_fails, engine_hangs, engine_slow),
        *(degenerate_reply, misheard, clock_jumps, disk_full, settings_saved),
        *(memory_short, memory_slow, disk_short, hot),
        *(muted, interrupted, noise, ordered, signalled),
    )
}

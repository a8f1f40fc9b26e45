"""Time that skips: waiting costs nothing, work is never cut short."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import pytest

from assistant.runtime import clock
from assistant.runtime.clock import Pace


async def _sleep(seconds: float) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(seconds)
    return loop.time() - began


@pytest.mark.parametrize("pace", ["skipping", "virtual"])
def test_an_hour_passes_at_once(pace: Pace) -> None:
    began = time.monotonic()
    assert clock.run(_sleep(3600), pace) == pytest.approx(3600, abs=1)
    assert time.monotonic() - began < 30


def test_sleepers_wake_in_order() -> None:
    async def main() -> list[int]:
        order: list[int] = []

        async def sleeper(seconds: int) -> None:
            await asyncio.sleep(seconds)
            order.append(seconds)

        await asyncio.gather(*(sleeper(s) for s in (30, 10, 20)))
        return order

    assert clock.run(main(), "virtual") == [10, 20, 30]


@pytest.mark.parametrize("pace", ["skipping", "virtual"])
def test_no_time_is_skipped_while_a_thread_works(pace: Pace) -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        go_on = threading.Event()
        job = loop.run_in_executor(None, go_on.wait)
        clock.hold(loop, job)
        waited = asyncio.ensure_future(asyncio.sleep(1000))
        threading.Timer(0.2, go_on.set).start()
        await job
        return waited.done()

    assert clock.run(main(), pace) is False


def test_scripted_work_takes_virtual_time() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        job = loop.run_in_executor(None, clock.occupy, loop, 5.0)
        clock.hold(loop, job)
        await job
        return loop.time() - began

    assert clock.run(main(), "virtual") == 5.0


def test_what_is_left_running_is_cancelled() -> None:
    ended: list[str] = []

    async def straggler() -> None:
        try:
            await asyncio.sleep(1_000_000)
        finally:
            ended.append("cancelled")

    async def main() -> None:
        asyncio.ensure_future(straggler())  # noqa: RUF006
        await asyncio.sleep(1)

    clock.run(main(), "virtual")
    assert ended == ["cancelled"]


@pytest.mark.parametrize("pace", ["skipping", "virtual"])
def test_ctrl_c_lets_the_program_close_what_it_opened_before_the_rest_is_cancelled(pace: Pace) -> None:
    closed: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.sleep(20)
        finally:
            await asyncio.sleep(0.01)
            closed.append(name)

    async def main() -> None:
        left_over = asyncio.ensure_future(wait("left over"))
        asyncio.get_running_loop().call_later(0.1, signal.raise_signal, signal.SIGINT)
        await wait("program")
        await left_over

    with pytest.raises(KeyboardInterrupt):
        clock.run(main(), pace)
    assert closed == ["program", "left over"]

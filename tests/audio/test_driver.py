"""Calls that hang, return late, fail or are given up; the event loop never waits for any of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from assistant.audio.driver import MOST_STUCK, Driver, within
from assistant.core.errors import DeviceStuck

LIMIT_S = 0.05
PATIENCE_S = 20.0


class Hanging:
    """A driver's call that does not return before it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def __call__(self) -> str:
        self.let_go.wait(PATIENCE_S)
        return "late"


def test_a_call_returns_what_it_returns_and_raises_what_it_raises() -> None:
    async def main() -> None:
        driver = Driver()
        assert await driver.run("open", lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await driver.run("open", lambda: 1 // 0)
        assert driver.stuck_s == 0

    asyncio.run(main())


def test_calls_are_made_one_after_the_other() -> None:
    async def main() -> None:
        driver, inside, most = Driver(), 0, 0

        def call() -> None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            threading.Event().wait(0.001)
            inside -= 1

        await asyncio.gather(*(driver.run("open", call) for _ in range(20)))
        assert most == 1

    asyncio.run(main())


def test_one_that_hangs_is_left_behind_and_the_next_is_made() -> None:
    async def main() -> None:
        told: list[int] = []
        driver, hangs = Driver(on_stuck=lambda: told.append(1)), Hanging()
        with pytest.raises(DeviceStuck, match="open the microphone"):
            await driver.run("open the microphone", hangs, limit_s=LIMIT_S)
        assert driver.stuck_s > 0
        assert told == [1]
        assert await driver.run("open the speaker", lambda: "open") == "open"
        hangs.let_go.set()
        await _until(lambda: driver.stuck_s == 0)

    asyncio.run(main())


def test_those_that_wait_behind_it_are_made_after_all() -> None:
    async def main() -> None:
        driver, hangs = Driver(), Hanging()
        first = asyncio.ensure_future(driver.run("open", hangs, limit_s=LIMIT_S))
        second = asyncio.ensure_future(driver.run("open", lambda: "open", limit_s=PATIENCE_S))
        with pytest.raises(DeviceStuck):
            await first
        assert await second == "open"
        hangs.let_go.set()

    asyncio.run(main())


@pytest.mark.parametrize("cancelled", [True, False])
def test_what_comes_too_late_is_undone(cancelled: bool) -> None:
    async def main() -> None:
        undone: list[str] = []
        driver, hangs = Driver(), Hanging()
        limit_s = PATIENCE_S if cancelled else LIMIT_S
        job = asyncio.ensure_future(driver.run("open", hangs, limit_s=limit_s, undo=undone.append))
        await asyncio.sleep(2 * LIMIT_S)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        assert undone == []
        hangs.let_go.set()
        await _until(lambda: undone == ["late"])

    asyncio.run(main())


def test_what_is_only_slow_gets_more_time_from_then_on() -> None:
    async def main() -> None:
        driver, hangs = Driver(), Hanging()
        with pytest.raises(DeviceStuck):
            await driver.run("open", hangs, limit_s=LIMIT_S)
        await asyncio.sleep(0.2)
        hangs.let_go.set()
        await _until(lambda: driver.stuck_s == 0)
        slow = Hanging()
        asyncio.get_running_loop().call_later(4 * LIMIT_S, slow.let_go.set)
        assert await driver.run("open", slow, limit_s=LIMIT_S) == "late"

    asyncio.run(main())


def test_a_library_that_is_beyond_help_is_not_called_any_more() -> None:
    async def main() -> None:
        driver, hangs = Driver(), Hanging()
        for _ in range(MOST_STUCK):
            with pytest.raises(DeviceStuck):
                await driver.run("open", hangs, limit_s=LIMIT_S)
        called: list[int] = []
        with pytest.raises(DeviceStuck):
            await driver.run("open", lambda: called.append(1))
        assert called == []
        hangs.let_go.set()

    asyncio.run(main())


def test_a_loop_that_ends_leaves_nothing_open() -> None:
    undone: list[str] = []
    driver, hangs = Driver(), Hanging()

    async def main() -> None:
        job = asyncio.ensure_future(driver.run("open", hangs, undo=undone.append))
        await asyncio.sleep(LIMIT_S)
        job.cancel()

    asyncio.run(main())
    hangs.let_go.set()
    asyncio.run(_until(lambda: undone == ["late"] and driver.is_idle))


def test_programs_without_a_loop_do_not_wait_for_ever_either() -> None:
    hangs = Hanging()
    assert within(PATIENCE_S, "list the devices", lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(PATIENCE_S, "list the devices", lambda: 1 // 0)
    with pytest.raises(DeviceStuck, match="list the devices"):
        within(LIMIT_S, "list the devices", hangs)
    hangs.let_go.set()


async def _until(condition: Callable[[], bool]) -> None:
    async def come_true() -> None:
        while not condition():  # noqa: ASYNC110 - watches from outside
            await asyncio.sleep(0.005)

    waiting: Coroutine[Any, Any, None] = come_true()
    await asyncio.wait_for(waiting, PATIENCE_S)

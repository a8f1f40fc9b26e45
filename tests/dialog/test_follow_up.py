"""A wait that is paused, resumed and ended, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from assistant.dialog.follow_up import SpeechTimeout
from assistant.runtime import clock


def ends(story: Callable[[SpeechTimeout], Awaitable[None]]) -> list[float]:
    """When the wait was over, in seconds; ``story`` is what happens to it."""

    async def main() -> list[float]:
        now = asyncio.get_running_loop().time
        over: list[float] = []
        await story(SpeechTimeout(lambda: over.append(round(now(), 3))))
        await asyncio.sleep(100)
        return over

    return clock.run(main(), "virtual")


def test_it_ends_in_its_time_and_once() -> None:
    async def story(timeout: SpeechTimeout) -> None:
        timeout.begin(3)

    assert ends(story) == [3]


def test_while_somebody_may_be_speaking_it_does_not_end() -> None:
    async def story(timeout: SpeechTimeout) -> None:
        timeout.begin(3)
        await asyncio.sleep(2)
        timeout.pause()

    assert ends(story) == []


def test_the_time_that_is_left_is_left() -> None:
    async def story(timeout: SpeechTimeout) -> None:
        timeout.begin(3)
        await asyncio.sleep(1)
        timeout.pause()
        await asyncio.sleep(1)
        assert timeout.resume()

    assert ends(story) == [3]


def test_when_its_time_has_passed_meanwhile_nothing_is_left() -> None:
    async def story(timeout: SpeechTimeout) -> None:
        timeout.begin(3)
        timeout.pause()
        await asyncio.sleep(3)
        assert not timeout.resume()

    assert ends(story) == []


def test_ended_it_has_nothing_left() -> None:
    async def story(timeout: SpeechTimeout) -> None:
        timeout.begin(3)
        timeout.end()
        assert not timeout.resume()

    assert ends(story) == []


def test_a_new_wait_replaces_the_old_one() -> None:
    async def story(timeout: SpeechTimeout) -> None:
        timeout.begin(3)
        await asyncio.sleep(1)
        timeout.begin(5)

    assert ends(story) == [6]

"""When a process with a stuck sound library is replaced by a new one."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from assistant.app import replacement


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacement, "MISSING_S", 0.2)
    monkeypatch.setattr(replacement, "_LOOK_EVERY_S", 0.01)


def test_a_device_that_stays_missing_is_worth_a_new_process() -> None:
    asyncio.run(asyncio.wait_for(replacement.due(lambda: True, lambda: 31.0), 10))


def test_a_device_that_is_opened_again_meanwhile_is_not() -> None:
    missing = itertools.cycle([True, True, False])

    async def wait() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(replacement.due(lambda: next(missing), lambda: 31.0), 1)

    asyncio.run(wait())


def test_a_library_that_is_only_slow_is_not_either() -> None:
    async def wait() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(replacement.due(lambda: True, lambda: 29.0), 1)

    asyncio.run(wait())

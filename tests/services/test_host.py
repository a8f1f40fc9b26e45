"""Services are opened in their time and see the state; a broken one of another package ends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from assistant.core.errors import SettingsError
from assistant.core.events import Unmuted
from assistant.core.state import Observer, State
from assistant.services.control.api import ControlApi
from assistant.services.host import Host, Service, open_services
from assistant.settings.schema import Settings
from tests.extensions import declared_as

TOLD: list[str] = []


@asynccontextmanager
async def _following(host: Host) -> AsyncIterator[None]:
    host.observers.append(lambda _, state: TOLD.append(state.value))
    TOLD.append("open")
    yield
    TOLD.append("closed")


@asynccontextmanager
async def _failing(host: Host) -> AsyncIterator[None]:
    raise OSError("the port is taken")
    yield


@asynccontextmanager
async def _refusing(host: Host) -> AsyncIterator[None]:
    raise SettingsError("There is no such address.", "Name another.")
    yield


EARLY = Service(_following, before_engines=True)
FAILING = Service(_failing)
REFUSING = Service(_refusing)


def opened(before_engines: bool) -> None:
    """Open all services in a house without engines, let one event happen, and close them."""

    def no_pipeline() -> Any:
        raise AssertionError("the engines are not loaded yet")

    async def story() -> None:
        observers: list[Observer] = []
        settings = Settings()
        host = Host(settings, ControlApi(settings), observers, no_pipeline)
        async with AsyncExitStack() as stack:
            await open_services(stack, host, before_engines=before_engines)
            for observer in observers:
                observer(Unmuted(), State.SLEEPING)

    TOLD.clear()
    asyncio.run(story())


def test_a_service_follows_the_state_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    declared_as(monkeypatch, "services", early=f"{__name__}:EARLY", failing=f"{__name__}:FAILING")
    opened(before_engines=True)
    assert TOLD == ["open", "sleeping", "closed"]


def test_one_that_fails_is_named_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    late = f"{__name__}:LATE"
    declared_as(monkeypatch, "services", failing=f"{__name__}:FAILING", late=late)
    monkeypatch.setattr("assistant.services.host._OURS", {})
    opened(before_engines=False)
    assert "service=failing unusable='the port is taken'" in caplog.text
    assert TOLD == ["open", "sleeping", "closed"]


LATE = Service(_following)


def test_one_that_cannot_do_what_the_settings_ask_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    declared_as(monkeypatch, "services", refusing=f"{__name__}:REFUSING")
    monkeypatch.setattr("assistant.services.host._OURS", {})
    with pytest.raises(SettingsError, match="no such address"):
        opened(before_engines=False)

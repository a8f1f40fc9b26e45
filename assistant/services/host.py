"""Services and what they are given.

A service knows its protocol and who is connected; everything else it asks of the ``Host``. It doesn't know
the loop. Another package adds one by an entry point in ``shelf_assistant.services``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from assistant.core.errors import AssistantError
from assistant.core.state import Observer
from assistant.dialog.pipeline import Pipeline
from assistant.runtime.extensions import found, imported
from assistant.services.control.api import ControlApi
from assistant.services.guests import Guests
from assistant.settings.schema import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Host:
    """The running assistant, as services see it."""

    settings: Settings
    """As they were at the start."""
    control: ControlApi
    """Takes orders, such as a press of a button; says what the assistant is doing."""
    observers: list[Observer]
    """Are told each change of the state, from when they are added."""
    pipeline: Callable[[], Pipeline]
    """The engines in use, which answer, transcribe and speak; only once they are warm."""
    guests: Guests = field(default_factory=Guests)
    """Runs what other programs ask for, while nobody in the room needs the assistant."""

    async def answer(self, text: str) -> str:
        """Answer a question or a command as in the room, once nobody there needs the assistant.

        Raises AssistantError.
        """
        await self.guests.wait()
        answer = await self.control.obey({"order": "ask", "text": text})  # once: a skill may act
        return str(answer.get("reply") or "")

    def __post_init__(self) -> None:
        self.observers.append(lambda _, state: self.guests.follow(state))


@dataclass(frozen=True, slots=True)
class Service:
    """One way to reach the assistant."""

    open: Callable[[Host], AbstractAsyncContextManager[None]]
    """Serves while inside. It does nothing unless the settings ask for it, and imports what it needs then."""
    settings: type[Any] | None = None
    """Its own keys, a subclass of ``assistant.settings.section.Section``: ``services: {name: ...}``."""
    before_engines: bool = False
    """Whether it is opened before the engines are loaded."""


_OURS = {name: f"assistant.services.{name}:SERVICE" for name in ("gpio", "http", "wyoming")}


async def open_services(stack: AsyncExitStack, host: Host, *, before_engines: bool) -> None:
    """Open those services, ours first, until the ``stack`` closes.

    Raises the AssistantError of one that can't do what the settings ask; any other fault of a service is
    logged, and the assistant does without it.
    """
    ours: dict[str, Service] = {name: imported(path) for name, path in _OURS.items()}
    for name, service in {**ours, **found("services", Service)}.items():
        if service.before_engines is before_engines:
            try:
                await stack.enter_async_context(service.open(host))
            except AssistantError:
                raise
            except Exception as error:
                log.exception("service=%s unusable=%r", name, str(error))

"""A service: writes what the assistant is doing into a file, for programs that look at files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from assistant.core.events import Event
from assistant.core.state import State
from assistant.services.host import Host, Service
from assistant.settings.section import Section


class StateFileSettings(Section):
    """A file that says what the assistant is doing."""

    path: Path | None = None
    """Where it is; null writes none."""


@asynccontextmanager
async def open_state_file(host: Host) -> AsyncIterator[None]:
    services: Any = host.settings.services
    file: Path | None = services.state_file.path
    if file is None:
        yield
        return

    def follow(_: Event, state: State) -> None:
        file.write_text(state.value)

    host.observers.append(follow)
    try:
        yield
    finally:
        _remove(file)


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)


SERVICE = Service(open_state_file, settings=StateFileSettings)

"""Sound backends: the ways to reach a microphone and a speaker. ``audio.backend`` names the one to use.

Ours is ``device``. Another package adds one by an entry point in ``shelf_assistant.audio`` that leads to a
``Backend``; its name is the entry point's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from assistant.audio import Kind, Microphone, Speaker, nothing_plugs_in
from assistant.audio.echo.reference import Reference
from assistant.runtime.extensions import found, imported
from assistant.settings.schema import AudioSettings


@dataclass(frozen=True, slots=True)
class Devices:
    """A microphone and a speaker, not opened yet."""

    microphone: Microphone
    speaker: Speaker
    reference: Reference | None = None
    """Where the speaker notes what it plays, for the echo canceller; None where no echo is heard."""
    rescan: Callable[[Kind], Awaitable[None]] = nothing_plugs_in
    """Looks anew at what is plugged in, when one of them is missing."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A way to reach a microphone and a speaker."""

    create: str
    """Import path ("package.module:name") of a function that is given the settings of sound and returns
    ``Devices``. It is imported only when it is chosen."""
    settings: type[Any] | None = None
    """Its own keys, a subclass of ``assistant.settings.section.Section``; they are ``audio: {name: ...}``."""


_OURS = {"portaudio": Backend("assistant.audio.device:create")}


def create(settings: AudioSettings) -> Devices:
    """The devices that the settings name. Raises ImportError for what is not installed."""
    backend = {**found("audio", Backend), **_OURS}[settings.backend]
    devices: Devices = imported(backend.create)(settings)
    return devices

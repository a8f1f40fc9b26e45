"""That a person has closed the microphone outlives a crash: a file says so until the end of the boot.

A power cycle opens it again, since that may be the only switch that its owner has.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assistant.core.events import Event, Muted, Unmuted

log = logging.getLogger(__name__)


class MuteMark:
    """Lies at ``file``, in a folder that is emptied at every boot."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def is_set(self) -> bool:
        """Whether the assistant was muted when it last ended unforeseen."""
        return self._file.exists()

    def follow(self, event: Event) -> None:
        """Take note of an event that came true."""
        if isinstance(event, Muted):
            with self._noted():
                self._file.touch(mode=0o600)
        elif isinstance(event, Unmuted):
            self.clear()

    def clear(self) -> None:
        """It is ended on purpose, or hears again."""
        with self._noted():
            self._file.unlink(missing_ok=True)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            log.warning("mute_mark=unwritable reason=%s", error)

"""Saves what was learned about a room across restarts: one file per speaker.

A file contains only the response from that speaker to the microphone as little-endian float32, so nothing in
it can be executed. The canceller checks whether it still fits. If a file cannot be read or written, a line in
the log says so, and the room is learned again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import numpy as np

from assistant.audio.echo.filter import RESPONSE_SAMPLES
from assistant.audio.resample import Samples

log = logging.getLogger(__name__)

_FORMAT = "<f4"

_LOUDEST = 100.0
"""No room's response exceeds its input by forty decibels."""


class EchoMemory:
    """Responses in ``folder``, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, device: str) -> Samples | None:
        """Return the saved response for the speaker of this name, float32 (RESPONSE_SAMPLES,), or None."""
        file = self._file(device)
        try:
            with file.open("rb") as stream:
                data = stream.read(4 * RESPONSE_SAMPLES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("echo_memory=unreadable file=%s reason=%r", file.name, error.strerror)
            return None
        if len(data) != 4 * RESPONSE_SAMPLES:
            log.warning("echo_memory=damaged file=%s bytes=%d", file.name, len(data))
            return None
        response: Samples = np.frombuffer(data, _FORMAT).astype(np.float32)
        # One comparison covers both: NaN isn't smaller either.
        return response if bool((np.abs(response) < _LOUDEST).all()) else None

    def keep(self, device: str, response: Samples) -> None:
        """Save the response for the speaker of this name."""
        file = self._file(device)
        new = file.with_suffix(".new")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(response.astype(_FORMAT).tobytes())
            new.replace(file)
        except OSError as error:
            log.warning("echo_memory=not-kept file=%s reason=%r", file.name, error.strerror)

    def _file(self, device: str) -> Path:
        """Named by a hash, because a device's name is not a safe file name."""
        return self._folder / f"{hashlib.sha256(device.encode()).hexdigest()[:16]}.f32"

"""The sound server as a fixture: this very process then lives in its world."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from assistant.audio import portaudio
from assistant.audio.lines import DRIVER
from assistant.tools.bench.room.sound_server import SoundServer, missing, sound_server


@pytest.fixture(scope="module")
def server() -> Iterator[SoundServer]:
    """A sound server that PortAudio in this process has found."""
    if reason := missing():
        pytest.skip(reason)
    with sound_server() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.env.items():
            patch.setenv(name, value)
        portaudio.rescan()
        yield running
        for _ in range(500):  # what was closed last is closed in its time
            if DRIVER.is_idle:
                break
            time.sleep(0.01)
    portaudio.rescan()

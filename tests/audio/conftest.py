"""The sound server as a fixture: this very process then lives in its world."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from assistant.audio import portaudio
from assistant.bench.sound_server import SoundServer, missing, sound_server


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
    portaudio.rescan()

"""The running assistant recognises and speaks for a Wyoming client, as Home Assistant is one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from assistant.text.word_error import word_error_rate
from assistant.tools.bench.room.sound_server import SoundServer
from tests.cli.test_run_on_devices import running, server

pytest.importorskip("wyoming", reason="needs the extra services")

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.tts import Synthesize

__all__ = ["server"]  # the fixture

pytestmark = [pytest.mark.models, pytest.mark.sound_server]

TEXT = "Dinner is ready in 15 minutes."


async def spoken_and_heard(address: str) -> str:
    """What the assistant understands of what it says."""
    async with AsyncClient.from_uri(address) as client:
        await client.write_event(Synthesize(text=TEXT).event())
        sound: list[Event] = []
        while not sound or not AudioStop.is_type(sound[-1].type):
            event = await client.read_event()
            assert event is not None
            sound.append(event)
        assert AudioStart.is_type(sound[0].type)
        assert sum(AudioChunk.is_type(event.type) for event in sound) == 1, "a chunk a sentence"
        await client.write_event(Transcribe().event())
        for event in sound:
            await client.write_event(event)
        event = await client.read_event()
        assert event is not None
        return Transcript.from_event(event).text


def test_what_it_speaks_for_others_it_understands_for_others(server: SoundServer, tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/wyoming"
    with running(server, tmp_path, ASSISTANT__SERVICES__WYOMING=address) as appliance:
        appliance.logged("wyoming=listening")
        heard = asyncio.run(asyncio.wait_for(spoken_and_heard(address), 60))
    assert word_error_rate(TEXT, heard) <= 0.2, heard

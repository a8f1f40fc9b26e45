"""A real Wyoming client on loopback: words for sound, sound for words, and clients that misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from assistant.core.errors import EngineFailed, SettingsError
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16

pytest.importorskip("wyoming", reason="needs the extra services")

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.handle import Handled
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from assistant.services.wyoming.protocol import LONGEST_S, Offer, serve

T = TypeVar("T")

heard: list[Pcm16] = []


async def transcribe(pcm: Pcm16) -> str:
    heard.append(pcm)
    if not pcm.any():
        raise EngineFailed("It broke.", "Try again.")
    return f"{len(pcm)} samples"


async def speak(text: str) -> AsyncIterator[Pcm16]:
    for sentence in text.split("."):
        if sentence:
            yield np.full(len(sentence), 7, np.int16)


async def nobody_speaks() -> None:
    """People in the room leave the assistant to its clients."""


async def answer(text: str) -> str:
    return f"You said: {text}"


OFFER = Offer("tiny", "joe", "en", transcribe, speak, answer, 22_050, nobody_speaks)


def with_client(folder: Path, talk: Callable[[AsyncClient], Awaitable[T]]) -> T:
    heard.clear()

    async def main() -> T:
        address = f"unix://{folder}/wyoming"
        async with serve(address, OFFER), AsyncClient.from_uri(address) as client:
            return await asyncio.wait_for(talk(client), 10)

    return asyncio.run(main())


def chunk(pcm: Pcm16, rate: int = SAMPLE_RATE_HZ, channels: int = 1) -> AudioChunk:
    return AudioChunk(rate=rate, width=2, channels=channels, audio=pcm.tobytes())


async def say(client: AsyncClient, *chunks: AudioChunk) -> str:
    await client.write_event(Transcribe().event())
    await client.write_event(AudioStart(rate=SAMPLE_RATE_HZ, width=2, channels=1).event())
    for each in chunks:
        await client.write_event(each.event())
    await client.write_event(AudioStop().event())
    event = await client.read_event()
    assert event is not None
    return Error.from_event(event).text if Error.is_type(event.type) else Transcript.from_event(event).text


def test_sound_becomes_words_turn_after_turn(tmp_path: Path) -> None:
    second = np.full(SAMPLE_RATE_HZ, 100, np.int16)

    async def talk(client: AsyncClient) -> list[str]:
        return [await say(client, chunk(second)), await say(client, chunk(second), chunk(second))]

    assert with_client(tmp_path, talk) == ["16000 samples", "32000 samples"]
    assert set(heard[0]) == {100}


def test_sound_of_another_form_is_converted(tmp_path: Path) -> None:
    stereo = np.full(2 * 48_000, 100, np.int16)
    assert with_client(tmp_path, lambda client: say(client, chunk(stereo, 48_000, 2))) == "16000 samples"


def test_endless_sound_is_cut_off(tmp_path: Path) -> None:
    minute = np.full(60 * SAMPLE_RATE_HZ, 100, np.int16)
    text = with_client(tmp_path, lambda client: say(client, *[chunk(minute)] * 2))
    assert text == f"{LONGEST_S * SAMPLE_RATE_HZ} samples"


def test_words_become_sound_sentence_by_sentence(tmp_path: Path) -> None:
    async def talk(client: AsyncClient) -> list[str]:
        await client.write_event(Synthesize(text="One.Three").event())
        events: list[Event] = []
        while not events or not AudioStop.is_type(events[-1].type):
            event = await client.read_event()
            assert event is not None
            events.append(event)
        start = AudioStart.from_event(events[0])
        assert (start.rate, start.width, start.channels) == (22_050, 2, 1)
        return [str(len(AudioChunk.from_event(event).audio) // 2) for event in events[1:-1]]

    assert with_client(tmp_path, talk) == ["3", "5"]


def test_text_that_comes_piece_by_piece_is_spoken_as_it_comes(tmp_path: Path) -> None:
    async def talk(client: AsyncClient) -> list[str]:
        await client.write_event(SynthesizeStart().event())
        for piece in ("One. T", "wo and a", " half. Thr"):
            await client.write_event(SynthesizeChunk(text=piece).event())
        kinds, samples = [], 0
        while samples < len("One") + len("Two and a half"):
            event = await client.read_event()
            assert event is not None
            kinds.append(event.type)
            samples += len(event.payload or b"") // 2
        await client.write_event(Synthesize(text="One. Two and a half. Three.").event())
        await client.write_event(SynthesizeChunk(text="ee.").event())
        await client.write_event(SynthesizeStop().event())
        while kinds[-1] != "synthesize-stopped":
            event = await client.read_event()
            assert event is not None
            kinds.append(event.type)
        return kinds

    chunks = ["audio-chunk"]
    assert with_client(tmp_path, talk) == [
        "audio-start", *chunks * 2, *chunks, "audio-stop", "synthesize-stopped"
    ]  # fmt: skip


def test_a_question_is_answered_and_a_ping_is_returned(tmp_path: Path) -> None:
    async def talk(client: AsyncClient) -> tuple[str | None, str | None]:
        await client.write_event(Transcript(text="What time is it?").event())
        handled = await client.read_event()
        await client.write_event(Ping(text="here").event())
        pong = await client.read_event()
        assert handled is not None
        assert pong is not None
        return Handled.from_event(handled).text, Pong.from_event(pong).text

    assert with_client(tmp_path, talk) == ("You said: What time is it?", "here")


def test_what_there_is_is_described(tmp_path: Path) -> None:
    async def talk(client: AsyncClient) -> Info:
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event is not None
        return Info.from_event(event)

    info = with_client(tmp_path, talk)
    assert info.asr[0].models[0].name == "tiny"
    assert info.tts[0].voices[0].name == "joe"
    assert info.asr[0].models[0].languages == ["en"]


def test_a_failure_is_told_with_its_code(tmp_path: Path) -> None:
    silence = chunk(np.zeros(SAMPLE_RATE_HZ, np.int16))
    assert "engine-failed" in with_client(tmp_path, lambda client: say(client, silence))


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\xff\xfe\x00 not json\n",
        b"{}\n",
        b'{"type": "audio-chunk", "data": {}}\n',
        json.dumps({"type": "synthesize", "data_length": 5}).encode() + b"\nxxxxx",
    ],
)
def test_a_client_that_sends_rubbish_disturbs_nobody(tmp_path: Path, rubbish: bytes) -> None:
    async def main() -> str:
        address = f"unix://{tmp_path}/wyoming"
        async with serve(address, OFFER), AsyncClient.from_uri(address) as client:
            reader, writer = await asyncio.open_unix_connection(tmp_path / "wyoming")
            writer.write(rubbish)
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
            return await say(client, chunk(np.full(160, 9, np.int16)))

    assert asyncio.run(main()) == "160 samples"


@pytest.mark.parametrize("address", ["tcp://127.0.0.1", "here", "http://127.0.0.1:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    async def main() -> None:
        async with serve(address, OFFER):
            pass

    with pytest.raises(SettingsError, match="cannot listen"):
        asyncio.run(main())


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:

        async def main() -> None:
            async with serve(f"tcp://127.0.0.1:{taken.getsockname()[1]}", OFFER):
                pass

        with pytest.raises(SettingsError, match="cannot listen"):
            asyncio.run(main())

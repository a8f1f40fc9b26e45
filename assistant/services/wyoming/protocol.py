"""Wyoming, the protocol of Home Assistant's voice services: speech to text, text to speech, and answers.

Home Assistant, or any other Wyoming client, connects. The protocol itself is the package ``wyoming`` (extra
``services``); engines are known only as the callables in ``Offer``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioChunkConverter, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, async_write_event
from wyoming.handle import Handled
from wyoming.info import (
    AsrModel,
    AsrProgram,
    Attribution,
    Describe,
    HandleModel,
    HandleProgram,
    Info,
    TtsProgram,
    TtsVoice,
)
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped

from assistant import __version__
from assistant.core.errors import AssistantError, SettingsError
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.dialog.sentences import Sentences
from assistant.runtime import unix_socket
from assistant.services.connections import LONGEST_LINE_BYTES, Connection, Connections

log = logging.getLogger(__name__)

LONGEST_S = 60
"""Sound beyond this length is not a command and is not kept."""

LONGEST_CHARS = 5000
"""About six minutes of speech."""

_BYTES_A_SAMPLE = 2
_WIDTHS = (1, 2, 3, 4)
_RATES_HZ = range(8000, 96_001)
_LONGEST_PAYLOAD_BYTES = 2_000_000
"""A minute of sound in our own format, in one piece."""
_MOST_SOUND_BYTES = 16_000_000
"""For all clients together; eight minutes."""
_COMPLETE_WITHIN_S = 10.0
"""For a client's first message, for the rest of a message, and for reading ours."""
_IDLE_S = 120.0
"""A client that sends no message for this long is gone."""
_BACKLOG = 16


@dataclass(frozen=True)
class Offer:
    """What the assistant offers to clients."""

    stt_model: str
    tts_model: str
    language: str
    transcribe: Callable[[Pcm16], Awaitable[str]]
    """Transcribes 16 kHz samples; raises EngineError."""
    speak: Callable[[str], AsyncIterator[Pcm16]]
    """Speaks a text sentence by sentence, as samples at ``voice_rate_hz``; raises EngineError."""
    answer: Callable[[str], Awaitable[str]]
    """Answers a question or a command as in the room. Raises AssistantError."""
    voice_rate_hz: int
    pause: Callable[[], Awaitable[None]]
    """Returns when clients may be served: they wait while someone in the room speaks."""


class _SoundStore:
    """Limits the sound that all clients together have sent and that isn't recognized yet."""

    def __init__(self) -> None:
        self._bytes = 0

    def take(self, count: int) -> None:
        """Reserve space. Raises ValueError if there isn't enough."""
        if count > 0 and self._bytes + count > _MOST_SOUND_BYTES:
            raise ValueError("too much sound at once")
        self._bytes += count


@asynccontextmanager
async def serve(address: str, offer: Offer) -> AsyncIterator[None]:
    """Serve clients at ``address`` (``tcp://127.0.0.1:10300``, ``unix:///run/x``) inside the block.

    Raises SettingsError if the address is invalid or in use.
    """
    try:
        listeners = _listening(address)
    except (OSError, ValueError, OverflowError) as error:
        raise SettingsError(
            f"The Wyoming service cannot listen at {address}: {error}.",
            "Choose a different address in services.wyoming, or null for none.",
        ) from error
    store = _SoundStore()
    connections = Connections("wyoming", listeners, lambda each: _Client(each, offer, store).run())
    log.info("wyoming=listening address=%s", address)
    try:
        yield
    finally:
        await connections.close()
        _take_away(address)


def _take_away(address: str) -> None:
    if address.startswith("unix:"):
        Path(urlsplit(address).path).unlink(missing_ok=True)


def _listening(address: str) -> list[socket.socket]:
    """Open the listening sockets. Raises OSError, ValueError."""
    parts = urlsplit(address)
    if parts.scheme == "unix":
        listeners = [unix_socket.listening(Path(parts.path))]
    elif parts.scheme == "tcp" and parts.hostname and parts.port is not None:
        places = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
        listeners = [socket.create_server(place[4][:2], family=place[0]) for place in places]
    else:
        raise ValueError("it is neither tcp://HOST:PORT nor unix://PATH")
    for listener in listeners:
        listener.listen(_BACKLOG)
    return listeners


async def _read(reader: asyncio.StreamReader, first: bytes) -> Event:
    """Read the message that begins with this byte, within size limits. Raises ValueError."""
    head = json.loads(first + await reader.readline()) if first != b"\n" else None
    if not isinstance(head, dict) or not isinstance(head.get("type"), str):
        raise ValueError("not a Wyoming message")
    data = head.get("data") or {}
    if more := _length(head, "data_length", LONGEST_LINE_BYTES):
        data = {**data, **json.loads(await reader.readexactly(more))}
    payload = None
    if length := _length(head, "payload_length", _LONGEST_PAYLOAD_BYTES):
        payload = await reader.readexactly(length)
    return Event(type=head["type"], data=data, payload=payload)


def _length(head: dict[str, Any], name: str, most: int) -> int:
    length = head.get(name) or 0
    if not isinstance(length, int) or not 0 <= length <= most:
        raise ValueError(f"{name} is out of bounds")
    return length


class _Client:
    """One connection. A client that violates the protocol is told so and dropped; others don't notice."""

    def __init__(self, connection: Connection, offer: Offer, store: _SoundStore) -> None:
        self._connection = connection
        self._offer = offer
        self._store = store
        self._sound = bytearray()
        self._typed: Sentences | None = None
        """Text that arrives piece by piece and is spoken as it comes."""
        self._typed_chars = 0
        self._to_ours = AudioChunkConverter(rate=SAMPLE_RATE_HZ, width=_BYTES_A_SAMPLE, channels=1)

    async def run(self) -> None:
        """Answer messages until the client has no more. Raises ConnectionError and errors from reading."""
        loop = asyncio.get_running_loop()
        patience_s = _COMPLETE_WITHIN_S
        try:
            while True:
                await self._offer.pause()
                too_late = loop.call_later(patience_s, self._connection.hang_up)
                try:
                    first = await self._connection.reader.read(1)
                    too_late.cancel()
                    too_late = loop.call_later(_COMPLETE_WITHIN_S, self._connection.hang_up)
                    event = await _read(self._connection.reader, first) if first else None
                finally:
                    too_late.cancel()
                self._connection.note()
                patience_s = _IDLE_S
                if event is None:
                    return
                self._connection.busy = True
                try:
                    if not await self.handle_event(event):
                        return
                finally:
                    self._connection.busy = False
                    self._connection.note()
        finally:
            self._forget()

    async def write_event(self, event: Event) -> None:
        """Send an event; a client that doesn't read is dropped."""
        too_late = asyncio.get_running_loop().call_later(_COMPLETE_WITHIN_S, self._connection.hang_up)
        try:
            await async_write_event(event, self._connection.writer)
        finally:
            too_late.cancel()

    async def handle_event(self, event: Event) -> bool:
        """Answer one message; False ends the connection."""
        if Describe.is_type(event.type):
            await self.write_event(_info(self._offer).event())
        elif Transcribe.is_type(event.type) or AudioStart.is_type(event.type):
            self._forget()
        elif AudioChunk.is_type(event.type):
            self._hear(AudioChunk.from_event(event))
        elif AudioStop.is_type(event.type):
            return await self._answered(self._transcribe())
        elif Transcript.is_type(event.type):
            return await self._answered(self._handle(Transcript.from_event(event).text))
        elif SynthesizeStart.is_type(event.type):
            self._typed, self._typed_chars = Sentences(begin_with="sentence"), 0
            await self.write_event(AudioStart(**self._form).event())
        elif SynthesizeChunk.is_type(event.type) and self._typed:
            text = SynthesizeChunk.from_event(event).text
            return await self._answered(self._speak_piece(self._typed, text))
        elif SynthesizeStop.is_type(event.type) and self._typed:
            return await self._answered(self._speak_rest(self._typed))
        elif Synthesize.is_type(event.type) and not self._typed:  # otherwise the same text once more
            return await self._answered(self._speak(Synthesize.from_event(event).text))
        elif Ping.is_type(event.type):
            await self.write_event(Pong(text=Ping.from_event(event).text).event())
        return True

    async def _answered(self, answer: Awaitable[None]) -> bool:
        try:
            await answer
        except AssistantError as error:
            log.warning("wyoming=failed code=%s", error.code)
            await self.write_event(Error(text=str(error), code=error.code).event())
            return False
        return True

    def _hear(self, chunk: AudioChunk) -> None:
        if chunk.width not in _WIDTHS or chunk.channels not in (1, 2) or chunk.rate not in _RATES_HZ:
            raise ValueError("unsupported audio format")
        room = LONGEST_S * SAMPLE_RATE_HZ * _BYTES_A_SAMPLE - len(self._sound)
        sound = self._to_ours.convert(chunk).audio[: max(0, room)]
        self._store.take(len(sound))
        self._sound += sound

    def _forget(self) -> None:
        self._store.take(-len(self._sound))
        self._sound.clear()

    async def _transcribe(self) -> None:
        whole = len(self._sound) // _BYTES_A_SAMPLE * _BYTES_A_SAMPLE
        pcm = np.frombuffer(bytes(self._sound[:whole]), dtype="<i2").astype(np.int16)
        self._forget()
        text = await self._offer.transcribe(pcm)
        await self.write_event(Transcript(text=text, language=self._offer.language).event())

    async def _handle(self, text: str) -> None:
        reply = await self._offer.answer(text[:LONGEST_CHARS])
        await self.write_event(Handled(text=reply).event())

    @property
    def _form(self) -> dict[str, int]:
        return {"rate": self._offer.voice_rate_hz, "width": _BYTES_A_SAMPLE, "channels": 1}

    async def _speak(self, text: str) -> None:
        await self.write_event(AudioStart(**self._form).event())
        await self._sound_out(text[:LONGEST_CHARS])
        await self.write_event(AudioStop().event())

    async def _sound_out(self, text: str) -> None:
        async for pcm in self._offer.speak(text):
            await self.write_event(AudioChunk(audio=pcm.astype("<i2").tobytes(), **self._form).event())

    async def _speak_piece(self, typed: Sentences, text: str) -> None:
        piece = text[: max(0, LONGEST_CHARS - self._typed_chars)]
        self._typed_chars += len(piece)
        for sentence in typed.add(piece):
            await self._sound_out(sentence.text)

    async def _speak_rest(self, typed: Sentences) -> None:
        self._typed = None
        for sentence in typed.finish():
            await self._sound_out(sentence.text)
        await self.write_event(AudioStop().event())
        await self.write_event(SynthesizeStopped().event())


def _info(offer: Offer) -> Info:
    here = Attribution(name="Shelf assistant", url="")
    about: dict[str, Any] = {"attribution": here, "installed": True, "version": __version__}
    model = AsrModel(name=offer.stt_model, description="", languages=[offer.language], **about)
    voice = TtsVoice(name=offer.tts_model, description="", languages=[offer.language], **about)
    program: dict[str, Any] = {"name": "shelf-assistant", "description": "Offline speech", **about}
    answers = HandleModel(name="assistant", description="", languages=[offer.language], **about)
    return Info(
        asr=[AsrProgram(models=[model], **program)],
        tts=[TtsProgram(voices=[voice], supports_synthesize_streaming=True, **program)],
        handle=[HandleProgram(models=[answers], supports_home_control=True, **program)],
    )

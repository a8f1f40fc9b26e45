"""Wyoming, the protocol of Home Assistant's voice services: sound in, words out, and the reverse.

Home Assistant, or any other Wyoming client, connects. The protocol itself is the package ``wyoming``
(extra ``services``); engines are known only as the callables in ``Offer``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioChunkConverter, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info, TtsProgram, TtsVoice
from wyoming.server import AsyncEventHandler, AsyncServer
from wyoming.tts import Synthesize

from assistant import __version__
from assistant.core.errors import AssistantError, SettingsError
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16

log = logging.getLogger(__name__)

LONGEST_S = 60
"""More sound than this is no command; what comes after it is not kept."""

LONGEST_CHARS = 5000
"""Some six minutes of speech."""

_BYTES_A_SAMPLE = 2


@dataclass(frozen=True)
class Offer:
    """What the assistant can do for others."""

    stt_model: str
    tts_model: str
    language: str
    transcribe: Callable[[Pcm16], Awaitable[str]]
    """Words in 16 kHz samples; raises EngineError."""
    speak: Callable[[str], AsyncIterator[Pcm16]]
    """A text sentence by sentence as samples at ``voice_rate_hz``; raises EngineError."""
    voice_rate_hz: int


@asynccontextmanager
async def serve(address: str, offer: Offer) -> AsyncIterator[None]:
    """Answer clients at ``address`` (``tcp://127.0.0.1:10300``, ``unix:///run/x``) until left.

    Raises SettingsError when that is no address, or somebody else has it.
    """
    try:
        server = AsyncServer.from_uri(address)
        await server.start(lambda reader, writer: _Client(reader, writer, offer))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The Wyoming service cannot listen at {address}: {error}.",
            "Choose another address in services.wyoming, or null for none.",
        ) from error
    log.info("wyoming=listening address=%s", address)
    try:
        yield
    finally:
        await server.stop()


class _Client(AsyncEventHandler):
    """One connection. A client that breaks the rules is told so and dropped; others do not notice."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, offer: Offer) -> None:
        super().__init__(reader, writer)
        self._offer = offer
        self._sound = bytearray()
        self._to_ours = AudioChunkConverter(rate=SAMPLE_RATE_HZ, width=_BYTES_A_SAMPLE, channels=1)

    async def run(self) -> None:
        try:
            await super().run()
        except (ConnectionError, asyncio.IncompleteReadError):
            log.debug("wyoming=client_gone")
        except Exception as error:  # noqa: BLE001 - whatever a client sends, it ends its own connection only
            log.warning("wyoming=client_dropped reason=%r", error)
            self.writer.close()

    async def handle_event(self, event: Event) -> bool:
        """Answer one message; false ends the connection."""
        if Describe.is_type(event.type):
            await self.write_event(_info(self._offer).event())
        elif Transcribe.is_type(event.type) or AudioStart.is_type(event.type):
            self._sound.clear()
        elif AudioChunk.is_type(event.type):
            self._hear(AudioChunk.from_event(event))
        elif AudioStop.is_type(event.type):
            return await self._answered(self._transcribe())
        elif Synthesize.is_type(event.type):
            return await self._answered(self._speak(Synthesize.from_event(event).text))
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
        room = LONGEST_S * SAMPLE_RATE_HZ * _BYTES_A_SAMPLE - len(self._sound)
        self._sound += self._to_ours.convert(chunk).audio[: max(0, room)]

    async def _transcribe(self) -> None:
        whole = len(self._sound) // _BYTES_A_SAMPLE * _BYTES_A_SAMPLE
        pcm = np.frombuffer(bytes(self._sound[:whole]), dtype="<i2").astype(np.int16)
        self._sound.clear()
        text = await self._offer.transcribe(pcm)
        await self.write_event(Transcript(text=text, language=self._offer.language).event())

    async def _speak(self, text: str) -> None:
        form: dict[str, int] = {"rate": self._offer.voice_rate_hz, "width": _BYTES_A_SAMPLE, "channels": 1}
        await self.write_event(AudioStart(**form).event())
        async for pcm in self._offer.speak(text[:LONGEST_CHARS]):
            await self.write_event(AudioChunk(audio=pcm.astype("<i2").tobytes(), **form).event())
        await self.write_event(AudioStop().event())


def _info(offer: Offer) -> Info:
    here = Attribution(name="Shelf assistant", url="")
    about: dict[str, Any] = {"attribution": here, "installed": True, "version": __version__}
    model = AsrModel(name=offer.stt_model, description="", languages=[offer.language], **about)
    voice = TtsVoice(name=offer.tts_model, description="", languages=[offer.language], **about)
    program: dict[str, Any] = {"name": "shelf-assistant", "description": "Offline speech", **about}
    return Info(asr=[AsrProgram(models=[model], **program)], tts=[TtsProgram(voices=[voice], **program)])

"""The Wyoming service: lets other programs use the recognizer and the voice, which are loaded anyway.

Opened beside the voice loop and closed with it, if the settings contain an address. ``protocol`` is imported
only then: its package is an extra. People in the room have priority (``Guests``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial

from assistant.core.errors import EngineUnavailable
from assistant.core.types import Pcm16
from assistant.dialog.pipeline import Pipeline
from assistant.services.guests import Guests
from assistant.services.host import Host, Service


def opened(pipeline: Callable[[], Pipeline], guests: Guests) -> AbstractAsyncContextManager[None]:
    """Serve while inside, if the settings contain an address; ``pipeline`` returns the current one.

    Raises EngineUnavailable without its package, SettingsError if the address cannot be used.
    """
    address = pipeline().settings.services.wyoming
    if address is None:
        return nullcontext()
    try:
        from assistant.services.wyoming.protocol import Offer, serve  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            "services.wyoming is set, but the package 'wyoming' is not installed.",
            "Install it (scripts/setup run services), or set services.wyoming to null.",
        ) from error
    settings = pipeline().settings
    offer = Offer(
        stt_model=settings.stt.model,
        tts_model=settings.tts.model,
        language=settings.stt.language,
        transcribe=partial(_transcribe, pipeline, guests),
        speak=partial(guests.speak, pipeline),
        voice_rate_hz=pipeline().tts.engine.sample_rate_hz,
        pause=guests.wait,
    )
    return serve(address, offer)


async def _transcribe(pipeline: Callable[[], Pipeline], guests: Guests, pcm: Pcm16) -> str:
    return (await guests.run(lambda: pipeline().transcribe(pcm))).text


@asynccontextmanager
async def _open(host: Host) -> AsyncIterator[None]:
    async with opened(host.pipeline, host.guests):
        yield


SERVICE = Service(_open)

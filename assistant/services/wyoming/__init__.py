"""The Wyoming service: other programs use the recognizer, the voice and the answers.

Opened beside the voice loop if the settings contain an address. ``protocol`` is imported only then: its
package is an extra. People in the room have priority (``Guests``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from assistant.core.errors import EngineUnavailable
from assistant.core.types import Pcm16
from assistant.services.host import Host, Service


@asynccontextmanager
async def _open(host: Host) -> AsyncIterator[None]:
    """Serve while inside. Raises EngineUnavailable without the package, SettingsError for the address."""
    settings = host.settings
    address = settings.services.wyoming
    if address is None:
        yield
        return
    try:
        from assistant.services.wyoming.protocol import Offer, serve  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            "services.wyoming is set, but the package 'wyoming' is not installed.",
            "Install it (scripts/setup run services), or set services.wyoming to null.",
        ) from error
    offer = Offer(
        stt_model=settings.stt.model,
        tts_model=settings.tts.model,
        language=settings.stt.language,
        transcribe=partial(_transcribe, host),
        speak=partial(host.guests.speak, host.pipeline),
        answer=host.answer,
        voice_rate_hz=host.pipeline().tts.engine.sample_rate_hz,
        pause=host.guests.wait,
    )
    async with serve(address, offer):
        yield


async def _transcribe(host: Host, pcm: Pcm16) -> str:
    return (await host.guests.run(lambda: host.pipeline().transcribe(pcm))).text


SERVICE = Service(_open)

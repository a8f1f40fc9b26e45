"""The Wyoming service: other programs use the recogniser and the voice that are warm here anyway.

Opened beside the voice loop and closed with it, where the settings name an address. ``protocol`` is
imported only then: its package is an extra.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from functools import partial

from assistant.core.errors import EngineUnavailable
from assistant.core.types import Pcm16
from assistant.dialog.pipeline import Pipeline
from assistant.dialog.sentences import whole
from assistant.runtime.aio import each


def opened(pipeline: Callable[[], Pipeline]) -> AbstractAsyncContextManager[None]:
    """Serve while inside, if the settings name an address; ``pipeline`` returns the one in use.

    Raises EngineUnavailable without its package, SettingsError when the address cannot be had.
    """
    address = pipeline().settings.services.wyoming
    if address is None:
        return nullcontext()
    try:
        from assistant.services.wyoming.protocol import Offer, serve  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            "services.wyoming is set, and the package 'wyoming' is not installed.",
            "Install it (scripts/setup run services), or set services.wyoming to null.",
        ) from error
    settings = pipeline().settings
    offer = Offer(
        stt_model=settings.stt.model,
        tts_model=settings.tts.model,
        language=settings.stt.language,
        transcribe=partial(_transcribe, pipeline),
        speak=partial(_speak, pipeline),
        voice_rate_hz=pipeline().tts.engine.sample_rate_hz,
    )
    return serve(address, offer)


async def _transcribe(pipeline: Callable[[], Pipeline], pcm: Pcm16) -> str:
    return (await pipeline().transcribe(pcm)).text


async def _speak(pipeline: Callable[[], Pipeline], text: str) -> AsyncIterator[Pcm16]:
    async with aclosing(pipeline().speak(each(whole(text)))) as sounds:
        async for sound in sounds:
            yield sound.pcm

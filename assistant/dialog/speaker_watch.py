"""Keeps the speaker open, and looks for a lost one until it is back.

Posts what happens to it; what is said then is up to the loop. Independent of the microphone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from assistant.audio import Kind, Speaker
from assistant.core.events import Event, SpeakerFound, SpeakerLost
from assistant.dialog.listener import RETRY_FIRST_S, RETRY_LAST_S


class SpeakerWatch:
    """Watches one ``speaker``; ``rescan`` is called before a lost one is reopened."""

    def __init__(
        self, speaker: Speaker, *, post: Callable[[Event], None], rescan: Callable[[Kind], Awaitable[None]]
    ) -> None:
        self._speaker = speaker
        self._post = post
        self._rescan = rescan

    async def watch(self) -> None:
        """Open it and keep it open, until canceled."""
        retry_s = RETRY_FIRST_S
        is_lost = False
        while True:
            try:
                if is_lost:
                    await self._rescan("output")
                await self._speaker.open()
                self._post(SpeakerFound())
                is_lost, retry_s = False, RETRY_FIRST_S
                await self._speaker.lost()
            except Exception as error:  # noqa: BLE001 - whatever it is, the loop must know
                is_lost = True
                self._post(SpeakerLost(error))
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, RETRY_LAST_S)

"""A conversation with recordings: the appliance's own loop, with files as microphone.

Each recording is played when the answer to the previous one has ended, as a person would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from assistant.app.build import open_loop
from assistant.audio.wav import WavMicrophone, WavSpeaker
from assistant.core.events import RecordingEnded
from assistant.core.state import State
from assistant.core.types import Pcm16
from assistant.dialog.loop import VoiceLoop
from assistant.dialog.report import Report
from assistant.settings.schema import Settings

_SURELY_OVER_MS = 300
"""Silence after the longest end-of-turn wait; then nothing more can come of a recording."""


async def converse(
    settings: Settings,
    clips: Sequence[Pcm16],
    output: Path | None,
    on_report: Callable[[Report, float], None],
    *,
    hands_free: bool = False,
) -> Sequence[float]:
    """Hold the conversation and write the answers to ``output``, a WAV file.

    ``on_report`` gets each turn's report and the time at which the first recording began, on the event loop's
    clock in seconds; ``hands_free`` is passed to ``open_loop``. Returns when each recording began. Raises any
    AssistantError that makes it impossible.
    """
    microphone = WavMicrophone(clips)
    speaker = WavSpeaker(output)

    def on_turn(report: Report) -> None:
        on_report(report, microphone.started_s[0])

    async with open_loop(
        settings, microphone, speaker, on_report=on_turn, hands_free=hands_free
    ) as voice_loop:
        await hold(voice_loop, microphone, settings)
    return microphone.started_s


async def hold(voice_loop: VoiceLoop, microphone: WavMicrophone, settings: Settings) -> None:
    """Run a loop with this microphone until all its recordings were played and answered."""
    running = asyncio.ensure_future(voice_loop.run())
    talking = asyncio.ensure_future(_talk(voice_loop, microphone, settings))
    try:
        await asyncio.wait({running, talking}, return_when=asyncio.FIRST_COMPLETED)
        await running
    finally:
        for task in (talking, running):
            task.cancel()
        await asyncio.gather(talking, running, return_exceptions=True)


async def _talk(voice_loop: VoiceLoop, microphone: WavMicrophone, settings: Settings) -> None:
    quiet_s = (settings.endpoint.unfinished_ms + _SURELY_OVER_MS) / 1000
    while True:
        while microphone.sounding:  # noqa: ASYNC110 - the microphone has a schedule, not an event
            await asyncio.sleep(0.02)
        await voice_loop.idle(quiet_s)
        if not microphone.feed_next():
            break
    microphone.finish()
    if voice_loop.state is State.MUTED:
        voice_loop.post(RecordingEnded())  # nobody reads from a closed microphone

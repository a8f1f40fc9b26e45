"""Recordings are spoken to the real loop, one after the other, and what became of each is kept.

The person speaks when the answer before was heard. Timers and lists go to a folder that is
thrown away, and a timer that a recording sets never rings.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.app import build as app
from assistant.app.converse import hold
from assistant.audio.wav import WavMicrophone, WavSpeaker
from assistant.core.events import Unmuted
from assistant.dialog.report import Report
from assistant.settings.schema import Settings
from assistant.skills import Mute
from assistant.tools.bench.lib import machine
from assistant.tools.bench.lib.clips import Clip


@dataclass(slots=True)
class Heard:
    """One turn: its report and what only the machinery knows of it."""

    report: Report
    sound_s: float
    """Seconds of the answer that were heard."""
    usage: Any
    """The language model's ``usage`` of this turn; None where it did not answer or does not count."""


@dataclass(slots=True)
class Said:
    """One recording as it was spoken."""

    clip: Clip
    began_s: float
    """When its first sample was spoken, on the loop's clock."""
    turns: list[Heard] = field(default_factory=list)

    @property
    def end_s(self) -> float:
        """When its last sample of speech was spoken, on the loop's clock."""
        return self.began_s + self.clip.spoken.end_s


@dataclass(slots=True)
class Session:
    """All of it, as far as it went; filled while it goes on."""

    said: list[Said] = field(default_factory=list)
    underruns: int = 0
    """How often an answer fell silent because its next part was not there yet."""
    cpu_s: float = 0.0
    """Processor seconds from the first recording to the last answer."""
    wall_s: float = 0.0
    peak_rss_mb: float = 0.0


async def rehearse(
    settings: Settings,
    clips: Sequence[Clip],
    session: Session,
    *,
    on_turn: Callable[[Said], None] = lambda _: None,
) -> None:
    """Speak ``clips`` to a loop and fill ``session``. ``on_turn`` is told of every turn when it is over."""
    microphone = WavMicrophone([clip.pcm for clip in clips])
    speaker = WavSpeaker(None)
    loop = asyncio.get_running_loop()
    sound_s = 0.0

    def on_report(report: Report) -> None:
        nonlocal sound_s
        context.timers.cancel(context.timers.all())
        if report.outcome and isinstance(report.outcome.action, Mute):
            loop.call_soon(voice_loop.post, Unmuted())  # behind the Muted that follows
        for attempt in (report, *report.discarded):
            attempt.pcm = None  # The appliance would not keep it either, and its memory is measured.
        if "speech_end" not in report.times_s:
            return
        while len(session.said) < len(microphone.started_s):
            number = len(session.said)
            session.said.append(Said(clips[number], microphone.started_s[number]))
        usage = getattr(voice_loop.chain.llm.engine, "usage", None) if report.handled_by == "llm" else None
        session.said[-1].turns.append(Heard(report, speaker.heard_s - sound_s, usage))
        sound_s = speaker.heard_s
        on_turn(session.said[-1])

    with (
        tempfile.TemporaryDirectory() as folder,
        app.skill_context(Path(folder), lambda: speaker.volume) as context,
    ):
        async with app.open_loop(
            settings, microphone, speaker, on_report=on_report, context=context
        ) as voice_loop:
            began_s, cpu_s = loop.time(), machine.cpu_s()
            try:
                await hold(voice_loop, microphone, settings)
            finally:
                session.underruns = speaker.underruns
                session.cpu_s = machine.cpu_s() - cpu_s
                session.wall_s = loop.time() - began_s
                session.peak_rss_mb = machine.peak_rss_mb()

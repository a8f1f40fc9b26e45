"""Plays recordings to the real loop, one after the other, and keeps the outcome of each.

The person speaks once the previous answer has been heard. Timers and lists go to a temporary folder, and a
timer set by a recording never rings.

``answers`` reports the stages of each turn, measured from the actual end of speech in the recording, not from
where the assistant noticed it: see ``speech_end``. Recordings that were cut off have no response time, since
an answer to half a sentence is not a fast answer.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Sequence
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

SPANS = {
    "response": ("speech_end", "first_audio"),
    "endpoint": ("speech_end", "ended"),
    "after_turn_end": ("ended", "first_audio"),
    "stt": ("stt_begin", "stt_end"),
    "first_token": ("llm_begin", "first_token"),
    "first_clause": ("first_token", "first_clause"),
    "first_audio": ("first_clause", "first_sound"),
    "vad_lag": ("speech_end", "vad_end"),
    "response_by_vad": ("vad_end", "first_audio"),
}
"""Stage -> the marks it lies between. Response = endpoint + after_turn_end; work done before the turn ends
is hidden in ``endpoint``.
"""


@dataclass(slots=True)
class Heard:
    """One turn: its report, and internal data that the report lacks."""

    report: Report
    sound_s: float
    """Seconds of the answer that were played."""
    usage: Any
    """The language model's ``usage`` in this turn; None if it did not answer or doesn't report it."""


@dataclass(slots=True)
class Said:
    """One recording as it was played."""

    clip: Clip
    began_s: float
    """When its first sample was played, on the loop's clock."""
    turns: list[Heard] = field(default_factory=list)

    @property
    def end_s(self) -> float:
        """Return when its last sample of speech was played, on the loop's clock."""
        return self.began_s + self.clip.spoken.end_s


@dataclass(slots=True)
class Session:
    """The session so far; filled while it runs."""

    said: list[Said] = field(default_factory=list)
    underruns: int = 0
    """Number of times an answer stalled because its next part was not ready."""
    cpu_s: float = 0.0
    """CPU seconds from the first recording to the last answer."""
    wall_s: float = 0.0
    peak_rss_mb: float = 0.0


async def rehearse(
    settings: Settings,
    clips: Sequence[Clip],
    session: Session,
    *,
    on_turn: Callable[[Said], None] = lambda _: None,
) -> None:
    """Play ``clips`` to a loop and fill ``session``. ``on_turn`` is called after every turn."""
    microphone = WavMicrophone([clip.pcm for clip in clips])
    speaker = WavSpeaker(None)
    loop = asyncio.get_running_loop()
    sound_s = 0.0

    def on_report(report: Report) -> None:
        nonlocal sound_s
        context.timers.cancel(context.timers.all())
        if report.outcome and isinstance(report.outcome.action, Mute):
            loop.call_soon(voice_loop.post, Unmuted())  # After the Muted event that follows.
        for attempt in (report, *report.discarded):
            attempt.pcm = None  # The appliance discards it too, and memory is being measured.
        if "speech_end" not in report.times_s:
            return
        while len(session.said) < len(microphone.started_s):
            number = len(session.said)
            session.said.append(Said(clips[number], microphone.started_s[number]))
        usage = getattr(voice_loop.pipeline.llm.engine, "usage", None) if report.handled_by == "llm" else None
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


@dataclass(frozen=True, slots=True)
class Answer:
    """One recording that was not cut off, and its answer."""

    name: str
    by: str
    """``llm`` or ``skill``."""
    marks_ms: dict[str, float]
    """Time of each mark, from the last sample of speech (``speech_end``, 0)."""

    def stage_ms(self, stage: str) -> float | None:
        """Return how long a stage took; None if it did not happen."""
        span = self.span_ms(*SPANS[stage])
        return None if span is None else span[1] - span[0]

    def span_ms(self, begin: str, end: str) -> tuple[float, float] | None:
        """Return the times of two marks; None unless both exist."""
        if begin not in self.marks_ms or end not in self.marks_ms:
            return None
        return self.marks_ms[begin], self.marks_ms[end]


def is_cut_off(said: Said) -> bool:
    """True if a turn ended before the person had finished and was not retracted."""
    return any(turn.report.times_s.get("ended", said.end_s) < said.end_s for turn in said.turns)


def answers(all_said: Iterable[Said]) -> list[Answer]:
    """Return the answer to each recording that was not cut off; the first if there were several."""
    found = []
    for said in all_said:
        turn = next((turn for turn in said.turns if "first_audio" in turn.report.times_s), None)
        if turn is None or turn.report.error or is_cut_off(said):
            continue
        marks_ms = {name: (at_s - said.end_s) * 1000 for name, at_s in turn.report.times_s.items()}
        marks_ms["vad_end"] = marks_ms["speech_end"]
        marks_ms["speech_end"] = 0.0
        by = "llm" if turn.report.handled_by == "llm" else "skill"
        found.append(Answer(said.clip.name, by, marks_ms))
    return found

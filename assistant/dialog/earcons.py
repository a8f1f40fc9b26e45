"""Short sounds for messages that would take too long in words: listening, done, failed, muted.

Each is two soft notes; their direction distinguishes them. Users can replace them with files of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from assistant.audio import Speaker
from assistant.core.errors import AudioError, AudioFileInvalid
from assistant.core.events import EarconStarted, Event
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16, SpokenAudio
from assistant.settings.schema import EarconSettings

Earcon: TypeAlias = Literal["wake", "done", "error", "muted"]

_NOTES_HZ: Mapping[Earcon, tuple[float, float]] = {
    "wake": (659.3, 880.0),  # up: your turn
    "done": (880.0, 659.3),  # down: over
    "error": (440.0, 311.1),  # far down, and low
    "muted": (523.3, 523.3),  # the same twice
}
_NOTE_MS = 70
_FADE_MS = 12
"""Notes that begin and end abruptly click."""
_PEAK = 0.08
"""Fraction of full scale: quiet compared with a voice."""

LONGEST_S = 2.0
"""A longer sound would be in the user's way."""

ECHO_S = 0.25
"""How long a room and the buffers of two sound devices hold a sound."""

_LOOK_S = 0.05


class Earcons:
    """Plays the sounds on one speaker; without ``sounds`` it is silent. Posts EarconStarted."""

    def __init__(
        self, speaker: Speaker, sounds: Mapping[Earcon, SpokenAudio], post: Callable[[Event], None]
    ) -> None:
        self._speaker = speaker
        self.sounds = sounds
        self._post = post
        self._playing: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None

    def play(self, name: Earcon) -> None:
        """Play it after what is already playing."""
        if sound := self.sounds.get(name):
            self._post(EarconStarted(sound.duration_s + ECHO_S))
            self._playing = asyncio.ensure_future(self._play(sound))

    def play_when(self, name: Earcon, may: Callable[[], bool]) -> None:
        """Play it as soon as ``may`` allows, unless ``forget`` is called first."""
        self.forget()
        if may():
            self.play(name)
        else:
            self._later = asyncio.get_running_loop().call_later(_LOOK_S, self.play_when, name, may)

    @property
    def sounding(self) -> bool:
        """True if one is playing or waiting to play."""
        return self._later is not None or (self._playing is not None and not self._playing.done())

    def forget(self) -> None:
        """Drop the sounds that are waiting."""
        if self._later:
            self._later.cancel()
            self._later = None

    async def _play(self, sound: SpokenAudio) -> None:
        with suppress(AudioError):
            await self._speaker.open()
            self._speaker.write(sound)
            await self._speaker.drained()


def load(settings: EarconSettings, read_sound: Callable[[Path], Pcm16]) -> dict[Earcon, SpokenAudio]:
    """Load every sound, the user's file or the built-in one; none if they are turned off.

    Raises AudioFileInvalid if a file cannot be read or is too long.
    """
    if not settings.enabled:
        return {}
    files: Mapping[Earcon, Path | None] = {
        "wake": settings.wake,
        "done": settings.done,
        "error": settings.error,
        "muted": settings.muted,
    }
    return {
        name: _sound(_short(read_sound(file), file) if file else two_notes(*_NOTES_HZ[name]))
        for name, file in files.items()
    }


def two_notes(first_hz: float, second_hz: float) -> Pcm16:
    """Create two notes one after the other, each faded in and out; 140 ms at 16 kHz."""
    seconds = np.arange(SAMPLE_RATE_HZ * _NOTE_MS // 1000) / SAMPLE_RATE_HZ
    from_edge_s = np.minimum(seconds, seconds[::-1])
    fade = np.sin(np.clip(from_edge_s * 1000 / _FADE_MS, 0, 1) * np.pi / 2) ** 2
    notes = [np.sin(2 * np.pi * hz * seconds) * fade for hz in (first_hz, second_hz)]
    pcm: Pcm16 = np.round(np.concatenate(notes) * _PEAK * np.iinfo(np.int16).max).astype(np.int16)
    return pcm


def _short(pcm: Pcm16, file: Path) -> Pcm16:
    if len(pcm) > LONGEST_S * SAMPLE_RATE_HZ:
        raise AudioFileInvalid(
            f"{file} is longer than {LONGEST_S:g} s, which is too long for a signal.",
            "Shorten it, or set a different file in audio.earcons.",
        )
    return pcm


def _sound(pcm: Pcm16) -> SpokenAudio:
    return SpokenAudio("", pcm, SAMPLE_RATE_HZ)

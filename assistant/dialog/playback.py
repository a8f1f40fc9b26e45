"""The playback of one answer: write, hold, resume, and track what was heard.

Tracks what was heard, sentence by sentence. While it is held, the answer may grow; it is silent and nothing
is lost. If the speaker is lost, the rest goes unheard.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from assistant.audio import Speaker
from assistant.core.errors import AudioError
from assistant.core.types import SpokenAudio
from assistant.dialog.conversation import heard_part

_ROUNDING_S = 0.005
"""Speakers count whole samples and blocks."""


class Playback:
    """Playback since ``begin``, which is called once; meanwhile nothing else uses the speaker."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._before_s = 0.0
        self._held_s: float | None = None
        """How much had been heard when it was held: other sounds may play meanwhile."""
        self._may_sound = asyncio.Event()
        self._may_sound.set()
        self.sounds: list[SpokenAudio] = []
        """All sounds of the answer in order, heard or not."""
        self.lost: AudioError | None = None
        """Why some of it could not be played: the speaker is missing or was lost."""

    def begin(self) -> None:
        """Forget earlier playback; a new answer begins."""
        self._before_s = self._speaker.heard_s

    @property
    def heard_s(self) -> float:
        """Seconds of the answer that have been heard."""
        if self._held_s is not None:
            return self._held_s
        return self._speaker.heard_s - self._before_s if self.sounds else 0.0

    def write(self, sound: SpokenAudio) -> None:
        """Append a sound. Raises DeviceLost."""
        if self._may_sound.is_set():
            self._speaker.write(sound)
        self.sounds.append(sound)

    async def say(self, sound: SpokenAudio) -> None:
        """Append a sound, unless the speaker is lost."""
        if self.lost:
            return
        try:
            if not self.sounds:
                await self._speaker.open()
            self.write(sound)
        except AudioError as error:
            self.lost = error

    async def heard_out(self) -> None:
        """Wait until all of it was heard, however long it is held, or can't be heard anymore."""
        while not self.lost:
            try:
                await self._speaker.drained()
            except AudioError as error:
                self.lost = error
            if self._may_sound.is_set():
                return
            await self._may_sound.wait()

    def hold(self) -> None:
        """Fall silent for now."""
        self._may_sound.clear()
        self._speaker.cut()
        self._held_s = self.heard_s

    def go_on(self) -> None:
        """Resume from where it fell silent. Raises DeviceLost."""
        self._may_sound.set()
        skip_s, self._held_s = self.heard_s, None
        self._before_s = self._speaker.heard_s - skip_s
        for sound in self.sounds:
            rest = sound.pcm[round(min(skip_s, sound.duration_s) * sound.sample_rate_hz) :]
            skip_s = max(0.0, skip_s - sound.duration_s)
            if len(rest):
                self._speaker.write(replace(sound, pcm=rest))

    def cut(self) -> None:
        """Fall silent for good."""
        self._speaker.cut()

    @property
    def was_heard_out(self) -> bool:
        return self.heard_s >= sum(sound.duration_s for sound in self.sounds) - _ROUNDING_S

    @property
    def heard_text(self) -> str:
        """The words that were heard."""
        return self.text_until(self.heard_s)

    def text_until(self, end_s: float) -> str:
        """Return the words of the first ``end_s`` seconds."""
        left_s, parts = end_s, []
        for sound in self.sounds:
            if left_s <= 0:
                break
            parts.append(heard_part(sound.text, min(1.0, (left_s + _ROUNDING_S) / sound.duration_s)))
            left_s -= sound.duration_s
        return " ".join(part for part in parts if part)

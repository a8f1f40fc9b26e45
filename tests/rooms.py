"""What tests of echoes share: sounds like speech, and hearing them through a simulated room."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from assistant.audio.echo.canceller import EchoCanceller
from assistant.audio.resample import to_float
from assistant.core.types import FRAME_MS, SAMPLE_RATE_HZ, AudioFrame, Pcm16, SpokenAudio
from assistant.tools.bench.room.simulated import Acoustics, Room


def babble(seconds: float, seed: int = 0, peak: float = 0.4) -> Pcm16:
    """Noise with the slope, syllables and pauses of speech, that says nothing; int16 at 16 kHz."""
    random = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(random.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ)
    noise = np.fft.irfft(spectrum * np.where(hz < 120, 0, (500 / np.maximum(hz, 500)) ** 1.5), count)
    syllables = np.repeat(random.choice([0.0, 0.3, 1.0], count // 3200 + 1, p=[0.3, 0.3, 0.4]), 3200)[:count]
    smooth = np.convolve(syllables, np.hanning(800) / np.hanning(800).sum(), "same")
    sound = noise * smooth
    pcm: Pcm16 = np.round(sound / np.abs(sound).max() * peak * 32767).astype(np.int16)
    return pcm


@dataclass
class Listening:
    """A canceller in a room, and what went into and came out of it so far."""

    room: Room
    canceller: EchoCanceller
    heard: list[AudioFrame]
    cancelled: list[AudioFrame]

    def echo_loss_db(self, last_s: float) -> float:
        """How much less there is in the last seconds after than before."""
        frames = round(last_s * 1000 / FRAME_MS)
        before, after = (
            np.square(to_float(joined(each[-frames:]))).mean() for each in (self.heard, self.cancelled)
        )
        return float(10 * np.log10(before / after))

    def taken_for_somebody(self, last_s: float) -> int:
        """Frames of the last seconds that were taken for more than echo; those without any do not count."""
        frames = list(zip(self.heard, self.cancelled, strict=True))[-round(last_s * 1000 / FRAME_MS) :]
        return sum(after is not before and not after.is_echo for before, after in frames)


def in_room(acoustics: Acoustics) -> Listening:
    room = Room(acoustics)
    return Listening(room, EchoCanceller(room.reference), [], [])


def listen(listening: Listening, seconds: float) -> None:
    """Hear the room for so long."""
    for _ in range(round(seconds * 1000 / FRAME_MS)):
        end_s = (len(listening.heard) + 1) * FRAME_MS / 1000
        frame = listening.room.next_frame(end_s)
        listening.heard.append(frame)
        listening.cancelled.append(listening.canceller.process(frame))


def play(listening: Listening, pcm: Pcm16) -> None:
    """Let the assistant say this, and hear it to its end."""
    listening.room.speaker.write(SpokenAudio("", pcm, SAMPLE_RATE_HZ))
    listen(listening, len(pcm) / SAMPLE_RATE_HZ)


def joined(frames: Iterable[AudioFrame]) -> Pcm16:
    return np.concatenate([frame.pcm for frame in frames])

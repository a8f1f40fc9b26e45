"""A client's microphone stream, turned into the endpointer's events."""

from __future__ import annotations

import base64
import binascii

import numpy as np
import soxr

from assistant import engines
from assistant.core.events import Event
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, Pcm16
from assistant.dialog.endpointer import Endpointer
from assistant.services.http.request import RequestInvalid
from assistant.settings.schema import Settings

CLIENT_HZ = 24_000
"""Sample rate of ``audio/pcm``, in both directions."""


class ClientMicrophone:
    """Detects utterances in one client's audio."""

    def __init__(self, settings: Settings) -> None:
        self._vad = engines.load("vad", "webrtc", settings=settings.vad)
        self._resampler = soxr.ResampleStream(CLIENT_HZ, SAMPLE_RATE_HZ, num_channels=1, dtype="int16")
        self._endpointer = Endpointer(settings.endpoint)
        self._rest: Pcm16 = np.zeros(0, np.int16)
        self._frames = 0
        self.item = ""
        """ID of the current utterance."""

    def resampled(self, pcm: Pcm16) -> Pcm16:
        """Return the client's samples at 16 kHz."""
        resampled: Pcm16 = self._resampler.resample_chunk(pcm)
        return resampled

    def events(self, pcm: Pcm16) -> list[Event]:
        """Process samples at 16 kHz, and return the resulting events."""
        sound = np.concatenate([self._rest, pcm])
        whole = len(sound) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest, found = sound[whole:], []
        for frame in sound[:whole].reshape(-1, FRAME_SAMPLES):
            self._frames += 1
            is_speech = self._vad.speech_probability(frame) >= 0.5
            event = self._endpointer.push(AudioFrame(frame, self.now_ms / 1000), is_speech=is_speech)
            if event:
                found.append(event)
        return found

    def reset(self) -> None:
        """Discard the current utterance."""
        self._endpointer.reset()

    @property
    def now_ms(self) -> int:
        """Return the length of all audio so far."""
        return self._frames * FRAME_MS

    @property
    def utterance_ms(self) -> int:
        """Return the length of the current utterance so far."""
        return self._endpointer.utterance_ms

    @property
    def pauses(self) -> bool:
        """True during a pause within an utterance."""
        return self._endpointer.pauses

    @property
    def wait_ms(self) -> int:
        """Return the silence that ends the turn."""
        return self._endpointer.required_silence_ms

    @wait_ms.setter
    def wait_ms(self, value: int) -> None:
        self._endpointer.required_silence_ms = value


def samples(given: object) -> Pcm16:
    """Decode a client's base64 audio. Raises RequestInvalid."""
    try:
        raw = base64.b64decode(given if isinstance(given, str) else "!", validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestInvalid("audio must be base64.", "audio") from error
    if len(raw) % 2:
        raise RequestInvalid("audio must have 16-bit samples.", "audio")
    return np.frombuffer(raw, "<i2").astype(np.int16)

"""A microphone at the other end of a connection: its samples become the endpointer's events."""

from __future__ import annotations

import base64
import binascii

import numpy as np
import soxr

from assistant import engines
from assistant.core.events import Event
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, Pcm16
from assistant.dialog.endpointer import Endpointer
from assistant.services.http.sound import RequestInvalid
from assistant.settings.schema import Settings

CLIENT_HZ = 24_000
"""Sample rate of ``audio/pcm``, both ways."""


class ClientMicrophone:
    """Detects utterances in one client's sound."""

    def __init__(self, settings: Settings) -> None:
        self._vad = engines.load("vad", "webrtc", settings=settings.vad)
        self._resampler = soxr.ResampleStream(CLIENT_HZ, SAMPLE_RATE_HZ, num_channels=1, dtype="int16")
        self._endpointer = Endpointer(settings.endpoint)
        self._rest: Pcm16 = np.zeros(0, np.int16)
        self._frames = 0
        self.item = ""
        """Name of what is being said."""

    def resampled(self, pcm: Pcm16) -> Pcm16:
        """Return the client's samples at 16 kHz."""
        resampled: Pcm16 = self._resampler.resample_chunk(pcm)
        return resampled

    def events(self, pcm: Pcm16) -> list[Event]:
        """Process samples at 16 kHz; return what they made certain."""
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
        """Forget the utterance."""
        self._endpointer.reset()

    @property
    def now_ms(self) -> int:
        """Length of all sound so far."""
        return self._frames * FRAME_MS

    @property
    def utterance_ms(self) -> int:
        """Length of the utterance so far."""
        return self._endpointer.utterance_ms

    @property
    def pauses(self) -> bool:
        """True in a pause within an utterance."""
        return self._endpointer.pauses

    @property
    def wait_ms(self) -> int:
        """Silence that ends the turn."""
        return self._endpointer.required_silence_ms

    @wait_ms.setter
    def wait_ms(self, value: int) -> None:
        self._endpointer.required_silence_ms = value


def samples(given: object) -> Pcm16:
    """Return the samples that a client sent in base64. Raises RequestInvalid."""
    try:
        raw = base64.b64decode(given if isinstance(given, str) else "!", validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestInvalid("audio is base64.", "audio") from error
    if len(raw) % 2:
        raise RequestInvalid("audio has 16 bits a sample.", "audio")
    return np.frombuffer(raw, "<i2").astype(np.int16)

"""Speech recognition by Whisper on faster-whisper and CTranslate2, from local files only.

Short speech is recognised on a short window; what comes out doubtful, and what is long, goes
through faster-whisper's own 30 s windows.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment

from assistant.core.errors import EngineFailed
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16, Transcript
from assistant.engines.stt.whisper_doubt import compression_ratio
from assistant.engines.stt.whisper_model import open_model
from assistant.engines.stt.whisper_short import LONGEST_S, Floats, ShortWindow
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import SttSettings

log = logging.getLogger(__name__)

_SHORTEST_S = 0.05
"""No word is shorter; Whisper would make one up."""

_WINDOW_S = 30.0
"""What Whisper hears at once."""


def create(settings: SttSettings, model: Path, threads: int) -> WhisperStt:
    """Load the model in the folder ``model``; 0 threads are as many as there are processors.

    Raises ModelMissing, ModelCorrupt, EngineFailed or SettingsError.
    """
    whisper = open_model(model, settings, threads or os.cpu_count() or 1)
    try:
        return WhisperStt(whisper, settings)
    except (RuntimeError, ValueError) as error:
        raise _failed(error) from error


class WhisperStt:
    """One loaded model."""

    def __init__(self, model: WhisperModel, settings: SttSettings) -> None:
        self._model = model
        self._beam_size = settings.beam_size
        self._language = None if settings.language == "auto" else settings.language
        self._short = (
            ShortWindow(model, language=self._language, beam_size=settings.beam_size)
            if settings.short_context
            else None
        )

    def transcribe(self, pcm: Pcm16, cancel: Cancel) -> Transcript:
        """Recognise int16 samples at 16 kHz, shape (n,), of any length.

        Text is empty for silence; also when ``cancel`` was set before there was any.
        Raises EngineFailed.
        """
        samples = pcm.astype(np.float32) / np.float32(32768)
        duration_s = len(samples) / SAMPLE_RATE_HZ
        if duration_s < _SHORTEST_S or not samples.any() or cancel:
            return _nothing(self._language)
        try:
            if self._short is None or duration_s > LONGEST_S:
                return self._full(samples)
            transcript, doubt = self._short.transcribe(samples, cancel)
            if doubt is None or cancel:
                return transcript
            log.debug("stt_again reason=%s duration_s=%.1f", doubt, duration_s)
            return self._full(samples)
        except (RuntimeError, ValueError) as error:
            raise _failed(error) from error

    def warm_up(self) -> None:
        """Recognise a second of noise once; raises EngineFailed if the model cannot.

        The full window, which few utterances need, is left out: it takes four times as long.
        """
        noise = np.random.default_rng(seed=0).normal(0, 0.01, SAMPLE_RATE_HZ).astype(np.float32)
        try:
            if self._short is None:
                self._full(noise)
            else:
                self._short.transcribe(noise, Cancel())
        except (RuntimeError, ValueError) as error:
            raise _failed(error) from error

    def close(self) -> None:
        self._model.model.unload_model()

    def _full(self, samples: Floats) -> Transcript:
        several_windows = len(samples) > _WINDOW_S * SAMPLE_RATE_HZ
        segments, info = self._model.transcribe(
            samples,
            language=self._language,
            beam_size=self._beam_size,
            # Higher temperatures draw words at random, and take as long again for each.
            temperature=0.0,
            condition_on_previous_text=False,
            # Timestamps tell where a window's last sentence ends and the next window begins.
            without_timestamps=not several_windows,
            # Whether it is speech is judged outside; but silence between long speech is skipped.
            no_speech_threshold=0.6 if several_windows else None,
        )
        return _joined(list(segments), info.language)


def _joined(segments: list[Segment], language: str) -> Transcript:
    if not segments:
        return _nothing(language)
    text = "".join(segment.text for segment in segments).strip()
    tokens = sum(len(segment.tokens) for segment in segments)
    return Transcript(
        text=text,
        language=language,
        no_speech_probability=min(segment.no_speech_prob for segment in segments),
        average_log_probability=sum(s.avg_logprob * len(s.tokens) for s in segments) / max(tokens, 1),
        compression_ratio=compression_ratio(text),
    )


def _nothing(language: str | None) -> Transcript:
    return Transcript("", language or "en", no_speech_probability=1.0)


def _failed(error: Exception) -> EngineFailed:
    return EngineFailed(
        f"Speech recognition failed ({error}).",
        "Check the model with `assistant models verify`; if it is whole, report this.",
    )

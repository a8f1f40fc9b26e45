"""Speech recognition with Whisper on faster-whisper and CTranslate2, from local files only.

Short speech is recognized in a short window; long speech, or a doubtful result, uses faster-whisper's own 30
s windows. Nothing here touches a network: faster-whisper would download a missing tokenizer, so a folder
without one is rejected.
"""

from __future__ import annotations

import logging
import os
import re
from itertools import takewhile
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment

from assistant.core.errors import EngineFailed, ModelCorrupt, ModelMissing, SettingsError
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16, Transcript
from assistant.engines.stt.whisper_short import LONGEST_S, Floats, ShortWindow, compression_ratio
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import SttSettings

log = logging.getLogger(__name__)

_SHORTEST_S = 0.05
"""No word is shorter; Whisper would make one up."""

_WINDOW_S = 30.0
"""The length Whisper processes at once."""


def create(settings: SttSettings, model: Path, threads: int) -> WhisperStt:
    """Load the model in the folder ``model``; 0 threads means one per processor.

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
        """Recognize int16 samples at 16 kHz, shape (n,), of any length.

        The text is empty for silence, and if ``cancel`` was set before there was any. Raises EngineFailed.
        """
        samples = pcm.astype(np.float32) / np.float32(32768)
        duration_s = len(samples) / SAMPLE_RATE_HZ
        if duration_s < _SHORTEST_S or not samples.any() or cancel:
            return _nothing(self._language)
        try:
            if self._short is None or duration_s > LONGEST_S:
                return self._full(samples, cancel)
            transcript, doubt = self._short.transcribe(samples, cancel)
            if doubt is None or cancel:
                return transcript
            log.debug("stt_again reason=%s duration_s=%.1f", doubt, duration_s)
            return self._full(samples, cancel)
        except (RuntimeError, ValueError) as error:
            raise _failed(error) from error

    def warm_up(self) -> None:
        """Recognize a second of noise once; raises EngineFailed if the model cannot.

        The full window, which few utterances need, is skipped: it takes four times as long.
        """
        noise = np.random.default_rng(seed=0).normal(0, 0.01, SAMPLE_RATE_HZ).astype(np.float32)
        try:
            if self._short is None:
                self._full(noise, Cancel())
            else:
                self._short.transcribe(noise, Cancel())
        except (RuntimeError, ValueError) as error:
            raise _failed(error) from error

    def close(self) -> None:
        self._model.model.unload_model()

    def _full(self, samples: Floats, cancel: Cancel) -> Transcript:
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
            # Other code decides whether it is speech; but silence inside long speech is skipped.
            no_speech_threshold=0.6 if several_windows else None,
        )
        # Each window is recognized on demand.
        return _joined(list(takewhile(lambda _: not cancel, segments)), info.language)


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
        "Check the model with `assistant models verify`. If it is intact, report this as a bug.",
    )


_NEEDED = ("model.bin", "config.json", "tokenizer.json")
_FETCH_AGAIN = "Fetch it again: `assistant models pull`. To find the damaged file: `assistant models verify`."

_NEAREST = {
    "float32": (),
    "float16": (),
    "int8": ("int8_float32", "int8_float16"),
    "int8_float32": ("int8", "int8_float16"),
    "int8_float16": ("int8_float32", "int8"),
}
"""Number format -> replacement on a device that doesn't support it; float32 if none fits."""


def open_model(folder: Path, settings: SttSettings, threads: int) -> WhisperModel:
    """Load the CTranslate2 model in ``folder`` with one worker of ``threads`` threads.

    A GPU or number format that isn't available is skipped with a line in the log. Raises ModelMissing,
    ModelCorrupt, EngineFailed if memory runs out, SettingsError if the model doesn't know the language.
    """
    _check_files(folder)
    ctranslate2.set_log_level(logging.ERROR)
    model = _loaded(folder, settings, threads)
    log.info("network=stt runs_on=%s compute_type=%s", model.model.device, model.model.compute_type)
    _check_language(model, settings)
    return model


def _loaded(folder: Path, settings: SttSettings, threads: int) -> WhisperModel:
    """Load it on the GPU if requested and working, otherwise on the CPU."""
    if _wants_card(settings):
        try:
            return _load(folder, "cuda", settings, threads)
        except Exception as error:  # noqa: BLE001  CUDA's libraries are loaded late, and fail in many ways.
            log.warning("provider=cuda network=stt skipped=yes reason=%r", _first_sentence(error))
    try:
        return _load(folder, "cpu", settings, threads)
    except MemoryError as error:
        raise EngineFailed(
            f"There isn't enough memory for the speech model in {folder}.",
            "provider=cuda network=stt skipped=yes reason='CTranslate2 finds no CUDA GPU'",
        ) from error
    except Exception as error:  # tokenizers raises bare Exceptions
        raise ModelCorrupt(
            f"The speech model in {folder} cannot be read ({_first_sentence(error)}).", _FETCH_AGAIN
        ) from error


def _load(folder: Path, device: str, settings: SttSettings, threads: int) -> WhisperModel:
    model = WhisperModel(
        str(folder),
        device=device,
        compute_type=_compute_type(device, settings),
        cpu_threads=threads,
        num_workers=1,
        local_files_only=True,
    )
    _try(model)
    return model


def _wants_card(settings: SttSettings) -> bool:
    """True if a GPU should be tried: "auto" uses one if it exists."""
    if settings.device == "cpu":
        return False
    there = bool(ctranslate2.get_cuda_device_count())
    if settings.device == "cuda" and not there:
        log.warning("provider=cuda network=stt skipped=yes reason='CTranslate2 finds no card with CUDA'")
    return there


def _compute_type(device: str, settings: SttSettings) -> str:
    """Return the configured format, or the closest one that this device supports."""
    wanted = settings.compute_type
    supported = ctranslate2.get_supported_compute_types(device)
    if wanted == "auto" or wanted in supported:
        return wanted
    instead = next((name for name in _NEAREST[wanted] if name in supported), "float32")
    reason = f"this {device} supports {', '.join(sorted(supported))}: using {instead}"
    log.warning("compute_type=%s network=stt skipped=yes reason=%r", wanted, reason)
    return instead


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelMissing(f"There is no speech model at {folder}.", "Fetch it: `assistant models pull`.")
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if len(missing) == len(_NEEDED):
        raise ModelMissing(f"There is no Whisper model in {folder}.", "Fetch it: `assistant models pull`.")
    if missing:
        raise ModelCorrupt(f"The speech model in {folder} lacks {', '.join(missing)}.", _FETCH_AGAIN)


def _try(model: WhisperModel) -> None:
    """Run one step of recognition: only that detects a truncated vocabulary."""
    silence = np.zeros((1, model.model.n_mels, 2), dtype=np.float32)
    begin = model.hf_tokenizer.token_to_id("<|startoftranscript|>")
    model.model.generate(ctranslate2.StorageView.from_array(silence), [[begin]], beam_size=1, max_length=2)


def _check_language(model: WhisperModel, settings: SttSettings) -> None:
    known = model.supported_languages
    if settings.language != "auto" and settings.language not in known:
        raise SettingsError(
            f"The speech model '{settings.model}' doesn't support the language '{settings.language}'.",
            f"Set stt.language to one it supports ({', '.join(known)}), or "
            "choose a different model (stt.model).",
        )


def _first_sentence(error: Exception) -> str:
    return re.split(r"\.\s|\n", str(error).strip())[0].rstrip(".") or type(error).__name__

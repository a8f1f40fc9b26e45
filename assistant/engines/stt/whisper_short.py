"""Whisper on a window as short as the speech, at a quarter of the cost of the full one.

The encoder's cost grows with its window, so it gets only the speech and a margin. The decoder was trained on
windows of 30 s: with less, it loops or never ends. So the rest of its window is filled with the encoder's
output for silence, computed once when the model was loaded.

``doubt`` detects from a transcript's statistics that it cannot be right: Whisper sometimes loops, stops at
the first pause, or guesses. It compares only lengths and probabilities. Its limits are in wide gaps between
good and bad results of 850 recordings (clean, faster, slower, noisy, reverberant).
"""

from __future__ import annotations

import zlib
from functools import partial
from typing import Literal

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from assistant.core.types import SAMPLE_RATE_HZ, Transcript
from assistant.runtime.cancel import Cancel

Floats = npt.NDArray[np.float32]

_FRAMES_PER_S = 100

_MARGIN_S = 2.0
"""The encoder's window continues this long after the last sound; with 1 s, short words suffer."""

_STATE_FRAMES = 2
"""The encoder outputs one state for two feature frames."""

_LOUD_DB = -20
"""Vowels are louder than this, relative to the loudest frame."""

_AUDIBLE_DB = -40
"""The softest consonant is louder than this; in noise everything is, and nothing is cut off."""

_NOISY_DB, _QUIET_SHARE = -30, 10
"""In noise, the quietest tenth of the frames is louder than this, relative to the loudest: at 10 dB below
speech it was at -32 to -17 dB. It was not in 67 of 74 quiet recordings; in the others, which are
tightly cut or noisy themselves, the same words were wrong either way.
"""

_NOISY_BEAM = 5
"""Hypotheses followed in noise, where the most likely next word is often wrong; 8 gain nothing."""

LONGEST_S = 24.0
"""Beyond this, the window is so nearly full that nothing is saved."""


class ShortWindow:
    """Transcribes speech shorter than Whisper's window of 30 s."""

    def __init__(self, model: WhisperModel, *, language: str | None, beam_size: int) -> None:
        """Set it up; with ``language`` None, a multilingual model decides for each utterance."""
        self._model = model
        self._language = language if model.model.is_multilingual else "en"
        self._beam_size = beam_size
        self._tokenizers: dict[str, Tokenizer] = {}
        self._suppressed = get_suppressed_tokens(self._tokenizer("en"), [-1])
        self._silence = self._states_of_silence()

    def transcribe(self, samples: Floats, cancel: Cancel) -> tuple[Transcript, Doubt | None]:
        """Transcribe ``samples`` (16 kHz, shape (n,), up to LONGEST_S), with the reason to doubt it, if
        any.
        """
        features = self._model.feature_extractor(samples)[:, :-1]
        level_db = _level_db(features)
        end_s = (np.flatnonzero(level_db > _AUDIBLE_DB)[-1] + 1) / _FRAMES_PER_S
        loud_s = np.count_nonzero(level_db > _LOUD_DB) / _FRAMES_PER_S
        noisy = np.percentile(level_db, _QUIET_SHARE) > _NOISY_DB
        beam_size = max(self._beam_size, _NOISY_BEAM) if noisy else self._beam_size
        encode = self._encode_twice if noisy else self._encode
        states = self._complete(encode(features, end_s + _MARGIN_S))
        if cancel:
            return Transcript(""), None
        language = self._language or self._detect(states)
        duration_s = len(samples) / SAMPLE_RATE_HZ
        decode = partial(self._decode, states, language, duration_s, loud_s, beam_size=beam_size)
        transcript, reason = decode(timestamps=False)
        if reason in (None, "guess") or cancel:
            return transcript, reason
        # With timestamps, it continues after a pause and counts its way out of a loop. They aren't used at
        # first because they make it get more single words wrong.
        again, doubtful = decode(timestamps=True)
        return (transcript, reason) if doubtful not in (None, "guess") else (again, doubtful)

    def _decode(
        self,
        states: ctranslate2.StorageView,
        language: str,
        duration_s: float,
        loud_s: float,
        *,
        beam_size: int,
        timestamps: bool,
    ) -> tuple[Transcript, Doubt | None]:
        tokenizer = self._tokenizer(language)
        prompt = [*tokenizer.sot_sequence, *([] if timestamps else [tokenizer.no_timestamps])]
        (result,) = self._model.model.generate(
            states,
            [prompt],
            beam_size=beam_size,
            max_length=len(prompt) + token_budget(duration_s),
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = result.sequences_ids[0]
        text = tokenizer.decode(tokens).strip()
        transcript = Transcript(
            text=text,
            language=language,
            no_speech_probability=result.no_speech_prob,
            # CTranslate2 averages over the tokens; Whisper also counts the end token.
            average_log_probability=result.scores[0] * len(tokens) / (len(tokens) + 1),
            compression_ratio=compression_ratio(text),
        )
        return transcript, doubt(transcript, tokens=len(tokens), duration_s=duration_s, loud_s=loud_s)

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self._tokenizers:
            model = self._model
            self._tokenizers[language] = Tokenizer(
                model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language
            )
        return self._tokenizers[language]

    def _detect(self, states: ctranslate2.StorageView) -> str:
        token, _probability = self._model.model.detect_language(states)[0][0]
        return str(token).strip("<|>")

    def _encode(self, features: Floats, window_s: float) -> Floats:
        """Return the window's states, shape (1, frames / 2, width), cut off or padded with silence."""
        frames = round(window_s * _FRAMES_PER_S / _STATE_FRAMES) * _STATE_FRAMES
        window = np.zeros((1, features.shape[0], frames), dtype=np.float32)
        heard = features[:, :frames]
        window[0, :, : heard.shape[1]] = heard
        return np.array(self._model.model.encode(ctranslate2.StorageView.from_array(window), to_cpu=True))

    def _encode_twice(self, features: Floats, window_s: float) -> Floats:
        """Return the mean of the window's states and those of the same window shifted by one frame.

        A state covers two frames; with other pairs of frames, the noise in it changes, and the word hardly
        does.
        """
        later = np.concatenate((np.zeros_like(features[:, :1]), features[:, :-1]), axis=1)
        mean: Floats = (self._encode(features, window_s) + self._encode(later, window_s)) / np.float32(2)
        return mean

    def _complete(self, states: Floats) -> ctranslate2.StorageView:
        """Return the states of a full window: the given ones, then those of silence at the same positions."""
        filled = np.concatenate((states, self._silence[:, states.shape[1] :]), axis=1)
        return ctranslate2.StorageView.from_array(filled)

    def _states_of_silence(self) -> Floats:
        # The states of silence depend on what came before it. After two seconds of plain noise, they are
        # closer to those after speech than the states of a window that was silent throughout.
        noise = np.random.default_rng(seed=0).normal(0.0, 0.05, 2 * SAMPLE_RATE_HZ)
        features = self._model.feature_extractor(noise.astype(np.float32))[:, :-1]
        return self._encode(features, self._model.feature_extractor.chunk_length)


def _level_db(features: Floats) -> Floats:
    """Return the energy of each frame, shape (frames,), in decibels relative to the loudest."""
    # Features are (log10 of the energy + 4) / 4, see FeatureExtractor.
    energy = np.power(10.0, features * 4.0).mean(axis=0)
    level_db: Floats = 10 * np.log10(energy / energy.max())
    return level_db


Doubt = Literal["repeats", "endless", "unfinished", "guess"]

_MAX_COMPRESSION_RATIO = 2.4
"""Whisper's own limit for text that repeats itself (paper, section 4.5)."""

_TOKENS_PER_S = 12
"""Faster than speech: quick English has 6 tokens per second, dictated digits have 8."""
_FEWEST_TOKENS = 16
"""A short clip may still contain a word of several rare tokens, timestamps and a period."""

_TOKENS_PER_LOUD_S = 2.5
"""Slower than speech: whole sentences had at least 3.5 tokens for each second within 20 dB of the loudest
one; those that broke off had 1.8 or fewer.
"""
_SENTENCE_LOUD_S = 1.5
"""A single word, however drawn out, is loud for less than this; then few tokens mean nothing."""

_MIN_AVERAGE_LOG_PROBABILITY = -1.2
"""From -0.8 to -1.2 the word error was the same, and lower values caused fewer repeated transcriptions.
Whisper's own limit for its full window is -1.0.
"""


def token_budget(duration_s: float) -> int:
    """Return the maximum number of tokens in speech of this length."""
    return _FEWEST_TOKENS + round(_TOKENS_PER_S * duration_s)


def doubt(transcript: Transcript, *, tokens: int, duration_s: float, loud_s: float) -> Doubt | None:
    """Return why a transcript of ``tokens`` tokens cannot be trusted, or None.

    ``loud_s`` seconds of the ``duration_s`` seconds of sound are within 20 dB of the loudest.
    """
    if transcript.compression_ratio > _MAX_COMPRESSION_RATIO:
        return "repeats"
    if tokens >= token_budget(duration_s):
        return "endless"
    if loud_s > _SENTENCE_LOUD_S and tokens < _TOKENS_PER_LOUD_S * loud_s:
        return "unfinished"
    if transcript.average_log_probability < _MIN_AVERAGE_LOG_PROBABILITY:
        return "guess"
    return None


def compression_ratio(text: str) -> float:
    """Bytes of ``text`` divided by its bytes when compressed with zlib; 1.0 for no text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 1.0

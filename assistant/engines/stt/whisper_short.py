"""Whisper on a window as long as the speech, at a quarter of the price of the full one.

The encoder's cost grows with its window, so it is given the speech and a margin only. The
decoder was trained on windows of 30 s: when it finds less it loops or never ends. So the rest of
its window is filled with what the encoder made of silence, once, when the model was loaded.

``doubt`` tells from a transcript's figures when it cannot be what was said: Whisper sometimes goes
round in circles, stops at the first pause, or guesses. It compares lengths and probabilities only. Its
limits lie in wide gaps between good and bad results of 850 recordings (clean, faster, slower,
noisy, reverberant).
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
"""The encoder's own window goes on this long after the last sound; with 1 s, short words suffer."""

_STATE_FRAMES = 2
"""The encoder makes one state of two feature frames."""

_LOUD_DB = -20
"""Vowels are louder than this beside the loudest frame."""

_AUDIBLE_DB = -40
"""The softest consonant is louder than this; in noise, everything is, and nothing is left out."""

_NOISY_DB, _QUIET_SHARE = -30, 10
"""In noise the quietest tenth of the frames is louder than this beside the loudest: 10 dB below speech it was
at -32 to -17 dB. It was not in 67 of 74 quiet recordings; in the others, which are cut close to the words or
noisy themselves, the same words were wrong either way."""

_NOISY_BEAM = 5
"""Hypotheses followed in noise, where the likeliest next word is often the wrong one; 8 are no better."""

LONGEST_S = 24.0
"""Beyond this, the window is so nearly full that nothing is saved."""


class ShortWindow:
    """Transcribes what is shorter than Whisper's window of 30 s."""

    def __init__(self, model: WhisperModel, *, language: str | None, beam_size: int) -> None:
        """``language`` None lets a multilingual model decide for each utterance."""
        self._model = model
        self._language = language if model.model.is_multilingual else "en"
        self._beam_size = beam_size
        self._tokenizers: dict[str, Tokenizer] = {}
        self._suppressed = get_suppressed_tokens(self._tokenizer("en"), [-1])
        self._silence = self._states_of_silence()

    def transcribe(self, samples: Floats, cancel: Cancel) -> tuple[Transcript, Doubt | None]:
        """What was said in ``samples`` (16 kHz, shape (n,), up to LONGEST_S) and why not to believe it."""
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
        # Asked for timestamps it goes on after a pause and counts its way out of a loop. It is
        # not asked at first because it then gets more single words wrong.
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
            # CTranslate2 averages over the tokens, Whisper also counts the end mark.
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
        """States, shape (1, frames / 2, width), of the window: cut off, or filled up with silence."""
        frames = round(window_s * _FRAMES_PER_S / _STATE_FRAMES) * _STATE_FRAMES
        window = np.zeros((1, features.shape[0], frames), dtype=np.float32)
        heard = features[:, :frames]
        window[0, :, : heard.shape[1]] = heard
        return np.array(self._model.model.encode(ctranslate2.StorageView.from_array(window), to_cpu=True))

    def _encode_twice(self, features: Floats, window_s: float) -> Floats:
        """The mean of the states of the window and of the same one begun a frame later.

        A state is made of two frames; where another two are put together, the noise in it comes out
        otherwise and the word nearly the same.
        """
        later = np.concatenate((np.zeros_like(features[:, :1]), features[:, :-1]), axis=1)
        mean: Floats = (self._encode(features, window_s) + self._encode(later, window_s)) / np.float32(2)
        return mean

    def _complete(self, states: Floats) -> ctranslate2.StorageView:
        """The states of a full window: the given ones, then those of silence at the same place."""
        filled = np.concatenate((states, self._silence[:, states.shape[1] :]), axis=1)
        return ctranslate2.StorageView.from_array(filled)

    def _states_of_silence(self) -> Floats:
        # The states of silence remember what came before it. After two seconds of plain noise they are
        # nearer to those after speech than the states of a window that was silent throughout.
        noise = np.random.default_rng(seed=0).normal(0.0, 0.05, 2 * SAMPLE_RATE_HZ)
        features = self._model.feature_extractor(noise.astype(np.float32))[:, :-1]
        return self._encode(features, self._model.feature_extractor.chunk_length)


def _level_db(features: Floats) -> Floats:
    """Energy of each frame, shape (frames,), in decibels beside the loudest."""
    # Features are (log10 of the energy + 4) / 4, see FeatureExtractor.
    energy = np.power(10.0, features * 4.0).mean(axis=0)
    level_db: Floats = 10 * np.log10(energy / energy.max())
    return level_db


Doubt = Literal["repeats", "endless", "unfinished", "guess"]

_MAX_COMPRESSION_RATIO = 2.4
"""Whisper's own limit for text that repeats itself (paper, section 4.5)."""

_TOKENS_PER_S = 12
"""Faster than speech: quick English has 6 tokens a second, dictated digits have 8."""
_FEWEST_TOKENS = 16
"""A short clip may still hold a word of several rare tokens, timestamps and a full stop."""

_TOKENS_PER_LOUD_S = 2.5
"""Slower than speech: whole sentences had 3.5 tokens and more for each second within 20 dB of
the loudest one; those that broke off had 1.8 and fewer."""
_SENTENCE_LOUD_S = 1.5
"""A single word, however drawn out, is loud for less than this; then few tokens mean nothing."""

_MIN_AVERAGE_LOG_PROBABILITY = -1.2
"""Anywhere from -0.8 to -1.2 the word error was the same, and the lower the fewer repetitions of the
work. Whisper's own limit for its full window is -1.0."""


def token_budget(duration_s: float) -> int:
    """The most tokens that speech of this length can have."""
    return _FEWEST_TOKENS + round(_TOKENS_PER_S * duration_s)


def doubt(transcript: Transcript, *, tokens: int, duration_s: float, loud_s: float) -> Doubt | None:
    """Why a transcript of ``tokens`` tokens cannot be trusted, or None.

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
    """Bytes of ``text`` over the bytes that zlib makes of them; 1.0 for no text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 1.0

"""Chooses the next token from all scores: llama.cpp's samplers, in the order used by that engine.

First the ``top_k`` most likely, since the rest is slow on all tokens; then the repeat penalty; then, unless
the most likely is simply taken, ``top_p``, ``min_p``, temperature, and a random draw. Independent of models.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from assistant.settings.engines import LlmSettings

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]

PENALTY_WINDOW = 64
"""Number of latest reply tokens that the repeat penalty covers."""


class Sampler:
    """Makes the choices for one reply after another."""

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self.begin_reply()

    def begin_reply(self) -> None:
        """Forget earlier choices; a seed starts over."""
        self._chosen: deque[int] = deque(maxlen=PENALTY_WINDOW)
        self._random = np.random.default_rng(self._settings.seed)

    def choose(self, scores: Float32s) -> int:
        """Choose a token by the ``scores`` (logits) of all."""
        token = self._choose(scores)
        self._chosen.append(token)
        return token

    def _choose(self, scores: Float32s) -> int:
        settings = self._settings
        greedy = settings.temperature == 0
        if greedy and settings.repeat_penalty == 1:
            return int(scores.argmax())
        tokens = likeliest(scores, settings.top_k)
        kept = penalized(
            tokens, scores[tokens], np.array(self._chosen, dtype=np.int64), settings.repeat_penalty
        )
        if greedy:
            return int(tokens[kept.argmax()])
        order = np.argsort(-kept, kind="stable")
        tokens, kept = tokens[order], kept[order]
        kept = kept[: nucleus(kept, settings.top_p)]
        if settings.min_p > 0:
            kept = kept[kept >= kept[0] + np.log(settings.min_p)]
        shares = _softmax(kept / settings.temperature)
        return int(tokens[self._random.choice(len(shares), p=shares)])


def likeliest(scores: Float32s, count: int) -> Int64s:
    """Return the ``count`` tokens with the highest scores, in any order; all if ``count`` is 0."""
    if not 0 < count < len(scores):
        return np.arange(len(scores))
    return np.argpartition(scores, -count)[-count:]


def penalized(tokens: Int64s, scores: Float32s, chosen: Int64s, penalty: float) -> Float32s:
    """Return the scores of ``tokens``, reduced for those already ``chosen``."""
    less = np.where(scores > 0, scores / penalty, scores * penalty)
    return np.where(np.isin(tokens, chosen), less, scores).astype(np.float32)


def log_probability(scores: Float32s, token: int) -> float:
    """How likely the token was: the logarithm of its share, whatever the sampler made of the scores."""
    highest = float(scores.max())
    return float(scores[token]) - highest - float(np.log(np.exp(scores - highest).sum(dtype=np.float64)))


def nucleus(scores: Float32s, share: float) -> int:
    """Count how many scores, in descending order, reach this share of the probability; at least one."""
    if share >= 1:
        return len(scores)
    return int(np.searchsorted(np.cumsum(_softmax(scores)), share)) + 1


def _softmax(scores: Float32s) -> npt.NDArray[np.float64]:
    powers = np.exp(scores.astype(np.float64) - float(scores.max()))
    shares: npt.NDArray[np.float64] = powers / powers.sum()
    return shares

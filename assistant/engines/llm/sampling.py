"""Chooses the next token from the scores of all: llama.cpp's samplers, in the order that engine has them.

The likeliest ``top_k`` first, since the rest is slow on all tokens; then the repeat penalty; then, unless
the likeliest is simply taken, ``top_p``, ``min_p``, the temperature, and a draw. Knows nothing of models.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from assistant.settings.engines import LlmSettings

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]

PENALTY_WINDOW = 64
"""How many of the latest tokens of the reply the repeat penalty looks at."""


class Sampler:
    """The choices of one reply after another."""

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self.begin_reply()

    def begin_reply(self) -> None:
        """Forget what was chosen before; a seed starts anew."""
        self._chosen: deque[int] = deque(maxlen=PENALTY_WINDOW)
        self._random = np.random.default_rng(self._settings.seed)

    def choose(self, scores: Float32s) -> int:
        """A token by the ``scores`` (logits) of all."""
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
    """The ``count`` tokens of the highest scores in any order; all of them when that is 0."""
    if not 0 < count < len(scores):
        return np.arange(len(scores))
    return np.argpartition(scores, -count)[-count:]


def penalized(tokens: Int64s, scores: Float32s, chosen: Int64s, penalty: float) -> Float32s:
    """The scores of ``tokens``, less for those that are among the ``chosen``."""
    less = np.where(scores > 0, scores / penalty, scores * penalty)
    return np.where(np.isin(tokens, chosen), less, scores).astype(np.float32)


def log_probability(scores: Float32s, token: int) -> float:
    """How likely the token was: the logarithm of its share, whatever the sampler made of the scores."""
    highest = float(scores.max())
    return float(scores[token]) - highest - float(np.log(np.exp(scores - highest).sum(dtype=np.float64)))


def nucleus(scores: Float32s, share: float) -> int:
    """How many of the scores, falling, it takes to have this share of the probability; one at least."""
    if share >= 1:
        return len(scores)
    return int(np.searchsorted(np.cumsum(_softmax(scores)), share)) + 1


def _softmax(scores: Float32s) -> npt.NDArray[np.float64]:
    powers = np.exp(scores.astype(np.float64) - float(scores.max()))
    shares: npt.NDArray[np.float64] = powers / powers.sum()
    return shares

"""An ONNX decoder and its KV cache: tokens in, next token out.

``read`` keeps the part of the cache that still fits and evaluates only the rest. Long prompts are read in
parts, so an interruption loses at most one of them; the part itself ends within an operator. After the oldest
turns are dropped, the others are read again: the cache holds keys whose positions cannot be shifted without
knowing how the model rotated them. Independent of chats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from assistant.core.errors import EngineFailed
from assistant.engines.llm.onnx.decoder import PART_TOKENS, Float32s, OnnxDecoder, run_options
from assistant.engines.llm.sampling import Sampler
from assistant.engines.llm.tokens import common_length
from assistant.engines.onnx_providers import first_line
from assistant.runtime.cancel import Cancel

PART_TOKENS_ALL_SCORES = 32
"""Limit for networks that compute the scores after each token: with 150,000 tokens, that is 19 MB."""


class OnnxContext:
    """One decoder with its sampler."""

    def __init__(self, decoder: OnnxDecoder, sampler: Sampler) -> None:
        self.context_tokens = self._most_tokens = decoder.context_tokens
        self._decoder = decoder
        self._sampler = sampler
        self._part = PART_TOKENS if decoder.keeps_last else PART_TOKENS_ALL_SCORES
        self._held: list[int] = []
        self._scores: Float32s | None = None
        self._options = run_options()
        self._cancel = Cancel()

    @property
    def held(self) -> Sequence[int]:
        """The tokens in the KV cache."""
        return self._held

    def read(self, tokens: Sequence[int]) -> int:
        """Make the KV cache hold exactly ``tokens``; returns how many were already there.

        If interrupted, it holds the first part of them. Raises EngineFailed.
        """
        # The last one is always evaluated, because the scores after it are needed.
        same = common_length(self._held, tokens[:-1])
        del self._held[same:]
        self.append(tokens[same:])
        return same

    def append(self, tokens: Sequence[int]) -> None:
        """Evaluate ``tokens`` after those in the KV cache. Raises EngineFailed."""
        for start in range(0, len(tokens), self._part):
            if self._cancel:
                return
            part = tokens[start : start + self._part]
            try:
                self._scores = self._decoder.evaluate(part, len(self._held), 1, self._options)[-1]
            except Exception as error:  # ONNX Runtime's exceptions have no common base class
                if self._cancel:
                    return
                raise _failed(first_line(error)) from error
            self._held += part

    def begin_reply(self) -> None:
        """Forget earlier choices: the repeat penalty covers one reply, and a seed starts over."""
        self._sampler.begin_reply()

    def choose(self) -> int:
        """Choose the next token, without appending it. Raises EngineFailed."""
        return self._sampler.choose(self.scores())

    def scores(self) -> Float32s:
        """Return the score of every token as the next one. Raises EngineFailed."""
        if self._scores is None or not np.isfinite(self._scores).all():
            raise _failed("it computes values that aren't numbers")
        return self._scores

    @contextmanager
    def interruptible(self, cancel: Cancel) -> Iterator[None]:
        """A block in which ``read`` and ``append`` end within milliseconds once ``cancel`` is set."""
        options = self._options = run_options()
        self._cancel = cancel
        cancel.on_set(lambda: setattr(options, "terminate", True))
        try:
            yield
        finally:
            self._options, self._cancel = run_options(), Cancel()

    def limit(self, context_tokens: int | None) -> None:
        """Limit the context to ``context_tokens``; None restores the original size. A resized cache is empty.

        Raises EngineFailed if there is no memory for a longer one, and keeps the size, but empty.
        """
        tokens = min(context_tokens or self._most_tokens, self._most_tokens)
        if tokens == self.context_tokens:
            return
        self._held, self._scores = [], None
        try:
            self._decoder.resize(tokens)
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            self._decoder.resize(self.context_tokens)
            raise _failed(first_line(error)) from error
        self.context_tokens = tokens

    def state(self) -> bytes:
        """Return the KV cache as bytes, for ``restore`` with the same model."""
        return self._decoder.state()

    def restore(self, state: bytes, tokens: Sequence[int]) -> bool:
        """Load a ``state`` saved while the cache held ``tokens``; returns False, with an empty cache, on
        failure.
        """
        self._held, self._scores = [], None
        self._decoder.forget()
        if not self._decoder.restore(state, len(tokens)):
            return False
        self._held = list(tokens)
        return True

    def close(self) -> None:
        """Free everything; harmless when called twice."""
        self._decoder.close()


def _failed(reason: str) -> EngineFailed:
    return EngineFailed(
        f"The language model failed: {reason}.",
        "Ask again. If it happens again, lower llm.context_tokens or choose a different model.",
    )

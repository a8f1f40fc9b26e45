"""A decoder in ONNX and what its memory holds: tokens in, the next token out.

``read`` keeps of the memory what still fits and evaluates only the rest. Long prompts are read in
parts, so that an interruption loses one of them at most; the part itself ends within an operator.
When the oldest turns are dropped, the others are read again: the memory holds keys whose positions
cannot be turned back without knowing how the model turned them. Knows nothing of chats.
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
"""The most where the network computes the scores after each of them: of 150,000 tokens that is 19 MB."""


class OnnxContext:
    """One decoder with its choices."""

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
        """The tokens that the memory holds."""
        return self._held

    def read(self, tokens: Sequence[int]) -> int:
        """Bring the memory to exactly ``tokens``; how many of them it held already.

        Interrupted, it holds the first part of them. Raises EngineFailed.
        """
        # The last one is always evaluated, because the scores after it are wanted.
        same = common_length(self._held, tokens[:-1])
        del self._held[same:]
        self.append(tokens[same:])
        return same

    def append(self, tokens: Sequence[int]) -> None:
        """Evaluate ``tokens`` after those that the memory holds. Raises EngineFailed."""
        for start in range(0, len(tokens), self._part):
            if self._cancel:
                return
            part = tokens[start : start + self._part]
            try:
                self._scores = self._decoder.evaluate(part, len(self._held), 1, self._options)[-1]
            except Exception as error:  # ONNX Runtime's exceptions share no class of their own.
                if self._cancel:
                    return
                raise _failed(first_line(error)) from error
            self._held += part

    def begin_reply(self) -> None:
        """Forget what was chosen before: the repeat penalty looks at one reply, a seed starts anew."""
        self._sampler.begin_reply()

    def choose(self) -> int:
        """The token to follow those read; it is not appended. Raises EngineFailed."""
        return self._sampler.choose(self.scores())

    def scores(self) -> Float32s:
        """Of every token, to follow those read. Raises EngineFailed."""
        if self._scores is None or not np.isfinite(self._scores).all():
            raise _failed("it computes numbers that are none")
        return self._scores

    @contextmanager
    def interruptible(self, cancel: Cancel) -> Iterator[None]:
        """Inside it ``read`` and ``append`` end within milliseconds once ``cancel`` is set."""
        options = self._options = run_options()
        self._cancel = cancel
        cancel.on_set(lambda: setattr(options, "terminate", True))
        try:
            yield
        finally:
            self._options, self._cancel = run_options(), Cancel()

    def limit(self, context_tokens: int | None) -> None:
        """Limit the context to ``context_tokens``; None restores the first size. A new size is empty.

        Raises EngineFailed when there is no memory for a longer one, and stays as it is, but empty.
        """
        tokens = min(context_tokens or self._most_tokens, self._most_tokens)
        if tokens == self.context_tokens:
            return
        self._held, self._scores = [], None
        try:
            self._decoder.resize(tokens)
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own.
            self._decoder.resize(self.context_tokens)
            raise _failed(first_line(error)) from error
        self.context_tokens = tokens

    def state(self) -> bytes:
        """The memory as bytes, for ``restore`` with the same model."""
        return self._decoder.state()

    def restore(self, state: bytes, tokens: Sequence[int]) -> bool:
        """Bring the memory to what ``state`` said when it held ``tokens``; false and empty if it cannot."""
        self._held, self._scores = [], None
        self._decoder.forget()
        if not self._decoder.restore(state, len(tokens)):
            return False
        self._held = list(tokens)
        return True

    def close(self) -> None:
        """Free everything; harmless when done twice."""
        self._decoder.close()


def _failed(reason: str) -> EngineFailed:
    return EngineFailed(
        f"The language model failed: {reason}.",
        "Ask again; if it stays, lower llm.context_tokens or choose another model.",
    )

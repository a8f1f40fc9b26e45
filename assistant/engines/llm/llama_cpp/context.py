"""A loaded model and its KV cache: tokens in, next token out.

The KV cache holds the model's state for the tokens read so far. ``read`` keeps the part that still fits and
evaluates only the rest, so a growing conversation costs only what is new. This calls llama.cpp's own
functions: the ``Llama`` class above them does more than is needed here and cannot be interrupted. Independent
of chats.
"""

from __future__ import annotations

import ctypes
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from assistant.core.errors import EngineFailed
from assistant.engines.llm.llama_cpp.model import BATCH_TOKENS, Adapter, LlamaCppModel
from assistant.engines.llm.llama_cpp.threads import ThreadChoice, placed
from assistant.engines.llm.tokens import common_length, longest_match
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings

log = logging.getLogger(__name__)

WORTH_MOVING = 24
"""Evaluating fewer tokens again is as fast as shifting their positions."""
ABORTED = 2
"""Return value of llama_decode after it was told to stop (llama.h)."""


class LlamaCppContext:
    """One model with one KV cache. Raises EngineFailed if there isn't enough memory."""

    def __init__(
        self, model: LlamaCppModel, settings: LlmSettings, threads: int, adapter: Adapter | None = None
    ) -> None:
        """Create it; ``model`` is closed with it."""
        self.vocabulary = model.vocabulary
        self.context_tokens = min(settings.context_tokens, model.train_context_tokens)
        self.parameters = model.parameters
        self._model = model
        self._settings = settings
        self._most_tokens, self._most_threads = self.context_tokens, threads
        self._threads_limit = threads
        self._held: list[int] = []
        self._row = -1
        """Index of the computed scores that follow the cached tokens."""
        self._context = self._sampler = None
        self._adapter = adapter
        self._threads = ThreadChoice(threads)
        self._pool = placed(threads)
        try:
            self._open(self.context_tokens)
        except EngineFailed:
            self.close()
            raise
        self._sampler = model.new_sampler(settings)

    def renew(self, adapter: Adapter | None) -> None:
        """Start over with an empty cache, because its content doesn't fit another adapter.

        Raises EngineFailed if there is no memory for a second one, and keeps the first.
        """
        before, self._adapter = self._adapter, adapter
        try:
            self._open(self.context_tokens)
        except EngineFailed:
            self._adapter = before
            raise

    def limit(self, *, context_tokens: int | None = None, threads_share: float = 1.0) -> None:
        """Limit the resources from now on; None and 1 restore the original values.

        Changing the context empties the cache. Raises EngineFailed if there is no room for a longer one.
        """
        threads = max(1, int(self._most_threads * threads_share))
        if threads != self._threads_limit:
            self._threads_limit, self._threads = threads, ThreadChoice(threads)
            if self._context:
                lib.llama_set_n_threads(self._context, threads, threads)
        tokens = min(context_tokens or self._most_tokens, self._most_tokens)
        if tokens < self.context_tokens and self._context:
            lib.llama_free(
                self._context
            )  # free memory first, since this is called when there is little of it
            self._context, self._held = None, []
        if tokens != self.context_tokens:
            self._open(tokens)

    def _open(self, context_tokens: int) -> None:
        """Replace the cache by an empty one of that size. Raises EngineFailed."""
        context = self._model.new_context(
            self._settings, self._threads.threads, context_tokens, adapter=self._adapter
        )
        if self._pool:
            self._pool.serve(context)
        if self._context:
            lib.llama_free(self._context)
        self._context, self._memory = context, lib.llama_get_memory(context)
        self._held = []
        self.context_tokens = context_tokens

    def close(self) -> None:
        """Free everything; harmless when called twice."""
        if self._sampler:
            lib.llama_sampler_free(self._sampler)
        if self._context:
            lib.llama_free(self._context)
        self._sampler = self._context = None
        if self._pool:
            self._pool.close()
        self._model.close()

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
        if moved := self._close_gap(same, tokens[same:-1]):
            same += moved
        elif same < len(self._held) and not lib.llama_memory_seq_rm(self._memory, 0, same, -1):
            self._forget()  # recurrent models cannot go back part of the way
            same = 0
        del self._held[same:]
        self.append(tokens[same:])
        return same

    def _close_gap(self, begin: int, wanted: Sequence[int]) -> int:
        """If the cache holds ``wanted`` further back, move it up to ``begin``; returns the tokens that saves.

        This happens after the oldest turns of a conversation are dropped. What moves up keeps what the model
        learned from them, and its positions are shifted (llama.cpp's context shift).
        """
        start, length = longest_match(self._held, begin, wanted)
        if length < WORTH_MOVING or not lib.llama_memory_can_shift(self._memory):
            return 0
        end = start + length
        lib.llama_memory_seq_rm(self._memory, 0, end, -1)
        lib.llama_memory_seq_rm(self._memory, 0, begin, start)
        lib.llama_memory_seq_add(self._memory, 0, start, end, begin - start)
        self._held[begin:] = self._held[start:end]
        return length

    def append(self, tokens: Sequence[int]) -> None:
        """Evaluate ``tokens`` after those in the KV cache. Raises EngineFailed."""
        for start in range(0, len(tokens), BATCH_TOKENS):
            batch = list(tokens[start : start + BATCH_TOKENS])
            array = (lib.llama_token * len(batch))(*batch)
            status = self._decode(lib.llama_batch_get_one(array, len(batch)))
            self._held += batch
            if status == 0:
                continue
            # Completed micro-batches stay in the cache (llama.h).
            del self._held[lib.llama_memory_seq_pos_max(self._memory, 0) + 1 :]
            if status == ABORTED:
                return
            raise failed(status)

    def _decode(self, batch: Any) -> int:
        """Evaluate a ``llama_batch`` and return the status of ``llama_decode``."""
        self._require_memory()
        threads = self._threads.threads
        began_s = time.perf_counter()
        with self._pool.computing(threads) if self._pool else nullcontext():
            status = int(lib.llama_decode(self._context, batch))
        if batch.n_tokens == 1 and status == 0:
            self._threads.took(time.perf_counter() - began_s)
            if self._threads.threads != threads:
                log.debug("llm_threads=%d before=%d", self._threads.threads, threads)
                lib.llama_set_n_threads(self._context, self._threads.threads, self._threads.threads)
        return status

    def begin_reply(self) -> None:
        """Forget earlier choices: the repeat penalty covers one reply, and a seed starts over."""
        lib.llama_sampler_reset(self._sampler)

    def choose(self) -> int:
        """Choose the next token, without appending it."""
        return int(lib.llama_sampler_sample(self._sampler, self._context, self._row))

    def scores(self) -> NDArray[np.float32]:
        """Return the score of every token as the next one; valid until a token is appended."""
        scores = lib.llama_get_logits_ith(self._context, self._row)
        return np.ctypeslib.as_array(scores, (self.vocabulary.size,))

    @contextmanager
    def interruptible(self, cancel: Cancel) -> Iterator[None]:
        """A block in which ``read`` and ``append`` end within milliseconds once ``cancel`` is set."""
        self._require_memory()
        with interruptible(self._context, cancel):
            yield

    def state(self) -> bytes:
        """Return the KV cache as bytes, for ``restore`` with the same model."""
        room = lib.llama_state_seq_get_size(self._context, 0)
        buffer = (ctypes.c_uint8 * room)()
        length = lib.llama_state_seq_get_data(self._context, buffer, room, 0)
        return bytes(buffer)[:length]

    def restore(self, state: bytes, tokens: Sequence[int]) -> bool:
        """Load a ``state`` saved while the cache held ``tokens``; returns False, with an empty cache, on
        failure.
        """
        if not self._context:
            return False
        self._forget()
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        if lib.llama_state_seq_set_data(self._context, buffer, len(state), 0) != len(state):
            self._forget()
            return False
        self._held = list(tokens)
        return True

    def _require_memory(self) -> None:
        if not self._context:
            raise EngineFailed(
                "The language model lost its KV cache, and there isn't enough memory for a new one.",
                "Close other programs, or restart the assistant.",
            )

    def _forget(self) -> None:
        lib.llama_memory_clear(self._memory, True)  # noqa: FBT003
        self._held = []


def failed(status: int) -> EngineFailed:
    """Turn a status of ``llama_decode`` into an error."""
    return EngineFailed(
        f"The language model failed (llama_decode returned {status}).",
        "Ask again. If it happens again, lower llm.context_tokens or choose a different model.",
    )


@contextmanager
def interruptible(context: Any, cancel: Cancel) -> Iterator[None]:
    """A block in which a llama_context stops within milliseconds once ``cancel`` is set."""
    flag = ctypes.create_string_buffer(2)
    cancel.on_set(lambda: setattr(flag, "value", b"!"))
    lib.llama_set_abort_callback(context, _is_raised, flag)
    try:
        yield
    finally:
        lib.llama_set_abort_callback(context, lib.ggml_abort_callback(), None)


_is_raised = ctypes.cast(ctypes.CDLL(None).strlen, lib.ggml_abort_callback)
"""The callback with which llama.cpp checks, hundreds of times per token, whether to stop: C's strlen,
which returns 0 while the flag's buffer is empty. A Python function would take the interpreter's lock
each time.
"""

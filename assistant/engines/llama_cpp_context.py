"""A loaded GGUF model and its memory: tokens in, the next token out.

The memory (KV cache) holds what the model made of the tokens read so far. ``read`` keeps of it
what still fits and evaluates only the rest, so a conversation that grows costs only what is new.
This calls llama.cpp's own functions: the ``Llama`` class above them does more than is wanted
here and cannot be interrupted. Knows nothing of chats.
"""

from __future__ import annotations

import ctypes
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from assistant.cancel import Cancel
from assistant.engines import mapped_file
from assistant.engines.common_tokens import common_length, longest_match
from assistant.engines.llama_cpp_grammar import Grammar
from assistant.engines.llama_cpp_vocabulary import Vocabulary
from assistant.engines.sampling import PENALTY_WINDOW
from assistant.engines.thread_choice import ThreadChoice
from assistant.errors import EngineFailed, ModelCorrupt
from assistant.settings_engines import LlmSettings

log = logging.getLogger(__name__)

BATCH_TOKENS = 512
"""Most tokens given to llama.cpp in one call."""
FLASH_ATTENTION = {False: lib.LLAMA_FLASH_ATTN_TYPE_DISABLED, True: lib.LLAMA_FLASH_ATTN_TYPE_ENABLED}
KV_TYPES = {"f16": lib.GGML_TYPE_F16, "q8_0": lib.GGML_TYPE_Q8_0}
FEW = 32
"""Tokens among which a grammar nearly always allows one."""
WORTH_MOVING = 24
"""Fewer tokens are read again as quickly as their positions are turned back."""
ABORTED = 2
"""What llama_decode returns when it was told to stop (llama.h)."""
LOG_LEVEL_ERROR = 4
"""GGML_LOG_LEVEL_ERROR of ggml.h; the numbers in llama-cpp-python itself are older."""


class LlamaCppContext:
    """One model with one memory. Raises ModelCorrupt or EngineFailed when it cannot be had."""

    def __init__(self, model: Path, settings: LlmSettings, threads: int) -> None:
        lib.llama_log_set(_while_loading, None)
        lib.llama_backend_init()
        self._context = self._sampler = None
        loading = lib.llama_model_default_params()
        loading.use_mmap, loading.use_mlock = settings.mmap, settings.mlock
        self._model = lib.llama_model_load_from_file(bytes(model), loading)
        if not self._model:
            raise ModelCorrupt(
                f"llama.cpp cannot load the model file {model.name}.",
                "Fetch the model again, or choose one of an architecture that llama.cpp knows.",
            )
        if settings.mmap and not settings.mlock:
            mapped_file.let_go(model)
        self.vocabulary = Vocabulary(self._model)
        self.context_tokens: int = min(settings.context_tokens, lib.llama_model_n_ctx_train(self._model))
        self.parameters: int = lib.llama_model_n_params(self._model)
        self._settings = settings
        self._most_tokens, self._most_threads = self.context_tokens, threads
        self._threads_limit = threads
        self._threads = ThreadChoice(threads)
        try:
            self._open(self.context_tokens)
        except EngineFailed:
            self.close()
            raise
        self._sampler = _sampler_chain(settings, self.vocabulary.size)
        lib.llama_log_set(_while_running, None)

    def _open(self, context_tokens: int) -> None:
        """Begin with an empty memory of that size, instead of the one before. Raises EngineFailed."""
        context = lib.llama_init_from_model(self._model, self._parameters(context_tokens))
        if not context:
            raise EngineFailed(
                f"There is no memory for {context_tokens} tokens of context.",
                "Lower llm.context_tokens, or choose a smaller model (llm.model).",
            )
        if self._context:
            lib.llama_free(self._context)
        self._context, self._memory = context, lib.llama_get_memory(context)
        self._held: list[int] = []
        self.context_tokens = context_tokens

    def limit(self, *, context_tokens: int | None = None, threads_share: float = 1.0) -> None:
        """Do with so much from now on; None and 1 are what it was made with.

        With another context the memory is empty. Raises EngineFailed when there is no room for a longer one.
        """
        threads = max(1, int(self._most_threads * threads_share))
        if threads != self._threads_limit:
            self._threads_limit, self._threads = threads, ThreadChoice(threads)
            if self._context:
                lib.llama_set_n_threads(self._context, threads, threads)
        tokens = min(context_tokens or self._most_tokens, self._most_tokens)
        if tokens < self.context_tokens and self._context:
            lib.llama_free(self._context)  # First of all: there is little memory, or nobody would ask.
            self._context, self._held = None, []
        if tokens != self.context_tokens:
            self._open(tokens)

    def _parameters(self, context_tokens: int) -> Any:
        settings, threads = self._settings, self._threads.threads
        parameters = lib.llama_context_default_params()
        parameters.n_ctx = context_tokens
        parameters.n_batch = BATCH_TOKENS
        parameters.n_ubatch = settings.micro_batch
        parameters.n_outputs_max = 1  # Only the scores after the last token are ever wanted.
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.flash_attn_type = FLASH_ATTENTION[settings.flash_attention]
        parameters.type_k = parameters.type_v = KV_TYPES[settings.kv_type]
        return parameters

    def close(self) -> None:
        """Free everything; harmless when done twice."""
        if self._sampler:
            lib.llama_sampler_free(self._sampler)
        if self._context:
            lib.llama_free(self._context)
        if self._model:
            lib.llama_model_free(self._model)
        self._sampler = self._context = self._model = None

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
        if moved := self._close_gap(same, tokens[same:-1]):
            same += moved
        elif same < len(self._held) and not lib.llama_memory_seq_rm(self._memory, 0, same, -1):
            self._forget()  # Recurrent models cannot go back part of the way.
            same = 0
        del self._held[same:]
        self.append(tokens[same:])
        return same

    def _close_gap(self, begin: int, wanted: Sequence[int]) -> int:
        """Where the memory holds ``wanted`` further behind, move it up to ``begin``; the tokens that saves.

        So it is when the oldest turns of a conversation were dropped. What moves up keeps what it
        learned from them, and its positions are turned back (llama.cpp's context shift).
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
        """Evaluate ``tokens`` after those that the memory holds. Raises EngineFailed."""
        for start in range(0, len(tokens), BATCH_TOKENS):
            batch = list(tokens[start : start + BATCH_TOKENS])
            array = (lib.llama_token * len(batch))(*batch)
            status = self._decode(array, len(batch))
            self._held += batch
            if status == 0:
                continue
            # Whole micro-batches that were done stay in memory (llama.h).
            del self._held[lib.llama_memory_seq_pos_max(self._memory, 0) + 1 :]
            if status == ABORTED:
                return
            raise EngineFailed(
                f"The language model failed (llama_decode returned {status}).",
                "Ask again; if it stays, lower llm.context_tokens or choose another model.",
            )

    def _decode(self, tokens: ctypes.Array[Any], count: int) -> int:
        self._require_memory()
        threads = self._threads.threads
        began_s = time.perf_counter()
        status = int(lib.llama_decode(self._context, lib.llama_batch_get_one(tokens, count)))
        if count == 1 and status == 0:
            self._threads.took(time.perf_counter() - began_s)
            if self._threads.threads != threads:
                log.debug("llm_threads=%d before=%d", self._threads.threads, threads)
                lib.llama_set_n_threads(self._context, self._threads.threads, self._threads.threads)
        return status

    def begin_reply(self) -> None:
        """Forget what was chosen before: the repeat penalty looks at one reply, a seed starts anew."""
        lib.llama_sampler_reset(self._sampler)

    def choose(self) -> int:
        """The token to follow those read; it is not appended."""
        return int(lib.llama_sampler_sample(self._sampler, self._context, -1))

    def likeliest(self) -> int:
        """The token that would follow those read, whatever the settings make of it."""
        return int(self._scores().argmax())

    def choose_within(self, grammar: Grammar) -> int:
        """The likeliest token that the grammar allows; it is not appended, but the grammar goes on."""
        scores = self._scores()
        # The likeliest few nearly always hold one; to look through all of them takes 20 ms.
        for count in (FEW, len(scores)):
            best = np.argpartition(scores, -count)[-count:]
            if (token := grammar.first_allowed(best[np.argsort(-scores[best])])) is not None:
                return token
        raise EngineFailed("A call could not be written.", "Set llm.tools to off, or choose another model.")

    def _scores(self) -> NDArray[np.float32]:
        scores = lib.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(scores, (self.vocabulary.size,))

    @contextmanager
    def interruptible(self, cancel: Cancel) -> Iterator[None]:
        """Inside it ``read`` and ``append`` end within milliseconds once ``cancel`` is set."""
        self._require_memory()
        flag = ctypes.create_string_buffer(2)
        cancel.on_set(lambda: setattr(flag, "value", b"!"))
        lib.llama_set_abort_callback(self._context, _is_raised, flag)
        try:
            yield
        finally:
            lib.llama_set_abort_callback(self._context, lib.ggml_abort_callback(), None)

    def state(self) -> bytes:
        """The memory as bytes, for ``restore`` with the same model."""
        room = lib.llama_state_seq_get_size(self._context, 0)
        buffer = (ctypes.c_uint8 * room)()
        length = lib.llama_state_seq_get_data(self._context, buffer, room, 0)
        return bytes(buffer)[:length]

    def restore(self, state: bytes, tokens: Sequence[int]) -> bool:
        """Bring the memory to what ``state`` said when it held ``tokens``; false and empty if it cannot."""
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
                "The language model has lost its memory, and there is none for another.",
                "End other programs, or restart the assistant.",
            )

    def _forget(self) -> None:
        lib.llama_memory_clear(self._memory, True)  # noqa: FBT003
        self._held = []


def _sampler_chain(settings: LlmSettings, vocabulary_size: int) -> Any:
    """llama.cpp's samplers in its usual order, but top_k first: the penalty is slow on all tokens."""
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())

    def add(sampler: Any) -> None:
        lib.llama_sampler_chain_add(chain, sampler)

    greedy = settings.temperature == 0
    if settings.top_k and not (greedy and settings.repeat_penalty == 1):
        add(lib.llama_sampler_init_top_k(settings.top_k))
    if settings.repeat_penalty != 1:
        add(lib.llama_sampler_init_penalties(vocabulary_size, PENALTY_WINDOW, settings.repeat_penalty, 0, 0))
    if greedy:
        add(lib.llama_sampler_init_greedy())
        return chain
    add(lib.llama_sampler_init_top_p(settings.top_p, 1))
    add(lib.llama_sampler_init_min_p(settings.min_p, 1))
    add(lib.llama_sampler_init_temp(settings.temperature))
    # To llama.cpp the largest number means that it shall pick one itself.
    pick: int = lib.LLAMA_DEFAULT_SEED
    add(lib.llama_sampler_init_dist(pick if settings.seed is None else min(settings.seed, pick - 1)))
    return chain


def _errors_to(write: Callable[..., None]) -> Any:
    """A receiver of what llama.cpp would print on stderr; of its chatter only errors matter."""

    @lib.llama_log_callback  # type: ignore[untyped-decorator]
    def receive(level: int, text: bytes, _: Any) -> None:
        if level == LOG_LEVEL_ERROR:
            write("llama_cpp=%r", text.decode("utf-8", "replace").strip())

    return receive


_while_loading = _errors_to(log.warning)
"""Says why a model cannot be loaded, which llama.cpp tells nowhere else."""
_while_running = _errors_to(log.debug)
"""Return values tell of failures by then, and to llama.cpp each interruption is an error."""

_is_raised = ctypes.cast(ctypes.CDLL(None).strlen, lib.ggml_abort_callback)
"""What llama.cpp asks, hundreds of times a token, whether to stop: C's strlen, which answers 0
while the flag's buffer is empty. A function in Python would take the interpreter's lock each time."""

"""The language model on llama.cpp: a GGUF file with its own chat template, which may call skills."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from assistant.core.errors import EngineFailed
from assistant.engines.llm.calling import CallingChatLlm, Grammar
from assistant.engines.llm.llama_cpp.context import LlamaCppContext
from assistant.engines.llm.llama_cpp.drafting import DraftingContext
from assistant.engines.llm.llama_cpp.model import Adapter, Opened, Vocabulary, opened_for_chats
from assistant.settings.engines import LlmSettings


def create(settings: LlmSettings, model: Path, threads: int) -> LlamaCppLlm:
    """Load the GGUF file in the folder ``model``; 0 threads means one per processor.

    Raises ModelMissing, ModelCorrupt, or EngineFailed if there isn't enough memory.
    """
    opened = opened_for_chats(settings, model)
    kind = DraftingContext if settings.draft_tokens else LlamaCppContext
    context = kind(opened.model, settings, threads or os.cpu_count() or 1, opened.adapter)
    return LlamaCppLlm(opened, context, settings)


class LlamaCppLlm(CallingChatLlm):
    """Supports grammars, adapters and limits: a ``CallingLlm``, ``AdaptableLlm`` and ``FrugalLlm``."""

    limits = ("context_tokens", "threads_share")
    _context: LlamaCppContext
    _vocabulary: Vocabulary

    def __init__(self, opened: Opened, context: LlamaCppContext, settings: LlmSettings) -> None:
        super().__init__(
            context, context.vocabulary, opened.chat, settings, file=opened.model.file, runtime=()
        )
        self.parameters = context.parameters
        self._layout = (llama_cpp.__version__, settings.flash_attention, settings.kv_type)
        self._model = opened.model
        self._adapter = opened.adapter
        self._name_runtime()

    def load_adapter(self, place: Path, scale: float) -> Adapter:
        return self._model.load_adapter(place, scale)

    def drop_adapter(self, adapter: Adapter) -> None:
        self._model.drop_adapter(adapter)

    def apply_adapter(self, adapter: Adapter | None) -> None:
        self._context.renew(adapter)
        before, self._adapter = self._adapter, adapter
        if before is not None:
            self._model.drop_adapter(before)
        self._name_runtime()

    def _name_runtime(self) -> None:
        """Include the adapter in the key of saved states, because they fit no other."""
        self._runtime = (*self._layout, *(self._adapter.version if self._adapter else ()))

    def limit(self, *, context_tokens: int | None = None, threads_share: float = 1.0) -> None:
        """Use at most this until the next call; None and 1 restore the original values. Raises
        EngineFailed.
        """
        self._context.limit(context_tokens=context_tokens, threads_share=threads_share)
        self.context_tokens = self._context.context_tokens

    def keeping_to(self, gbnf: str) -> AbstractContextManager[Grammar]:
        """Start a new text within the grammar. Raises EngineFailed if llama.cpp rejects the grammar."""
        return keeping_to(gbnf, self._vocabulary)


_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""llama_token_data of llama.h as a NumPy type, to fill in a whole vocabulary at once."""


class LlamaCppGrammar:
    """The progress of one text through a grammar, starting at the root rule."""

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler

    def first_allowed(self, tokens: Sequence[int] | NDArray[np.int64]) -> int | None:
        """Return the first of these tokens that may come next, and advance past it; None if none may.

        The end of the reply is allowed exactly where the grammar may end.
        """
        candidates = np.zeros(len(tokens), _CANDIDATE)
        candidates["id"] = tokens
        data = candidates.ctypes.data_as(lib.llama_token_data_p)
        array = lib.llama_token_data_array(data, len(tokens), -1, False)  # noqa: FBT003
        lib.llama_sampler_apply(self._sampler, ctypes.byref(array))
        # Tokens that aren't allowed have minus infinity.
        allowed = np.flatnonzero(candidates["logit"] == 0)
        token = int(candidates["id"][allowed[0]]) if len(allowed) else None
        if token is not None:
            lib.llama_sampler_accept(self._sampler, token)
        return token


@contextmanager
def keeping_to(gbnf: str, vocabulary: Vocabulary) -> Iterator[LlamaCppGrammar]:
    """Start a new text within the grammar. Raises EngineFailed if llama.cpp rejects the grammar."""
    sampler = lib.llama_sampler_init_grammar(vocabulary.handle, gbnf.encode(), b"root")
    if not sampler:
        raise EngineFailed("The grammar for calling skills is invalid.", "Set llm.tools to off.")
    try:
        yield LlamaCppGrammar(sampler)
    finally:
        lib.llama_sampler_free(sampler)

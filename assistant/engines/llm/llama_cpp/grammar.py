"""A grammar (GBNF) that what a model writes has to keep to, token by token."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from assistant.core.errors import EngineFailed
from assistant.engines.llm.llama_cpp.vocabulary import Vocabulary

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""llama_token_data of llama.h, as NumPy has it: a whole vocabulary is filled in at once."""


class Grammar:
    """One text on its way through a grammar, from the root rule on."""

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler

    def first_allowed(self, tokens: Sequence[int] | NDArray[np.int64]) -> int | None:
        """The first of these tokens that may come next, and goes on behind it; None if none may.

        The end of the reply is allowed exactly where the grammar may end.
        """
        candidates = np.zeros(len(tokens), _CANDIDATE)
        candidates["id"] = tokens
        data = candidates.ctypes.data_as(lib.llama_token_data_p)
        array = lib.llama_token_data_array(data, len(tokens), -1, False)  # noqa: FBT003
        lib.llama_sampler_apply(self._sampler, ctypes.byref(array))
        # What is not allowed got minus infinity.
        allowed = np.flatnonzero(candidates["logit"] == 0)
        token = int(candidates["id"][allowed[0]]) if len(allowed) else None
        if token is not None:
            lib.llama_sampler_accept(self._sampler, token)
        return token


@contextmanager
def keeping_to(gbnf: str, vocabulary: Vocabulary) -> Iterator[Grammar]:
    """Raises EngineFailed for a grammar that llama.cpp does not understand."""
    sampler = lib.llama_sampler_init_grammar(vocabulary.handle, gbnf.encode(), b"root")
    if not sampler:
        raise EngineFailed("The grammar of the skills is not understood.", "Set llm.tools to off.")
    try:
        yield Grammar(sampler)
    finally:
        lib.llama_sampler_free(sampler)

"""A grammar (GBNF) that what a model writes has to keep to, token by token."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from assistant.engines.llama_cpp_vocabulary import Vocabulary
from assistant.errors import EngineFailed


class Grammar:
    """One text on its way through a grammar, from the root rule on."""

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler

    def first_allowed(self, tokens: Sequence[int] | NDArray[np.int64]) -> int | None:
        """The first of these tokens that may come next, and goes on behind it; None if none may.

        The end of the reply is allowed exactly where the grammar may end.
        """
        candidates = (lib.llama_token_data * len(tokens))()
        for place, number in enumerate(tokens):
            candidates[place].id = int(number)  # type: ignore[assignment]  # ctypes takes it
        array = lib.llama_token_data_array(candidates, len(tokens), -1, False)  # noqa: FBT003
        lib.llama_sampler_apply(self._sampler, ctypes.byref(array))
        # What is not allowed got minus infinity.
        allowed = (int(each.id) for each in candidates if each.logit == 0)
        token: int | None = next(allowed, None)
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

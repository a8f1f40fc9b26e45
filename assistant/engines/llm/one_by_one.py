"""Many prompts on an engine that answers one at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from assistant.core.errors import EngineFailed, PromptTooLong
from assistant.core.types import BatchReply, Message
from assistant.engines import Llm
from assistant.runtime.cancel import Cancel


class OneByOne:
    """Makes a ``BatchLlm`` of any ``Llm``."""

    def __init__(self, llm: Llm) -> None:
        self._llm = llm

    def close(self) -> None:
        self._llm.close()

    def answer_all(self, prompts: Sequence[Sequence[Message]], cancel: Cancel) -> Iterator[BatchReply]:
        """Yield the replies in the order of the prompts; stops soon after ``cancel``.

        A prompt that is too long, or that makes the engine fail, is a reply with an ``error``.
        """
        began_s = time.perf_counter()
        for number, messages in enumerate(prompts):
            started_s = time.perf_counter() - began_s
            text, first_token_s, tokens, error = "", 0.0, 0, ""
            try:
                for piece in self._llm.stream(messages, cancel):
                    first_token_s = first_token_s or time.perf_counter() - began_s
                    text += piece
                tokens = self._llm.count_tokens(messages)
            except (PromptTooLong, EngineFailed) as failure:
                error = failure.problem
            if cancel:
                return
            end_s = time.perf_counter() - began_s
            yield BatchReply(number, text.strip(), started_s, first_token_s, end_s, tokens, error=error)

"""Many prompts at once on llama.cpp: whoever has been answered makes room for the next one.

Nobody listens here, so nothing is streamed, and nothing is remembered from one prompt to another but what
all of them begin with.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

from assistant.core.errors import PromptTooLong
from assistant.core.types import BatchReply, Message
from assistant.engines.llm.chat import prompt_text
from assistant.engines.llm.llama_cpp.model import Opened, opened_for_chats
from assistant.engines.llm.llama_cpp.slots import LlamaCppSlots, Slot
from assistant.engines.llm.tokens import TextPieces, common_length
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings


def create(settings: LlmSettings, model: Path, threads: int, at_once: int) -> LlamaCppBatch:
    """Load the GGUF file in the folder ``model``, with places for ``at_once`` prompts in its context.

    Raises ModelMissing, ModelCorrupt, or EngineFailed when memory does not suffice.
    """
    opened = opened_for_chats(settings, model)
    slots = LlamaCppSlots(opened.model, settings, threads or os.cpu_count() or 1, at_once, opened.adapter)
    return LlamaCppBatch(opened, slots, settings)


@dataclass(slots=True)
class _Writing:
    """A prompt that is being answered."""

    number: int
    began_s: float
    tokens_prompt: int
    pieces: TextPieces
    text: str = ""
    tokens: int = 0
    first_token_s: float = field(default=0.0)


class LlamaCppBatch:
    """A ``BatchLlm``."""

    def __init__(self, opened: Opened, slots: LlamaCppSlots, settings: LlmSettings) -> None:
        self._vocabulary = opened.model.vocabulary
        self._slots = slots
        self._chat = opened.chat
        self._settings = settings

    def close(self) -> None:
        self._slots.close()

    def answer_all(self, prompts: Sequence[Sequence[Message]], cancel: Cancel) -> Iterator[BatchReply]:
        """Yield the replies in the order in which they are done; stops soon after ``cancel``.

        Raises PromptTooLong before the first one, EngineFailed at any time.
        """
        began_s = time.perf_counter()
        texts = [self._vocabulary.tokenize(self._text(messages)) for messages in prompts]
        common = self._common(texts)
        self._check_lengths(texts, common)
        waiting = list(enumerate(texts))[::-1]
        writing: dict[int, _Writing] = {}

        def now_s() -> float:
            return time.perf_counter() - began_s

        with self._slots.interruptible(cancel):
            self._slots.share(texts[0][:common] if texts else ())
            while (waiting or writing) and not cancel:
                for slot in self._slots.slots:
                    if slot.number not in writing and waiting:
                        number, tokens = waiting.pop()
                        self._slots.take(slot, tokens)
                        pieces = TextPieces(self._settings.stop)
                        writing[slot.number] = _Writing(number, now_s(), len(tokens), pieces)
                busy = [slot for slot in self._slots.slots if slot.number in writing]
                self._slots.step(busy)
                for slot in busy:
                    if slot.at >= 0 and not cancel and self._is_done(slot, writing[slot.number], now_s):
                        self._slots.leave(slot)
                        yield _reply(writing.pop(slot.number), now_s())

    def _is_done(self, slot: Slot, reply: _Writing, now_s: Callable[[], float]) -> bool:
        """Take its next token; whether that was its last."""
        token = self._slots.choose(slot)
        if not reply.tokens:
            reply.first_token_s = now_s()
        if not self._vocabulary.ends_reply(token):
            reply.tokens += 1
            reply.text += reply.pieces.feed(self._vocabulary.piece(token))
            if reply.tokens < self._settings.max_tokens and not reply.pieces.stopped:
                return False
        reply.text += reply.pieces.finish()
        return True

    def _text(self, messages: Sequence[Message]) -> str:
        return prompt_text(self._vocabulary, self._chat, messages)

    def _common(self, texts: Sequence[Sequence[int]]) -> int:
        """How many tokens all of them begin with; each has one of its own at least, to be evaluated."""
        if not texts:
            return 0
        shared = reduce(lambda known, text: known[: common_length(known, text)], texts)
        return min(len(shared), *(len(text) - 1 for text in texts), len(texts[0]) - 1)

    def _check_lengths(self, texts: Sequence[Sequence[int]], common: int) -> None:
        reply, room = self._settings.max_tokens, self._slots.room(common)
        for number, text in enumerate(texts, 1):
            if len(text) + reply > room:
                places = len(self._slots.slots)
                needed = common + (len(text) + reply - common) * places
                raise PromptTooLong(
                    f"Prompt {number} has {len(text)} tokens and its answer up to {reply}, and with {places} "
                    f"at once there is room for {room} of each.",
                    f"Ask fewer at once (--batch), or set llm.context_tokens to {needed} or more.",
                )


def _reply(writing: _Writing, end_s: float) -> BatchReply:
    return BatchReply(
        number=writing.number,
        text=writing.text.strip(),
        began_s=writing.began_s,
        first_token_s=writing.first_token_s,
        end_s=end_s,
        tokens_prompt=writing.tokens_prompt,
        tokens_generated=writing.tokens,
    )

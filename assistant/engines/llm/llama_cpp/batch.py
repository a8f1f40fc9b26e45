"""Many prompts at once in one llama.cpp context: a finished prompt frees its slot for the next one.

A model's weights are read once per step, however many texts share it, and reading them takes most of the
time: so eight texts together finish much faster than one after the other, though each is slower. Their common
beginning is evaluated once, and its cells are shared. ``LlamaCppSlots`` is independent of chats.

Replies are not streamed, and only the common beginning is kept from one prompt to the next.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib

from assistant.core.errors import EngineFailed, PromptTooLong
from assistant.core.types import BatchReply, Message
from assistant.engines.llm.chat import prompt_text
from assistant.engines.llm.llama_cpp.context import ABORTED, interruptible
from assistant.engines.llm.llama_cpp.model import (
    BATCH_TOKENS,
    Adapter,
    LlamaCppModel,
    Opened,
    opened_for_chats,
)
from assistant.engines.llm.tokens import TextPieces, common_length
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings


def create_batch(settings: LlmSettings, model: Path, threads: int, at_once: int) -> LlamaCppBatch:
    """Load the GGUF file in the folder ``model``, with slots for ``at_once`` prompts in its context.

    Raises ModelMissing, ModelCorrupt, or EngineFailed if there isn't enough memory.
    """
    opened = opened_for_chats(settings, model)
    slots = LlamaCppSlots(opened.model, settings, threads or os.cpu_count() or 1, at_once, opened.adapter)
    return LlamaCppBatch(opened, slots, settings)


@dataclass(slots=True)
class _Writing:
    """A prompt being answered."""

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
        """Yield the replies in order of completion; stops soon after ``cancel``.

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
        """Process the next token; returns True if it was the last."""
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
        """Count the tokens that all texts begin with; at least one is left in each, to be evaluated."""
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
                    f"Prompt {number} has {len(text)} tokens and its answer up "
                    f"to {reply}, but with {places} at once, there is room for "
                    f"only {room} each.",
                    f"Run fewer at once (--batch), or set llm.context_tokens to {needed} or more.",
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


_COMMON = 0
"""The sequence that holds the common beginning; a slot's sequence is its index plus one."""


@dataclass(slots=True)
class Slot:
    """One slot, and the text that occupies it."""

    number: int
    sampler: Any
    waiting: list[int] = field(default_factory=list)
    """Tokens still to be evaluated; once empty, the next one can be chosen."""
    position: int = 0
    """Number of its tokens in the KV cache."""
    at: int = -1
    """Index of its scores in the last step; -1 if that didn't include its last token."""


class LlamaCppSlots:
    """A context with slots for ``count`` texts. Raises EngineFailed if there isn't enough memory."""

    def __init__(
        self, model: LlamaCppModel, settings: LlmSettings, threads: int, count: int, adapter: Adapter | None
    ) -> None:
        """Create it; ``model`` is closed with it."""
        self._model = model
        self._common: list[int] = []
        self.context_tokens = min(settings.context_tokens, model.train_context_tokens)
        """For all texts together."""
        self._context: Any = None
        self._batch: Any = None
        self.slots: list[Slot] = []
        try:
            self._context = model.new_context(
                settings, threads, self.context_tokens, sequences=count + 1, adapter=adapter
            )
        except EngineFailed:
            self.close()
            raise
        self._memory = lib.llama_get_memory(self._context)
        self._batch = lib.llama_batch_init(BATCH_TOKENS, 0, 1)
        self.slots = [Slot(number + 1, model.new_sampler(settings)) for number in range(count)]

    def close(self) -> None:
        """Free everything; harmless when called twice."""
        for slot in self.slots:
            lib.llama_sampler_free(slot.sampler)
        self.slots = []
        if self._batch is not None:
            lib.llama_batch_free(self._batch)
        if self._context:
            lib.llama_free(self._context)
        self._batch = self._context = None
        self._model.close()

    def room(self, common: int) -> int:
        """Tokens available to each text, prompt and reply, if ``common`` tokens are shared by all."""
        return common + (self.context_tokens - common) // len(self.slots)

    def share(self, tokens: Sequence[int]) -> None:
        """Evaluate the common beginning; nothing is kept of earlier texts. Raises EngineFailed."""
        lib.llama_memory_clear(self._memory, True)  # noqa: FBT003
        self._common = list(tokens)
        for start in range(0, len(tokens), BATCH_TOKENS):
            part = tokens[start : start + BATCH_TOKENS]
            self._begin_batch()
            for offset, token in enumerate(part):
                self._add(token, start + offset, _COMMON, scores=False)
            self._decode()

    def take(self, slot: Slot, tokens: Sequence[int]) -> None:
        """Assign the slot to another text, which begins with the shared tokens."""
        lib.llama_memory_seq_rm(self._memory, slot.number, -1, -1)
        slot.position = len(self._common)
        lib.llama_memory_seq_cp(self._memory, _COMMON, slot.number, 0, slot.position)
        lib.llama_sampler_reset(slot.sampler)
        slot.waiting = list(tokens[slot.position :])
        slot.at = -1

    def step(self, slots: Sequence[Slot]) -> None:
        """Evaluate one token of each of these texts, and more of those with more waiting.

        Raises EngineFailed.
        """
        self._begin_batch()
        # Texts with a single token go first, so a long prompt doesn't stop the others.
        for slot in sorted(slots, key=lambda each: len(each.waiting)):
            part = slot.waiting[: BATCH_TOKENS - self._batch.n_tokens]
            del slot.waiting[: len(part)]
            for offset, token in enumerate(part):
                is_last = offset == len(part) - 1 and not slot.waiting
                self._add(token, slot.position + offset, slot.number, scores=is_last)
            slot.position += len(part)
            slot.at = self._batch.n_tokens - 1 if part and not slot.waiting else -1
        self._decode()

    def choose(self, slot: Slot) -> int:
        """Choose the next token and queue it for evaluation."""
        token = int(lib.llama_sampler_sample(slot.sampler, self._context, slot.at))
        slot.waiting.append(token)
        return token

    def leave(self, slot: Slot) -> None:
        """Free the slot of a finished text."""
        lib.llama_memory_seq_rm(self._memory, slot.number, -1, -1)

    @contextmanager
    def interruptible(self, cancel: Cancel) -> Iterator[None]:
        """A block in which a step ends within milliseconds once ``cancel`` is set."""
        with interruptible(self._context, cancel):
            yield

    def _begin_batch(self) -> None:
        self._batch.n_tokens = 0

    def _add(self, token: int, position: int, sequence: int, *, scores: bool) -> None:
        batch, at = self._batch, self._batch.n_tokens
        batch.token[at], batch.pos[at] = token, position
        batch.n_seq_id[at], batch.seq_id[at][0] = 1, sequence
        batch.logits[at] = scores
        batch.n_tokens = at + 1

    def _decode(self) -> None:
        status = int(lib.llama_decode(self._context, self._batch))
        if status not in (0, ABORTED):
            raise EngineFailed(
                f"The language model failed (llama_decode returned {status}).",
                "Run fewer at once (--batch). If it happens again, choose a different model.",
            )

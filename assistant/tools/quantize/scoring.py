"""The input for scoring: the tokens that a model reads, and the ones it must predict.

Depends on the tokenizer and the chat template, but not on what runs the model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from assistant.core.types import Message
from assistant.engines.llm.chat import Vocabulary
from assistant.engines.llm.chat_template import ChatTemplate
from assistant.tools.quantize.dialogues import Exchange, Texts

if TYPE_CHECKING:
    from typing_extensions import Self

WINDOW_TOKENS = 512
"""Longest passage; the same as in llama.cpp's own perplexity tool."""
BATCH_TOKENS = 128
"""Tokens evaluated together; their scores over a vocabulary of 150,000 take up 77 MB."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Tokens that are read together, and the ones to score."""

    tokens: tuple[int, ...]
    scored: tuple[int, ...]
    """Positions in ``tokens``, ascending, without 0: each is predicted from those before it."""


class Scorer(ABC):
    """A loaded model that scores text, whatever runs it. Its methods raise EngineFailed."""

    vocabulary_size: int

    def __init__(self, vocabulary: Vocabulary, template: str) -> None:
        self.vocabulary = vocabulary
        self.chat = ChatTemplate(template, vocabulary.begin, vocabulary.end, vocabulary.first)

    def passages(self, texts: Texts) -> list[Passage]:
        """Return the texts as this model reads them."""
        return read(texts, self.vocabulary, self.chat)

    @abstractmethod
    def scores(self, passage: Passage) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the logits that predict each scored token, [positions, vocabulary size], in order, in
        batches.
        """

    @abstractmethod
    def append(self, token: int, position: int) -> None:
        """Evaluate one token after the previous ones, as when a reply is generated."""

    def read(self, passage: Passage) -> None:
        """Evaluate a passage only for its last scored token."""
        for _ in self.scores(Passage(passage.tokens, passage.scored[-1:])):
            pass

    @abstractmethod
    def close(self) -> None:
        """Free everything; calling it twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(texts: Texts, vocabulary: Vocabulary, chat: ChatTemplate) -> list[Passage]:
    """Return conversations through the chat template, with replies scored, and prose in fully scored
    windows.
    """
    passages = [passage for one in texts.conversations for passage in _conversation(one, vocabulary, chat)]
    for prose in texts.prose:
        tokens = vocabulary.tokenize(prose)
        for start in range(0, len(tokens), WINDOW_TOKENS):
            window = tuple(tokens[start : start + WINDOW_TOKENS])
            passages.append(Passage(window, tuple(range(1, len(window)))))
    return passages


def _conversation(
    exchanges: Sequence[Exchange], vocabulary: Vocabulary, chat: ChatTemplate
) -> Iterator[Passage]:
    """Yield one passage, or several if the template rewrites earlier turns; end markers are also scored."""
    messages: list[Message] = []
    tokens: list[int] = []
    scored: list[int] = []
    said = ""
    for exchange in [*exchanges, Exchange("And?", "")]:
        messages.append(Message("user", exchange.question))
        prompt = chat.render(messages)
        goes_on = bool(tokens) and prompt.startswith(said)
        added = vocabulary.tokenize(prompt[len(said) :] if goes_on else prompt)
        if goes_on:
            scored.append(len(tokens))  # The marker that ends the reply.
        if not exchange.answer:
            tokens += added[:1] if goes_on else []
            break
        if not goes_on and tokens:
            yield from _cut(tokens, scored)
            tokens, scored = [], []
        tokens += added
        reply = vocabulary.tokenize(exchange.answer)
        scored += range(len(tokens), len(tokens) + len(reply))
        tokens += reply
        said = prompt + exchange.answer
        messages.append(Message("assistant", exchange.answer))
    yield from _cut(tokens, scored)


def _cut(tokens: list[int], scored: list[int]) -> Iterator[Passage]:
    """Yield a passage, truncated to the length of a window."""
    kept = tuple(tokens[: 2 * WINDOW_TOKENS])
    places = tuple(place for place in scored if 0 < place < len(kept))
    if places:
        yield Passage(kept, places)

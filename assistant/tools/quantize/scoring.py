"""What a model is given to score: the tokens it reads, and which of them it is to predict.

Knows the tokenizer and the chat template, and nothing of what runs the model.
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
"""Longest passage; what llama.cpp's own perplexity tool takes."""
BATCH_TOKENS = 128
"""Tokens evaluated together; their scores over a vocabulary of 150,000 are 77 MB."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Tokens that are read in one go, and which of them are worth scoring."""

    tokens: tuple[int, ...]
    scored: tuple[int, ...]
    """Positions in ``tokens``, ascending, none of them 0: each is predicted from those before it."""


class Scorer(ABC):
    """A loaded model to be looked at, whatever runs it. Its methods raise EngineFailed."""

    vocabulary_size: int

    def __init__(self, vocabulary: Vocabulary, template: str) -> None:
        self.vocabulary = vocabulary
        self.chat = ChatTemplate(template, vocabulary.begin, vocabulary.end, vocabulary.first)

    def passages(self, texts: Texts) -> list[Passage]:
        """The texts as this model reads them."""
        return read(texts, self.vocabulary, self.chat)

    @abstractmethod
    def scores(self, passage: Passage) -> Iterator[npt.NDArray[np.float32]]:
        """The logits that predict each scored token, [some, vocabulary size], in order, in pieces."""

    @abstractmethod
    def append(self, token: int, position: int) -> None:
        """Evaluate one token after those before it, as when a reply is written."""

    def read(self, passage: Passage) -> None:
        """Evaluate a passage for the sake of its last scored token only."""
        for _ in self.scores(Passage(passage.tokens, passage.scored[-1:])):
            pass

    @abstractmethod
    def close(self) -> None:
        """Free everything; harmless when done twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(texts: Texts, vocabulary: Vocabulary, chat: ChatTemplate) -> list[Passage]:
    """Conversations through the chat template, their replies scored; prose in windows, all of it scored."""
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
    """One passage, or several where the template rewrites earlier turns; end marks are scored too."""
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
            scored.append(len(tokens))  # the mark that ends the reply
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
    """A passage no longer than a window; what is behind that is left out."""
    kept = tuple(tokens[: 2 * WINDOW_TOKENS])
    places = tuple(place for place in scored if 0 < place < len(kept))
    if places:
        yield Passage(kept, places)

"""A conversation in which the model may call skills, limited by a grammar, on any runtime."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from itertools import chain
from typing import Protocol

import numpy as np

from assistant.core.errors import EngineFailed
from assistant.core.types import Call, Message
from assistant.engines.llm.chat import ChatLlm
from assistant.runtime.cancel import Cancel

_FEW, _MORE = 32, 1024
"""Tokens checked first, because a grammar nearly always allows one of them; checking all takes long."""


class Grammar(Protocol):
    """The progress of one text through a grammar."""

    def first_allowed(self, tokens: Sequence[int]) -> int | None:
        """Return the first of these tokens that may come next, and advance past it; None if none may.

        The end of the reply is allowed exactly where the grammar may end.
        """


class CallingChatLlm(ChatLlm):
    """A ``CallingLlm``."""

    @abstractmethod
    def keeping_to(self, gbnf: str) -> AbstractContextManager[Grammar]:
        """Start a new text within the grammar. Raises EngineFailed if the grammar is invalid."""

    def stream_or_call(
        self, messages: Sequence[Message], cancel: Cancel, grammar: str
    ) -> Iterator[str | Call]:
        """Like ``stream``, but if the most likely reply begins with "@", it becomes one Call of the
        ``grammar``.

        The grammar costs nothing until then. A call uses the most likely tokens, whatever the settings for
        replies. Raises EngineFailed, also for a call that had no room to end.
        """
        prompt = self._begun(messages)
        with ExitStack() as stack:
            way = partial(self._way_to_choose, grammar, stack)
            chosen = stack.enter_context(closing(self._choose(prompt.tokens, cancel, way)))
            first = next(chosen, None)
            if first is None:
                return
            if not self._is_mark(first):
                yield from self._write(prompt, chain([first], chosen), cancel)
                return
            call = b"".join(map(self._vocabulary.piece, [first, *chosen]))
            if not cancel:
                yield Call(call.decode("utf-8", "replace"))

    def choose_within(self, grammar: Grammar) -> int:
        """Return the most likely token that the grammar allows, and advance the grammar; the token is not
        appended.
        """
        scores = self._context.scores()
        for count in (_FEW, _MORE, len(scores)):
            count = min(count, len(scores))  # noqa: PLW2901
            best = np.argpartition(scores, -count)[-count:]
            likeliest_first = best[np.argsort(-scores[best], kind="stable")]
            if (token := grammar.first_allowed(likeliest_first.tolist())) is not None:
                return token
        raise EngineFailed(
            "The language model couldn't complete a tool call.",
            "Set llm.tools to off, or choose a different model.",
        )

    def _way_to_choose(self, grammar: str, stack: ExitStack) -> Callable[[], int]:
        """Choose within the grammar if the model prefers a call; otherwise anything but a call."""
        likeliest = int(self._context.scores().argmax())
        if self._is_mark(likeliest):
            return partial(self.choose_within, stack.enter_context(self.keeping_to(grammar)))
        # A call picked by chance, because of the temperature, would be one that nobody meant.
        first = self.next_token()
        waiting = [likeliest if self._is_mark(first) else first]
        return lambda: waiting.pop() if waiting else self.next_token()

    def _is_mark(self, token: int) -> bool:
        return self._vocabulary.piece(token).lstrip().startswith(b"@")

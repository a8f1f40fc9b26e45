"""A context that drafts the next tokens from earlier text, and checks several of them in one step.

Prompt lookup (Saxena, https://github.com/apoorvumang/prompt-lookup-decoding): if the last tokens appeared
earlier in the text, the tokens that followed them then are evaluated together with the next one. The weights
are read once for all of them. The sampler still chooses every token from the model's own scores, so the text
is the same; a wrong draft costs the time of its evaluation. Independent of chats.
"""

from __future__ import annotations

from collections.abc import Sequence

import llama_cpp.llama_cpp as lib

from assistant.engines.llm.llama_cpp.context import ABORTED, LlamaCppContext, failed
from assistant.engines.llm.llama_cpp.model import Adapter, LlamaCppModel
from assistant.engines.llm.tokens import what_followed
from assistant.settings.engines import LlmSettings

_ALIKE = (3, 2)
"""Length of the match with earlier text; a longer match gives a better draft."""


class DraftingContext(LlamaCppContext):
    """Drafts ``settings.draft_tokens`` tokens ahead. Raises EngineFailed if there isn't enough memory."""

    def __init__(
        self, model: LlamaCppModel, settings: LlmSettings, threads: int, adapter: Adapter | None = None
    ) -> None:
        """Create it; ``model`` is closed with it."""
        self._ahead: list[int] = []
        """Drafted tokens in the cache after the chosen ones."""
        self._batch = lib.llama_batch_init(1 + settings.draft_tokens, 0, 1)
        super().__init__(model, settings, threads, adapter)

    def close(self) -> None:
        if self._batch is not None:
            lib.llama_batch_free(self._batch)
        self._batch = None
        super().close()

    def read(self, tokens: Sequence[int]) -> int:
        self._take_back()
        return super().read(tokens)

    def append(self, tokens: Sequence[int]) -> None:
        if self._ahead and list(tokens) == self._ahead[:1]:
            self._held.append(self._ahead.pop(0))
            self._row += 1
            return
        self._take_back()
        guesses = self._guess(tokens[0]) if len(tokens) == 1 else []
        if guesses:
            self._check(tokens[0], guesses)
        else:
            super().append(tokens)

    def state(self) -> bytes:
        self._take_back()
        return super().state()

    def restore(self, state: bytes, tokens: Sequence[int]) -> bool:
        self._ahead = []
        return super().restore(state, tokens)

    def _open(self, context_tokens: int) -> None:
        self._ahead = []
        super()._open(context_tokens)

    def _guess(self, token: int) -> list[int]:
        room = self.context_tokens - len(self._held) - 1
        most = min(self._settings.draft_tokens, room)
        text = [*self._held, token]
        return next(filter(None, (what_followed(text, alike, most) for alike in _ALIKE)), [])

    def _check(self, token: int, guesses: list[int]) -> None:
        """Evaluate the token and the draft after it, with the scores after each of them."""
        batch = self._batch
        batch.n_tokens = 1 + len(guesses)
        for at, each in enumerate([token, *guesses]):
            batch.token[at], batch.pos[at] = each, len(self._held) + at
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, 0
            batch.logits[at] = True
        status = self._decode(batch)
        if status == 0:
            self._held.append(token)
            self._ahead, self._row = guesses, 0
            return
        self._remove_rest()
        if status != ABORTED:
            raise failed(status)

    def _take_back(self) -> None:
        """Remove the draft from the cache; the next token is evaluated alone."""
        if self._ahead:
            self._ahead = []
            self._remove_rest()
        self._row = -1

    def _remove_rest(self) -> None:
        if not lib.llama_memory_seq_rm(self._memory, 0, len(self._held), -1):
            held = self._held  # recurrent models cannot go back part of the way
            self._forget()
            super().append(held)

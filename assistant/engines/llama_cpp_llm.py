"""The language model on llama.cpp: a GGUF file with its own chat template, which may call skills."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from pathlib import Path

import llama_cpp

from assistant.cancel import Cancel
from assistant.engines.chat_llm import ChatLlm
from assistant.engines.llama_cpp_context import LlamaCppContext
from assistant.engines.llama_cpp_grammar import keeping_to
from assistant.engines.llama_cpp_model import Adapter, Opened, opened_for_chats
from assistant.engines.llama_cpp_vocabulary import Vocabulary
from assistant.settings_engines import LlmSettings
from assistant.types import Call, Message


def create(settings: LlmSettings, model: Path, threads: int) -> LlamaCppLlm:
    """Load the GGUF file in the folder ``model``; 0 threads are as many as there are processors.

    Raises ModelMissing, ModelCorrupt, or EngineFailed when memory does not suffice.
    """
    opened = opened_for_chats(settings, model)
    context = LlamaCppContext(opened.model, settings, threads or os.cpu_count() or 1, opened.adapter)
    return LlamaCppLlm(opened, context, settings)


class LlamaCppLlm(ChatLlm):
    """One that also keeps to a grammar and changes its adapter: a ``CallingLlm``, an ``AdaptableLlm``."""

    _context: LlamaCppContext
    _vocabulary: Vocabulary

    def __init__(self, opened: Opened, context: LlamaCppContext, settings: LlmSettings) -> None:
        super().__init__(
            context, context.vocabulary, opened.chat, settings, file=opened.model.file, runtime=()
        )
        self.parameters = context.parameters
        self._layout = (llama_cpp.__version__, settings.flash_attention, settings.kv_type)
        self._model = opened.model
        self._worn = opened.adapter
        self._name_runtime()

    def load_adapter(self, place: Path, scale: float) -> Adapter:
        return self._model.load_adapter(place, scale)

    def drop_adapter(self, adapter: Adapter) -> None:
        self._model.drop_adapter(adapter)

    def wear(self, adapter: Adapter | None) -> None:
        self._context.renew(adapter)
        before, self._worn = self._worn, adapter
        if before is not None:
            self._model.drop_adapter(before)
        self._name_runtime()

    def _name_runtime(self) -> None:
        """What was read with one adapter is not for another."""
        self._runtime = (*self._layout, *(self._worn.version if self._worn else ()))

    def stream_or_call(
        self, messages: Sequence[Message], cancel: Cancel, grammar: str
    ) -> Iterator[str | Call]:
        """As ``stream``; but where the likeliest reply begins with "@" it is one Call of the ``grammar``.

        The grammar costs nothing until then. A call is written with the likeliest tokens, whatever
        the settings for replies. Raises EngineFailed for one that had no room to end, too.
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

    def _way_to_choose(self, grammar: str, stack: ExitStack) -> Callable[[], int]:
        """Within the grammar if a call is what the model wants most; otherwise anything but a call."""
        likeliest = self._context.likeliest()
        if self._is_mark(likeliest):
            allowed = stack.enter_context(keeping_to(grammar, self._vocabulary))
            return partial(self._context.choose_within, allowed)
        # A call that was chosen by chance, at some temperature, would be meant by nobody.
        first = self._context.choose()
        waiting = [likeliest if self._is_mark(first) else first]
        return lambda: waiting.pop() if waiting else self._context.choose()

    def _is_mark(self, token: int) -> bool:
        return self._vocabulary.piece(token).lstrip().startswith(b"@")

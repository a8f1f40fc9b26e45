"""The language model on ONNX Runtime: an exported ONNX decoder, its tokenizer and its chat template."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnxruntime

from assistant.engines import onnx_providers
from assistant.engines.llm.calling import CallingChatLlm, Grammar
from assistant.engines.llm.chat import Vocabulary
from assistant.engines.llm.chat_template import ChatTemplate
from assistant.engines.llm.onnx import model as onnx_model
from assistant.engines.llm.onnx.context import OnnxContext
from assistant.engines.llm.onnx.decoder import OnnxDecoder
from assistant.engines.llm.onnx.gbnf import Gbnf
from assistant.engines.llm.onnx.model import OnnxModel
from assistant.engines.llm.sampling import Sampler
from assistant.settings.engines import LlmSettings


def create(settings: LlmSettings, model: Path, threads: int) -> OnnxLlm:
    """Load the decoder in the folder ``model``; 0 threads means one per processor.

    Raises ModelMissing or ModelCorrupt.
    """
    found = onnx_model.find(model)
    vocabulary = found.vocabulary
    chat = ChatTemplate(found.chat_template, vocabulary.begin, vocabulary.end, vocabulary.first)
    context_tokens = min(settings.context_tokens, found.positions)
    places = onnx_providers.choose(settings.providers, settings.tensorrt, network="llm")
    decoder = OnnxDecoder(
        found.file, places, threads=threads or os.cpu_count() or 1, context_tokens=context_tokens
    )
    context = OnnxContext(decoder, Sampler(settings))
    runtime = ("onnxruntime", onnxruntime.__version__)
    return OnnxLlm(context, found, chat, settings, runtime)


class OnnxLlm(CallingChatLlm):
    """Supports a grammar of our own, since ONNX Runtime has none, and a shorter context."""

    limits = ("context_tokens",)
    _context: OnnxContext

    def __init__(
        self,
        context: OnnxContext,
        found: OnnxModel,
        chat: ChatTemplate,
        settings: LlmSettings,
        runtime: Sequence[object],
    ) -> None:
        super().__init__(context, found.vocabulary, chat, settings, file=found.file, runtime=runtime)
        self.parameters = found.parameters

    def limit(self, *, context_tokens: int | None = None, threads_share: float = 1.0) -> None:  # noqa: ARG002
        """Use at most this until the next call; a session's threads are fixed. Raises EngineFailed."""
        self._context.limit(context_tokens)
        self.context_tokens = self._context.context_tokens

    @contextmanager
    def keeping_to(self, gbnf: str) -> Iterator[Grammar]:
        """Start a new text within the grammar. Raises EngineFailed if the grammar is invalid."""
        yield _InTokens(Gbnf(gbnf), self._vocabulary)


class _InTokens:
    """A ``Grammar`` that receives the spelling of tokens."""

    def __init__(self, text: Gbnf, vocabulary: Vocabulary) -> None:
        self._text, self._vocabulary = text, vocabulary

    def first_allowed(self, tokens: Sequence[int]) -> int | None:
        for token in tokens:
            if self._vocabulary.ends_reply(token):
                if self._text.may_end:
                    return token
            elif self._text.allows(piece := self._vocabulary.piece(token)):
                self._text.go_on(piece)
                return token
        return None

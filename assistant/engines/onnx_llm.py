"""The language model on ONNX Runtime: a decoder exported to ONNX, its tokenizer and its chat template."""

from __future__ import annotations

import os
from pathlib import Path

import onnxruntime

from assistant.engines import onnx_model, onnx_providers
from assistant.engines.chat_llm import ChatLlm
from assistant.engines.chat_template import ChatTemplate
from assistant.engines.onnx_context import PART_TOKENS, OnnxContext
from assistant.engines.onnx_decoder import OnnxDecoder, lengths
from assistant.engines.sampling import Sampler
from assistant.settings_engines import LlmSettings


def create(settings: LlmSettings, model: Path, threads: int) -> ChatLlm:
    """Load the decoder in the folder ``model``; 0 threads are as many as there are processors.

    Raises ModelMissing or ModelCorrupt.
    """
    found = onnx_model.find(model)
    vocabulary = found.vocabulary
    chat = ChatTemplate(found.chat_template, vocabulary.begin, vocabulary.end, vocabulary.first)
    context_tokens = min(settings.context_tokens, found.positions)
    places = onnx_providers.choose(
        settings.providers, settings.tensorrt, lengths(context_tokens, PART_TOKENS), network="llm"
    )
    decoder = OnnxDecoder(
        found.file, places, threads=threads or os.cpu_count() or 1, context_tokens=context_tokens
    )
    context = OnnxContext(decoder, Sampler(settings))
    runtime = ("onnxruntime", onnxruntime.__version__)
    return ChatLlm(context, vocabulary, chat, settings, file=found.file, runtime=runtime)

"""The language model on llama.cpp: a GGUF file with its own chat template."""

from __future__ import annotations

import os
from pathlib import Path

import llama_cpp

from assistant.engines import gguf_model
from assistant.engines.chat_llm import ChatLlm
from assistant.engines.chat_template import ChatTemplate
from assistant.engines.llama_cpp_context import LlamaCppContext
from assistant.errors import ModelCorrupt
from assistant.settings_engines import LlmSettings


def create(settings: LlmSettings, model: Path, threads: int) -> ChatLlm:
    """Load the GGUF file in the folder ``model``; 0 threads are as many as there are processors.

    Raises ModelMissing, ModelCorrupt, or EngineFailed when memory does not suffice.
    """
    found = gguf_model.find(model)
    context = LlamaCppContext(found.file, settings, threads or os.cpu_count() or 1)
    vocabulary = context.vocabulary
    try:
        chat = ChatTemplate(found.chat_template, begin=vocabulary.begin, end=vocabulary.end)
    except ModelCorrupt:
        context.close()
        raise
    layout = (llama_cpp.__version__, settings.flash_attention, settings.kv_type)
    return ChatLlm(context, vocabulary, chat, settings, file=found.file, runtime=layout)

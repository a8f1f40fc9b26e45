"""A real model does with less: a shorter context frees memory, fewer threads compute; all comes back."""

from __future__ import annotations

from pathlib import Path

import llama_cpp.llama_cpp as lib
import pytest

from assistant.board import heap
from assistant.core.errors import EngineFailed, PromptTooLong
from assistant.core.types import Message
from assistant.engines import FrugalLlm
from assistant.engines.llm.llama_cpp import engine as llama_cpp_llm
from assistant.engines.llm.llama_cpp.engine import LlamaCppLlm
from assistant.runtime.cancel import Cancel
from assistant.tools.bench.lib.machine import rss_mb
from tests.engines.conftest import FRANCE, SMOLLM2, ask, settings
from tests.engines.test_llama_cpp_engine import needs_model

pytestmark = needs_model


def create(threads: int = 2) -> LlamaCppLlm:
    """With a context of which the memory is worth freeing: 92 MB."""
    return llama_cpp_llm.create(settings(context_tokens=4096), SMOLLM2, threads)


def threads_of(llm: LlamaCppLlm) -> int:
    return int(lib.llama_n_threads(llm._context._context))


def test_half_the_context_frees_its_memory_and_answers_are_the_same(tmp_path: Path) -> None:
    llm = create()
    assert isinstance(llm, FrugalLlm)
    answer = ask(llm, FRANCE)
    heap.trim()
    before_mb = rss_mb()
    llm.limit(context_tokens=2048)
    heap.trim()  # After other tests glibc may keep pieces of this size.
    assert rss_mb() < before_mb - 30
    assert llm.context_tokens == 2048
    with pytest.raises(PromptTooLong):
        ask(llm, [Message("user", "word " * 3000)])
    llm.prime(FRANCE, tmp_path)
    assert ask(llm, FRANCE) == answer
    llm.limit()
    assert llm.context_tokens == 4096
    llm.prime(FRANCE, tmp_path)  # from the disk
    assert ask(llm, FRANCE) == answer
    assert rss_mb() > before_mb - 20
    llm.close()


def test_half_the_threads_compute_and_what_was_read_is_kept() -> None:
    llm = create(threads=2)
    answer = ask(llm, FRANCE)
    llm.limit(threads_share=0.5)
    assert threads_of(llm) == 1
    assert ask(llm, FRANCE) == answer
    assert llm.usage.tokens_evaluated == 1
    llm.limit()
    assert threads_of(llm) == 2
    llm.limit(threads_share=0.1)
    assert threads_of(llm) == 1, "never none"
    llm.close()


def test_where_there_is_no_room_for_more_it_goes_on_with_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    llm = create()
    llm.limit(context_tokens=1024)
    answer = ask(llm, FRANCE)
    monkeypatch.setattr(lib, "llama_init_from_model", lambda *_: None)
    with pytest.raises(EngineFailed):
        llm.limit()
    assert llm.context_tokens == 1024
    assert ask(llm, FRANCE) == answer
    # And with none at all it fails in words instead of killing the process.
    with pytest.raises(EngineFailed):
        llm.limit(context_tokens=512)
    with pytest.raises(EngineFailed):
        list(llm.stream(FRANCE, Cancel()))
    monkeypatch.undo()
    llm.limit(context_tokens=512)
    assert ask(llm, FRANCE) == answer
    llm.close()

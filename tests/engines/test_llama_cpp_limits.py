"""A real model does with less: a shorter context frees memory, fewer threads compute; all comes back."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
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


def test_half_the_context_gives_the_same_answers(tmp_path: Path) -> None:
    llm = create()
    assert isinstance(llm, FrugalLlm)
    answer = ask(llm, FRANCE)
    llm.limit(context_tokens=2048)
    assert llm.context_tokens == 2048
    with pytest.raises(PromptTooLong):
        ask(llm, [Message("user", "word " * 3000)])
    llm.prime(FRANCE, tmp_path)
    assert ask(llm, FRANCE) == answer
    llm.limit()
    assert llm.context_tokens == 4096
    llm.prime(FRANCE, tmp_path)  # from the disk
    assert ask(llm, FRANCE) == answer
    llm.close()


def _memory_mb() -> tuple[float, float, float]:
    """Of this process: with the whole context, with half of it, and with all of it again."""
    llm = create()
    ask(llm, FRANCE)
    readings = []
    for tokens in (None, 2048, None):
        llm.limit(context_tokens=tokens)
        ask(llm, FRANCE)
        heap.trim()
        readings.append(rss_mb())
    llm.close()
    return readings[0], readings[1], readings[2]


def test_half_the_context_frees_its_memory() -> None:
    """In a process of its own: the heap of one that has run other tests keeps pieces of this size."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        whole_mb, half_mb, again_mb = pool.submit(_memory_mb).result(timeout=120)
    assert half_mb < whole_mb - 30
    assert again_mb > whole_mb - 20


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

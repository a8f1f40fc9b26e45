"""llama.cpp's threads keep to a core each, and nobody else's do."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.engines.llm.llama_cpp import engine as llama_cpp_llm
from assistant.engines.llm.llama_cpp.threads import placed
from tests.engines.conftest import FRANCE, SMOLLM2, ask, settings
from tests.engines.test_llama_cpp_engine import needs_model

TASKS = Path("/proc/self/task")

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2 or not TASKS.exists(),
    reason="needs Linux and two cores",
)


def cores_of_threads() -> dict[str, str]:
    """Of every thread of this process by its number: the kernel's list of its cores."""
    found = {}
    for task in TASKS.iterdir():
        said = re.search(r"^Cpus_allowed_list:\s*(\S+)", (task / "status").read_text(), re.MULTILINE)
        found[task.name] = said[1] if said else ""
    return found


@pytest.fixture
def two_cores() -> Iterator[set[int]]:
    """The calling thread may use two cores, and has those of before afterwards."""
    before = os.sched_getaffinity(0)
    two = set(sorted(before)[:2])
    os.sched_setaffinity(0, two)
    yield two
    os.sched_setaffinity(0, before)


def test_each_has_a_core_and_so_has_who_computes_with_them(two_cores: set[int]) -> None:
    before = cores_of_threads()
    pool = placed(2)
    assert pool is not None
    first, last = sorted(two_cores)
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:  # A thread goes to its place when it has begun.
        (started,) = (cores for name, cores in cores_of_threads().items() if name not in before)
        if started == str(first):
            break
    assert started == str(first)
    with pool.computing(2):
        assert os.sched_getaffinity(0) == {last}
    assert os.sched_getaffinity(0) == two_cores
    with pool.computing(1):
        assert os.sched_getaffinity(0) == two_cores, "alone it goes where there is room"
    pool.close()
    pool.close()
    assert set(cores_of_threads()) == set(before)


def test_with_cores_to_spare_or_too_few_the_kernel_decides(two_cores: set[int]) -> None:
    assert placed(1) is None
    assert placed(3) is None


def test_they_run_the_code_that_the_model_runs(two_cores: set[int]) -> None:
    pool = placed(2)
    assert pool is not None
    mapped = re.findall(r"\S*ggml-cpu\S*", Path("/proc/self/maps").read_text())
    assert len(set(mapped)) == 1, "a second copy of it has tables that nobody has filled"
    pool.close()


@needs_model
def test_a_model_answers_with_them_as_without(two_cores: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(cores_of_threads())
    llm = llama_cpp_llm.create(settings(), SMOLLM2, 2)
    answer = ask(llm, FRANCE)
    assert {str(min(two_cores))} <= {c for name, c in cores_of_threads().items() if name not in before}
    assert os.sched_getaffinity(0) == two_cores
    llm.limit(threads_share=0.5)
    llm.limit()
    assert ask(llm, FRANCE) == answer
    llm.close()
    assert set(cores_of_threads()) == before
    monkeypatch.setattr("assistant.engines.llm.llama_cpp.context.placed", lambda _: None)
    alone = llama_cpp_llm.create(settings(), SMOLLM2, 2)
    assert ask(alone, FRANCE) == answer
    alone.close()

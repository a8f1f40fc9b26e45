"""llama.cpp's threads: each is pinned to its own core, and fewer compute while other programs are busy.

They meet at a barrier hundreds of times per token and spin there until the last one arrives (who else
computes when: ``runtime.engine_thread``). If the kernel moves them around beside a busy program, they wait
for each other longer than necessary (figures: docs/boards.md). So there is one thread pool for as long as the
model is loaded, while llama.cpp itself would start new threads for every token, and each thread has its core.
If that isn't possible, llama.cpp's default applies.

A thread that must first get a core from another program makes all others wait: beside one busy program, two
threads on two cores write half as fast; beside one that spins as they do, forty times slower. A single thread
waits for no other, and because most of the time goes into reading the weights from memory, it is often nearly
as fast as two. So this measures instead of assuming: when tokens become slow, ``ThreadChoice`` briefly tries
fewer threads and keeps the faster number; later it tries more again.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp

log = logging.getLogger(__name__)

_MOST = 512
"""GGML_MAX_N_THREADS of ggml.h."""


class _Parameters(ctypes.Structure):
    """``ggml_threadpool_params`` of ggml.h."""

    _fields_ = (
        ("cores", ctypes.c_bool * _MOST),
        ("threads", ctypes.c_int),
        ("priority", ctypes.c_int),
        ("poll", ctypes.c_uint32),
        ("is_strict", ctypes.c_bool),
        ("is_paused", ctypes.c_bool),
    )


class PlacedThreads:
    """A thread pool for the contexts of one model; the calling thread is one of its threads."""

    def __init__(self, cores: Sequence[int], library: _Library) -> None:
        self._library = library
        self._cores = tuple(cores)
        self._handle: int | None = library.new_pool(cores)

    def serve(self, context: Any) -> None:
        """Compute with these threads in ``context``, which must be freed before ``close``."""
        if self._handle:
            self._library.attach(context, self._handle)

    @contextmanager
    def computing(self, threads: int) -> Iterator[None]:
        """Pin the calling thread to its core inside the block.

        A single thread waits for no other, and runs on any free core.
        """
        if threads < 2:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self._cores[-1:])  # the pool assigns the others to its own threads, in order
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    def close(self) -> None:
        """End the threads; harmless when called twice."""
        if self._handle:
            self._library.free_pool(self._handle)
        self._handle = None


def placed(threads: int) -> PlacedThreads | None:
    """Create a pool if the calling thread may use exactly ``threads`` cores; None if the kernel does better.

    With spare cores, the kernel moves other programs out of the way.
    """
    if threads < 2 or not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) != threads or cores[-1] >= _MOST:
        return None
    try:
        return PlacedThreads(cores, _Library())
    except (OSError, AttributeError, ValueError) as error:
        log.info("llm_threads=anywhere problem=%r", str(error))
        return None


class _Library:
    """Functions that llama-cpp-python does not expose. Raises OSError, AttributeError, ValueError."""

    def __init__(self) -> None:
        suffix = "dylib" if sys.platform == "darwin" else "so"
        file = Path(llama_cpp.__file__).parent / "lib" / f"libllama.{suffix}"
        # It finds ggml's functions in the libraries already loaded. If opened under a name of their own, they
        # would be loaded again (a wheel has copies where a build has links), with uninitialized tables: the
        # threads would compute nonsense.
        library = ctypes.CDLL(str(file))
        self._defaults, self._new, self.free_pool, self._attach = (
            library.ggml_threadpool_params_init,
            library.ggml_threadpool_new,
            library.ggml_threadpool_free,
            library.llama_attach_threadpool,
        )
        self._defaults.restype = self.free_pool.restype = self._attach.restype = None
        self._new.restype = ctypes.c_void_p
        self.free_pool.argtypes = [ctypes.c_void_p]
        self._attach.argtypes = [ctypes.c_void_p] * 3

    def attach(self, context: Any, pool: int) -> None:
        self._attach(context, pool, pool)

    def new_pool(self, cores: Sequence[int]) -> int:
        parameters = _Parameters()
        self._defaults(ctypes.byref(parameters), len(cores))
        known = (parameters.threads, parameters.priority, parameters.is_strict, parameters.is_paused)
        if known != (len(cores), 0, False, False) or any(parameters.cores):
            raise ValueError("this llama.cpp has a different layout of thread parameters")
        for core in cores:
            parameters.cores[core] = True
        parameters.is_strict = True
        # Speech and voice need the core between two tokens; waking up takes 0.05 ms.
        parameters.poll = 0
        before = os.sched_getaffinity(0)
        pool = self._new(ctypes.byref(parameters))
        os.sched_setaffinity(0, before)  # it has pinned the calling thread to the last core
        if not pool:
            raise OSError("llama.cpp could not start its threads")
        return int(pool)


_SLOW = 1.25
"""A token that took this many times the shortest with the same number of threads was delayed by something."""

_WORTH = 0.97
"""A trial setting stays if it takes less than this share of the previous time."""

_TRIAL = 2
"""Tokens per trial, decided by the faster one: a single slow token may mean anything."""

_FIRST_PATIENCE, _LAST_PATIENCE = 16, 256
"""Tokens before the next trial; doubled after each trial without success."""


class ThreadChoice:
    """Chooses the number of threads for the next token by how long tokens took; starts with ``most``."""

    def __init__(self, most: int) -> None:
        self.threads = most
        self._most = most
        self._shortest_s: dict[int, float] = {}
        self._latest_s: deque[float] = deque(maxlen=_TRIAL)
        self._before: tuple[int, float] | None = None
        """During a trial: the previous thread count, and the time per token with it."""
        self._patience = 0
        self._rest = 0

    def took(self, seconds: float) -> None:
        """Record the time of a token evaluated with ``threads``; may change them."""
        self._shortest_s[self.threads] = min(seconds, self._shortest_s.get(self.threads, seconds))
        self._latest_s.append(seconds)
        self._rest = max(0, self._rest - 1)
        if len(self._latest_s) < _TRIAL:
            return
        now_s = min(self._latest_s)
        if self._before is not None:
            self._judge(*self._before, now_s)
        elif self.threads > 1 and self._is_slow(now_s) and not self._rest:
            self._try(self.threads // 2, now_s)
        elif self.threads < self._most and not self._rest:
            self._try(min(2 * self.threads, self._most), now_s)

    def _is_slow(self, now_s: float) -> bool:
        fewer_s = self._shortest_s.get(self.threads // 2, 0.0)
        return now_s > _SLOW * self._shortest_s[self.threads] and now_s > fewer_s

    def _try(self, threads: int, now_s: float) -> None:
        self._before = (self.threads, now_s)
        self._change(threads)

    def _judge(self, before: int, before_s: float, now_s: float) -> None:
        """Keep the trial setting, try still fewer, or go back."""
        is_worth = now_s < _WORTH * before_s
        if not is_worth and 1 < self.threads < before:
            self._change(self.threads // 2)
            return
        self._before = None
        if is_worth:
            self._patience = 0 if self.threads == self._most else _FIRST_PATIENCE
        else:
            self._patience = min(2 * self._patience, _LAST_PATIENCE) or _FIRST_PATIENCE
            self._change(before)
        self._rest = self._patience

    def _change(self, threads: int) -> None:
        self.threads = threads
        self._latest_s.clear()

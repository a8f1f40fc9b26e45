"""Communicates with ``torch_side``, which runs in its own environment, and wraps a checkpoint there as a
scorer.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from assistant.board import health
from assistant.core.errors import EngineFailed
from assistant.core.types import Message
from assistant.engines.llm.chat import prompt_text
from assistant.engines.llm.onnx import model as onnx_model
from assistant.engines.llm.sampling import Sampler
from assistant.settings.engines import LlmSettings
from assistant.store.progress import Watcher, timed
from assistant.tools.quantize import environments
from assistant.tools.quantize.block_numbers import Float32s
from assistant.tools.quantize.scoring import Passage, Scorer
from assistant.tools.quantize.workspace import last_line

WORKER = Path(__file__).parent / "torch_side" / "worker.py"
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}


class TorchChild:
    """The child process. Raises the errors of ``environments.interpreter``."""

    def __init__(self, watcher: Watcher) -> None:
        python = environments.interpreter("torch", watcher)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  closed in close
        self._child = subprocess.Popen(  # noqa: S603  a list of words
            [str(python), "-I", str(WORKER)],
            env={**os.environ, **OFFLINE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
        )

    def __enter__(self) -> TorchChild:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; calling it twice is harmless."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout, self._complaints):
            if pipe:
                pipe.close()

    @property
    def number(self) -> int:
        """Return the process ID."""
        return self._child.pid

    def order(self, do: str, **details: object) -> dict[str, Any]:
        """Run a task and return its answer. Raises EngineFailed."""
        stdin = self._child.stdin
        assert stdin is not None  # noqa: S101  it is a pipe
        try:
            stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            raise self._failed() from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None  # noqa: S101  it is a pipe
        line = self._child.stdout.readline()
        if not line:
            raise self._failed()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def follow(self, do: str, **details: object) -> Iterator[dict[str, Any]]:
        """Run a task and yield its reports until it is done. Raises EngineFailed."""
        answer = self.order(do, **details)
        while "done" not in answer:
            yield answer
            answer = self._answer()

    def numbers(self, count: int) -> bytes:
        """Read the bytes that follow an answer. Raises EngineFailed."""
        assert self._child.stdout is not None  # noqa: S101  it is a pipe
        data = self._child.stdout.read(count)
        if len(data) != count:
            raise self._failed()
        return data

    def _failed(self) -> EngineFailed:
        self._child.wait()
        return EngineFailed(
            f"torch failed: {last_line(self._complaints)}.",
            "Choose a different source, or close other programs if memory is short.",
        )


class TorchScorer(Scorer):
    """A checkpoint in transformers, as a scorer.

    Raises ModelMissing, ModelCorrupt, EngineFailed, and the errors of ``TorchChild``.
    """

    def __init__(self, folder: Path, threads: int, watcher: Watcher) -> None:
        super().__init__(*onnx_model.words(folder))
        self._child = TorchChild(watcher)
        try:
            with timed("Loading it into torch", watcher):
                loaded = self._child.order("load", folder=str(folder), threads=threads)
        except BaseException:
            self._child.close()
            raise
        self.vocabulary_size = int(loaded["vocabulary"])

    def close(self) -> None:
        self._child.close()

    def scores(self, passage: Passage) -> Iterator[Float32s]:
        yield self._scores(passage.tokens, 0, [position - 1 for position in passage.scored])

    def append(self, token: int, position: int) -> None:
        self._scores((token,), position, [0])

    def reply(self, question: str, settings: LlmSettings) -> tuple[str, int, float]:
        """Return the answer, sampled as in the engines, its number of tokens, and tokens per second.

        Raises EngineFailed.
        """
        prompt = self.vocabulary.tokenize(
            prompt_text(self.vocabulary, self.chat, [Message("user", question)])
        )
        scores = self._scores(tuple(prompt), 0, [len(prompt) - 1])
        sampler = Sampler(settings)
        began_s, said = time.perf_counter(), []
        while not self.vocabulary.ends_reply(token := sampler.choose(scores[0])):
            said.append(token)
            if len(said) == settings.max_tokens:
                break
            scores = self._scores((token,), len(prompt) + len(said) - 1, [0])
        evaluated, spent_s = max(len(said) - 1, 0), time.perf_counter() - began_s
        text = b"".join(map(self.vocabulary.piece, said)).decode("utf-8", "replace")
        return text, len(said), evaluated / spent_s

    @property
    def resident_bytes(self) -> int:
        """Return the memory of the process, including torch; 0 if unavailable."""
        return health.memory_bytes("VmRSS", of=f"{self._child.number}/status") or 0

    def _scores(self, tokens: tuple[int, ...], start: int, wanted: list[int]) -> Float32s:
        answer = self._child.order("scores", tokens=list(tokens), start=start, wanted=wanted)
        rows, columns = (int(length) for length in answer["shape"])
        data = self._child.numbers(4 * rows * columns)
        return np.frombuffer(data, np.float32).reshape(rows, columns)

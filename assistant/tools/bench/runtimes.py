"""``assistant bench runtimes``: one question to models in several formats, on llama.cpp and ONNX Runtime.

Each model and number of threads has a process of its own, in which it stays loaded. Round by round each of
them reads a prompt that it has not seen and answers it, one after the other, so that whatever else the
machine does meets all of them alike. On a machine that is never quiet, tokens for a second of the processor's
time, with one thread, say more than tokens for a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from assistant.app import engines as loading
from assistant.core.errors import AssistantError, EngineFailed
from assistant.core.types import Message
from assistant.engines import load
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.tools.bench.lib import machine
from assistant.tools.bench.lib.measuring import Document, Result, in_turn, median, rounded, table
from assistant.tools.bench.lib.variants import changed

TOKENS = 32
"""Of a reply."""
_FILLER = "You are a helpful assistant. " * 20
"""A prompt of about 150 tokens, as a system prompt with a conversation behind it has."""
_QUESTION = Message("user", "Tell me a long story about a fox and a hen.")
_FIGURES = {
    "first_token_s": 3,
    "prompt_per_s": 1,
    "reply_per_s": 2,
    "prompt_per_cpu_s": 1,
    "reply_per_cpu_s": 2,
    "rss_mb": 0,
    "own_mb": 0,
}
"""What a round tells, and to how many digits."""


def run(
    settings: Settings,
    models: Sequence[str],
    *,
    threads: Sequence[int],
    rounds: int,
    progress: Callable[[str], None],
) -> Result:
    """Ask each of ``models`` (names of the store, or folders) with each of ``threads``.

    Raises AssistantError.
    """
    about = machine.describe(settings)
    cases = []
    with ExitStack() as stack:
        for name in models:
            folder = Path(name) if "/" in name else loading.store_of(settings).path(name, "llm")
            for count in threads:
                progress(f"loading {folder.name}, {count} threads")
                order = {"folder": str(folder), "threads": count, "llm": _settings(settings, folder)}
                cases.append((folder.name, count, stack.enter_context(_Child(order))))
        progress(f"{rounds} rounds")
        found = in_turn([partial(child.round) for *_, child in cases], rounds)
    rows = [
        {
            "model": name,
            "threads": count,
            **{
                figure: rounded(median(each[figure] for each in told), _FIGURES[figure])
                for figure in _FIGURES
            },
        }
        for (name, count, _), told in zip(cases, found, strict=True)
    ]
    document: Document = {"bench": "runtimes", "rounds": rounds, "tokens": TOKENS, "cases": rows, **about}
    return Result(_as_text(document), document)


def _settings(settings: Settings, folder: Path) -> Document:
    engine = "llama_cpp" if any(folder.glob("*.gguf")) else "onnx"
    greedy = {"temperature": 0, "repeat_penalty": 1, "max_tokens": TOKENS, "adapter": None, "draft_tokens": 0}
    return changed(settings, {"llm": {"engine": engine, **greedy}}).llm.model_dump(mode="json")


class _Child:
    """A process with one model in it."""

    def __init__(self, order: Document) -> None:
        child = [sys.executable, "-c", "from assistant.tools.bench import runtimes; runtimes.in_child()"]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._name = Path(order["folder"]).name
        self._order = order

    def __enter__(self) -> _Child:
        try:
            self._told(json.dumps(self._order))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def round(self) -> Document:
        found: Document = json.loads(self._told(""))
        return found

    def _told(self, line: str) -> str:
        assert self._process.stdin is not None  # noqa: S101 - they were asked for
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise EngineFailed(f"{self._name} could not be measured.", "See what it said above.")
        return answer


def in_child() -> None:
    """Load what the first line of standard input orders; then a round for each further line."""
    order = json.loads(sys.stdin.readline())
    settings = Settings.model_validate({"llm": order["llm"]}).llm
    folder = Path(order["folder"])
    try:
        llm = load("llm", settings.engine, settings=settings, model=folder, threads=order["threads"])
        llm.warm_up()
        _say({})
        for number, _ in enumerate(sys.stdin):
            _say(_round(llm, number))
    except AssistantError as error:
        sys.exit(str(error))


def _round(llm: Any, number: int) -> Document:
    prompt = [Message("system", f"{number} {_FILLER}"), _QUESTION]
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    pieces = llm.stream(prompt, Cancel())
    next(pieces)
    first_s, first_cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    for _ in pieces:
        pass
    rest_s = time.perf_counter() - began_s - first_s
    rest_cpu_s = time.process_time() - began_cpu_s - first_cpu_s
    usage = llm.usage
    return {
        "first_token_s": first_s,
        "prompt_per_s": usage.tokens_evaluated / first_s,
        "reply_per_s": (usage.tokens_generated - 1) / rest_s,
        "prompt_per_cpu_s": usage.tokens_evaluated / first_cpu_s,
        "reply_per_cpu_s": (usage.tokens_generated - 1) / rest_cpu_s,
        "rss_mb": machine.rss_mb(),
        "own_mb": machine.anonymous_mb() or 0.0,
    }


def _say(document: Document) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _as_text(document: Document) -> str:
    head = (
        *("model", "threads", "first token s", "prompt/s", "reply/s", "prompt/CPU s", "reply/CPU s"),
        *("RSS MB", "of it own"),
    )
    rows = [
        (case["model"], case["threads"], *(case[figure] for figure in _FIGURES)) for case in document["cases"]
    ]
    title = f"Tokens of a prompt of about 150 and of a reply of {document['tokens']}"
    return f"{title}\n{machine.headline(document)}\n\n{table(head, rows)}"

"""``assistant bench runtimes``: one question to models in several formats, on llama.cpp and ONNX Runtime.

Each model and number of threads has its own process, in which it stays loaded. In each round, every process
in turn processes a prompt it has not seen and answers it, so that other load on the machine affects all of
them alike. On a machine that is never idle, tokens per CPU second with one thread are more reliable than
tokens per second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from assistant.app import engines as loading
from assistant.core.types import Message
from assistant.engines import load
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.tools.bench.lib import machine
from assistant.tools.bench.lib.child import Child, say, told
from assistant.tools.bench.lib.measuring import Document, Result, columned, in_turn, median, rounded
from assistant.tools.bench.lib.variants import changed

TOKENS = 32
"""Length of a reply."""
_FILLER = "You are a helpful assistant. " * 20
"""A prompt of about 150 tokens, like a system prompt followed by a conversation."""
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
"""What a round reports, and the number of decimals."""


def run(
    settings: Settings,
    *,
    models: Sequence[str],
    threads: Sequence[int],
    rounds: int,
    progress: Callable[[str], None],
) -> Result:
    """Ask each of ``models`` (names in the store, or folders) with each of ``threads``.

    Raises AssistantError.
    """
    cases = []
    with ExitStack() as stack:
        for name in models:
            folder = Path(name) if "/" in name else loading.store_of(settings).path(name, "llm")
            for count in threads:
                progress(f"loading {folder.name}, {count} threads")
                asked = _settings(settings, folder)
                child = Child(rounds_of, asked, folder.name, folder=str(folder), threads=count)
                cases.append((folder.name, count, stack.enter_context(child)))
                child.hear()  # It is loaded.
        progress(f"{rounds} rounds")
        found = in_turn([partial(_round_of, child) for *_, child in cases], rounds)
    rows = [
        {
            "model": name,
            "threads": count,
            **{
                figure: rounded(median(each[figure] for each in each_round), _FIGURES[figure])
                for figure in _FIGURES
            },
        }
        for (name, count, _), each_round in zip(cases, found, strict=True)
    ]
    document: Document = {"rounds": rounds, "tokens": TOKENS, "cases": rows}
    return Result(_as_text(document), document)


def _settings(settings: Settings, folder: Path) -> Settings:
    engine = "llama_cpp" if any(folder.glob("*.gguf")) else "onnx"
    greedy = {"temperature": 0, "repeat_penalty": 1, "max_tokens": TOKENS, "adapter": None, "draft_tokens": 0}
    return changed(settings, {"llm": {"engine": engine, **greedy}})


def _round_of(child: Child) -> Document:
    child.tell({})
    found: Document = child.hear()
    return found


def rounds_of(settings: Settings, folder: str, threads: int) -> None:
    """Load the model, then run a round on each request; runs in a separate process."""
    llm = load("llm", settings.llm.engine, settings=settings.llm, model=Path(folder), threads=threads)
    llm.warm_up()
    say({})
    for number, _ in enumerate(told()):
        say(_round(llm, number))


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


def _as_text(document: Document) -> str:
    heads = ("first token s", "prompt/s", "reply/s", "prompt/CPU s", "reply/CPU s", "RSS MB", "of it own")
    columns = [("model", "model"), ("threads", "threads"), *zip(heads, _FIGURES, strict=True)]
    title = f"Tokens of a prompt of about 150 and of a reply of {document['tokens']}"
    return f"{title}\n\n{columned(columns, document['cases'])}"

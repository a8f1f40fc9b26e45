"""``assistant bench memory``: the memory plan compared with the peak of a real process.

For each model and context, a child process loads the language model as the assistant does, processes a prompt
that fills the context, and answers; its peak is what the kernel counted (VmHWM). Other engines are not
loaded: their memory doesn't depend on the context and is listed in `docs/boards.md`.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Sequence

from assistant.app import engines as loading
from assistant.app import memory_fit as fit
from assistant.board.heap import return_what_is_freed
from assistant.core.types import Message
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.tools.bench.lib import machine
from assistant.tools.bench.lib.child import in_own_process
from assistant.tools.bench.lib.measuring import Document, Result, columned
from assistant.tools.bench.lib.variants import changed

ANSWER_TOKENS = 16
_FILLED = 0.97
"""Fraction of the context before the answer."""


def run(
    settings: Settings,
    *,
    models: Sequence[str] | None,
    contexts: Sequence[int],
    progress: Callable[[str], None],
) -> Result:
    """Run one child process per case, one after the other. Raises AssistantError if one fails."""
    cases = []
    for name in models or _here(settings):
        for tokens in contexts:
            progress(f"{name}, {tokens} tokens")
            cases.append(_case(_with(settings, name, tokens)))
    worst = max((abs(case["error"]) for case in cases), default=None)
    document: Document = {"cases": cases, "worst_error": worst}
    return Result(_as_text(document), document)


def _here(settings: Settings) -> list[str]:
    entries = loading.store_of(settings).entries()
    return [entry.name for entry in entries if entry.kind == "llm" and entry.state == "installed"]


def _with(settings: Settings, model: str, context_tokens: int) -> Settings:
    llm = {"context_tokens": context_tokens, "max_tokens": ANSWER_TOKENS, "history_tokens": 0}
    return changed(fit.with_model(settings, model), {"llm": llm})


def _case(settings: Settings) -> Document:
    found = fit.plan(settings, llm_only=True)
    measured = in_own_process(filled, settings, found.model)
    planned_mb = found.need.peak / 1e6
    return {
        "model": found.model,
        "context_tokens": found.context_tokens,
        "planned_mb": round(planned_mb, 1),
        "error": round(planned_mb / measured["peak_mb"] - 1, 4),
        **measured,
    }


def filled(settings: Settings) -> Document:
    """Fill the context and answer; runs in a separate process. Returns its peak."""
    return_what_is_freed()
    llm = loading.load_llm(settings)
    prompt = _filling(llm.count_tokens, settings.llm.context_tokens)
    for _ in llm.stream(prompt, Cancel()):
        pass
    used = llm.count_tokens(prompt)
    llm.close()
    return {"peak_mb": round(machine.peak_rss_mb(), 1), "prompt_tokens": used}


def _filling(count_tokens: Callable[[Sequence[Message]], int], context_tokens: int) -> list[Message]:
    """Return a question that fills the context with words from the whole vocabulary, the same each time."""
    draw = random.Random(0)  # noqa: S311 - nothing is secret
    words = ["".join(draw.choices(string.ascii_letters, k=draw.randint(2, 7))) for _ in range(context_tokens)]
    wanted = int(_FILLED * context_tokens) - ANSWER_TOKENS
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        fits = count_tokens([Message("user", " ".join(words[:middle]))]) <= wanted
        low, high = (middle, high) if fits else (low, middle - 1)
    return [Message("user", " ".join(words[:low]))]


def _as_text(document: Document) -> str:
    columns = [("model", "model"), ("context", "context_tokens"), ("prompt tokens", "prompt_tokens")]
    columns += [("planned MB", "planned_mb"), ("peak RSS MB", "peak_mb"), ("error", "error:+.1%")]
    return f"The memory plan beside real processes\n\n{columned(columns, document['cases'])}"

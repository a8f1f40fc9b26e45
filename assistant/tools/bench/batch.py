"""``assistant bench batch``: many prompts at once, what that gains overall and costs each prompt.

The same prompts are answered with 1, 2, 4, and 8 slots in one context, each time in a separate process.
*All tokens/s* is the overall throughput, as in a nightly job. A prompt's own times start when it gets its
slot: that is how long a person would wait, and why a conversation has one slot. On a machine that is never
idle, tokens per CPU second are more reliable than tokens per second (with `llm.threads: 1`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

from assistant.app import engines as loading
from assistant.core.errors import EngineFailed
from assistant.core.types import BatchReply, Message
from assistant.dialog.conversation import opening
from assistant.runtime.cancel import Cancel
from assistant.settings import load as configuration
from assistant.settings.schema import Settings
from assistant.tools.bench.lib import machine
from assistant.tools.bench.lib.child import in_own_process
from assistant.tools.bench.lib.measuring import (
    Document,
    Result,
    columned,
    median,
    percentile,
    ratio,
    rounded,
)
from assistant.tools.bench.lib.variants import changed

PLACES = (1, 2, 4, 8)
TOKENS = 32
"""Length of each answer; all are equally long, so that the last ones don't run alone for long."""
CONTEXT_TOKENS = 4096
THINGS = (
    *("a fox", "a hen", "the sea", "an old lighthouse", "a bridge", "winter", "a clever child", "bread"),
    *("a broken clock", "two brothers", "the moon", "a market", "rain", "a lost dog", "a train", "honey"),
)
"""One prompt for each: twice the largest number of slots, so that slots are reused."""


def run(settings: Settings, *, progress: Callable[[str], None]) -> Result:
    """Answer all prompts with every number of slots. Raises AssistantError if one fails."""
    llm = {"max_tokens": TOKENS, "temperature": 0, "context_tokens": CONTEXT_TOKENS}
    told = changed(settings, {"llm": llm})
    cases = []
    for places in PLACES:
        progress(f"{len(THINGS)} prompts, {places} at once")
        cases.append({"at_once": places, **_measured(told, places)})
    first = cases[0]
    for case in cases:
        case["times_as_fast"] = ratio(case["tokens_per_s"], first["tokens_per_s"])
        case["times_as_long"] = ratio(case["answer_p50_s"], first["answer_p50_s"])
    document: Document = {"prompts": len(THINGS), "tokens": TOKENS, "cases": cases}
    return Result(_as_text(document), document)


def _measured(settings: Settings, places: int) -> Document:
    return in_own_process(answered, settings, f"{places} at once", places=places)


def answered(settings: Settings, places: int) -> Document:
    """Answer all prompts; runs in a separate process."""
    before = opening(configuration.prompt_text(settings))
    prompts = [[*before, Message("user", f"Tell me a long story about {thing}.")] for thing in THINGS]
    with closing(loading.load_batch(settings, places)) as batch:
        list(batch.answer_all(prompts[:1], Cancel()))  # Touches all pages of the model before timing starts.
        cpu_s = machine.cpu_s()
        replies = list(batch.answer_all(prompts, Cancel()))
        cpu_s = machine.cpu_s() - cpu_s
    if lost := next((reply.error for reply in replies if reply.error), ""):
        raise EngineFailed(f"A prompt was not answered: {lost}", "Set llm.context_tokens to a higher value.")
    found = figures(replies)
    found |= {"cpu_s": round(cpu_s, 2), "tokens_per_cpu_s": rounded(ratio(found["tokens"], cpu_s), 2)}
    return found | {"peak_rss_mb": round(machine.peak_rss_mb(), 1)}


def figures(replies: Sequence[BatchReply]) -> Document:
    """Return the overall tokens per second from the first slot taken, and each prompt's waiting times."""
    tokens = sum(reply.tokens_generated for reply in replies)
    began_s = min(reply.began_s for reply in replies)
    total_s = max(reply.end_s for reply in replies) - began_s
    waits = [reply.first_token_s - reply.began_s for reply in replies]
    whole = [reply.end_s - reply.began_s for reply in replies]
    return {
        "tokens": tokens,
        "total_s": round(total_s, 2),
        "tokens_per_s": rounded(tokens / total_s if total_s else None, 2),
        "first_token_p50_s": rounded(median(waits), 3),
        "first_token_p95_s": rounded(percentile(waits, 95), 3),
        "answer_p50_s": rounded(median(whole), 2),
    }


def _as_text(document: Document) -> str:
    columns = [
        *(("at once", "at_once"), ("all tokens/s", "tokens_per_s"), ("times", "times_as_fast:.2f")),
        *(("first token s", "first_token_p50_s:.2f"), ("p95", "first_token_p95_s:.2f")),
        *(("answer s", "answer_p50_s:.2f"), ("times", "times_as_long:.2f")),
        *(("tokens/CPU s", "tokens_per_cpu_s"), ("MB", "peak_rss_mb")),
    ]
    title = f"{document['prompts']} prompts, {document['tokens']} tokens each"
    return f"{title}\n\n{columned(columns, document['cases'])}"

"""``assistant bench draft``: what drafting tokens from earlier text (``llm.draft_tokens``) saves.

Two workloads, each without and with drafting, alternating in the same run: a conversation on various topics,
and rewriting a text, which repeats most of it. All use the same seed, so the replies are identical.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from assistant.app import build as app
from assistant.app import engines as loading
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.tools.bench.corpus import QUESTIONS
from assistant.tools.bench.lib.measuring import Document, Result, columned, in_turn, ratio, rounded
from assistant.tools.bench.lib.variants import changed

DRAFTS = (0, 2, 4, 8)
TEXTS = (
    (
        "Dear Anna, on Tuesday the plumber comes at nine. Please let him in, show him the kitchen tap, "
        "and ask him how long the boiler will last. The money is on the shelf beside the door."
    ),
    (
        "The hut is open from May to October. Bring a sleeping bag, a lamp and food for two days. "
        "Water comes from the spring behind the hut, and wood lies under the roof on the north side."
    ),
)
EDIT = "Write this text again, word for word, but in the past tense: "
TALK = 12
"""Questions in the conversation."""

Speeds = tuple[float, float]
"""Tokens per second in the conversation and in the rewriting."""


def run(settings: Settings, *, rounds: int, progress: Callable[[str], None]) -> Result:
    """Generate everything ``rounds`` times with each number of drafted tokens. Raises any AssistantError."""
    cases = []
    with_guesses = [
        partial(_write, changed(settings, {"llm": {"draft_tokens": draft, "seed": 1}})) for draft in DRAFTS
    ]
    progress(f"{rounds} rounds, {TALK} questions and {len(TEXTS)} texts in each")
    for draft, speeds in zip(DRAFTS, in_turn(with_guesses, rounds), strict=True):
        talk, text = (sorted(each)[len(each) // 2] for each in zip(*speeds, strict=True))
        cases.append({"draft_tokens": draft, "talk_tokens_per_s": talk, "text_tokens_per_s": text})
    first = cases[0]
    for case in cases:
        for work in ("talk", "text"):
            speed = f"{work}_tokens_per_s"
            case[f"{work}_ratio"] = ratio(case[speed], first[speed])
    for case in cases:
        case |= {key: rounded(value, 2) for key, value in case.items() if key.endswith("_per_s")}
    document: Document = {"rounds": rounds, "cases": cases}
    return Result(_as_text(document), document)


def _write(settings: Settings) -> Speeds:
    engine: Any = loading.load_llm(settings)
    with closing(engine):
        engine.warm_up()
        talk, text = _Written(), _Written()
        conversation = app.new_conversation(settings, engine)
        for question in QUESTIONS[:TALK]:
            conversation.add(question, talk.add(engine, conversation.messages_for(question)))
        for each in TEXTS:
            text.add(engine, app.new_conversation(settings, engine).messages_for(EDIT + each))
        return talk.tokens_per_s, text.tokens_per_s


class _Written:
    def __init__(self) -> None:
        self._tokens, self._spent_s = 0, 0.0

    def add(self, engine: Any, messages: Any) -> str:
        reply = "".join(engine.stream(messages, Cancel()))
        self._tokens += engine.usage.tokens_generated - 1
        self._spent_s += engine.usage.total_s - engine.usage.first_token_s
        return reply

    @property
    def tokens_per_s(self) -> float:
        return self._tokens / self._spent_s


def _as_text(document: Document) -> str:
    columns = [("guesses", "draft_tokens")]
    columns += [(f"{work} tokens/s", f"{work[:4]}_tokens_per_s") for work in ("talk", "texts")]
    columns += [(f"{work} times", f"{work[:4]}_ratio") for work in ("talk", "texts")]
    return f"Guessing ahead\n\n{columned(columns, document['cases'])}"

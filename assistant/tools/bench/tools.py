"""``assistant bench tools``: whether the model calls a skill when it should, and only then.

The model gets requests in words that no sentence template covers and questions that no skill answers, each as
the first in a conversation, with the skills in its prompt. Then it gets the same first questions without the
skills, to measure the cost of the longer prompt. No call is executed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assistant.app import build as app
from assistant.app import engines as loading
from assistant.core.errors import EngineUnavailable
from assistant.core.types import Call
from assistant.dialog.conversation import Conversation
from assistant.engines import CallingLlm
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.skills import Skills
from assistant.tools.bench.corpus import QUESTIONS, REQUESTS
from assistant.tools.bench.lib.measuring import Document, Result, median, ratio, rounded, share, table, timed
from assistant.tools.bench.lib.variants import changed

_TIMED = 15
"""Questions that are timed with and without skills."""


def run(settings: Settings, *, progress: Callable[[str], None]) -> Result:
    """Ask everything. Raises any AssistantError."""
    # Measures the prompt with commands, regardless of llm.tools for this model.
    llm = loading.load_llm(changed(settings, {"llm": {"tools": "on"}}))
    try:
        if not isinstance(llm, CallingLlm):
            raise EngineUnavailable(
                f"The engine '{settings.llm.engine}' doesn't support calling skills.",
                "Set llm.engine to llama_cpp.",
            )
        with _skills(settings) as skills:
            document: Document = {**_asked(settings, llm, skills, progress)}
    finally:
        llm.close()
    return Result(_as_text(document), document)


@contextmanager
def _skills(settings: Settings) -> Iterator[Skills]:
    with tempfile.TemporaryDirectory() as folder, app.skill_context(Path(folder)) as context:
        yield app.load_skills(settings, context)


def _asked(settings: Settings, llm: CallingLlm, skills: Skills, progress: Callable[[str], None]) -> Document:
    with_skills = app.new_conversation(settings, llm, skills)
    without = app.new_conversation(settings, llm)
    lengths = [llm.count_tokens(each.messages_for("")) for each in (with_skills, without)]
    added = lengths[0] - lengths[1]
    prime_s, _ = timed(lambda: llm.prime(with_skills.messages_for("")))
    progress(f"{len(REQUESTS)} requests")
    wanted = [(said, skills.called(call)) for said, call in REQUESTS]
    written = [_call(llm, with_skills, skills, said) for said, _ in wanted]
    got = [skills.called(call.text) if call else None for call in written]
    results = [_verdict(want, found) for (_, want), found in zip(wanted, got, strict=True)]
    progress(f"{len(QUESTIONS)} questions")
    called = {said: call.text for said in QUESTIONS if (call := _call(llm, with_skills, skills, said))}
    progress("what it costs")
    firsts = {name: _first_token_ms(llm, each) for name, each in (("on", with_skills), ("off", without))}
    return {
        "parameters": llm.parameters,
        "requests": len(REQUESTS),
        "right": results.count("right"),
        "right_skill": results.count("right") + results.count("wrong values"),
        "wrong_skill": results.count("wrong skill"),
        "no_call": results.count("no call"),
        "invalid": sum(call is not None and skills.called(call.text) is None for call in written),
        "questions": len(QUESTIONS),
        "called_unasked": len(called),
        "prompt_tokens_added": added,
        "prime_s": rounded(prime_s, 2),
        "first_token_ms": firsts,
        "wrong": [
            {"said": said, "wrote": call.text if call else None, "verdict": verdict}
            for (said, _), call, verdict in zip(wanted, written, results, strict=True)
            if verdict != "right"
        ],
        "unasked": called,
    }


def _call(llm: CallingLlm, conversation: Conversation, skills: Skills, said: str) -> Call | None:
    """Return the model's call; an answer in words is ignored."""
    pieces = llm.stream_or_call(conversation.messages_for(said), Cancel(), skills.grammar)
    first = next(iter(pieces), None)
    return first if isinstance(first, Call) else None


def _verdict(want: Any, found: Any) -> str:
    if found is None:
        return "no call"
    if found.name != want.name:
        return "wrong skill"
    same = found.arguments.keys() >= {name for name in want.arguments if name != "name"} and all(
        _is_same(want.arguments.get(name), value) for name, value in found.arguments.items()
    )
    return "right" if same else "wrong values"


def _is_same(want: object, value: object) -> bool:
    """True if the values agree. Names and things may be worded differently if they share a word; a name is
    optional.
    """
    if isinstance(value, str):
        return want is None or bool(_bare(str(want)) & _bare(value))
    if isinstance(value, tuple):
        return isinstance(want, tuple) and len(want) == len(value) and bool(_bare(*want) & _bare(*value))
    return want == value


def _bare(*texts: str) -> set[str]:
    said = {word.lower().rstrip("s") for text in texts for word in text.split()}
    return said - {"the", "a", "an", "my", "i", "at", "of", "to", "that"}


def _first_token_ms(llm: CallingLlm, conversation: Conversation) -> float | None:
    """Return the median over questions whose beginning was already processed, as in the appliance."""
    llm.prime(conversation.messages_for(""))
    times: list[float] = []
    for said in QUESTIONS[:_TIMED]:
        pieces = llm.stream(conversation.messages_for(said), Cancel())
        seconds, _ = timed(lambda pieces=pieces: next(iter(pieces), None))  # type: ignore[misc]
        times.append(seconds * 1000)
    return rounded(median(times), 1)


def _as_text(document: Document) -> str:
    def of(name: str, total: str) -> Sequence[object]:
        return [f"{document[name]} of {document[total]}", share(ratio(document[name], document[total]))]

    rows = [
        ["right skill and values", *of("right", "requests")],
        ["right skill", *of("right_skill", "requests")],
        ["another skill", *of("wrong_skill", "requests")],
        ["no call", *of("no_call", "requests")],
        ["calls that are none", *of("invalid", "requests")],
        ["questions that were called on", *of("called_unasked", "questions")],
    ]
    wrong = [f"  {each['said']}\n    {each['wrote']}  ({each['verdict']})" for each in document["wrong"]]
    unasked = [f"  {said}\n    {call}" for said, call in document["unasked"].items()]
    firsts = document["first_token_ms"]
    return "\n".join(
        [
            "Skills called by the language model",
            "",
            table(["", "", ""], rows),
            "",
            f"the prompt: {document['prompt_tokens_added']} tokens more, read in {document['prime_s']} s",
            f"first token: {firsts['on']} ms with the skills, {firsts['off']} ms without",
            *(["", "not right:", *wrong] if wrong else []),
            *(["", "called without being asked:", *unasked] if unasked else []),
        ]
    )

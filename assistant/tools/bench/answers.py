"""``assistant bench answers``: how many answers are true, and whether the assistant admits when it doesn't
know.

Each question starts a new conversation and is answered as on the appliance: by a skill or by the model, whose
reply then passes the honesty check. The same replies also show what the model would have said without that
check and, ranked by confidence, the share of false answers (risk) at each share of answered questions
(coverage). Decoding is greedy throughout, so the result is repeatable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from assistant.app import model_choice
from assistant.app.answers import asking
from assistant.app.answers.asking import Answered
from assistant.app.answers.questions import read
from assistant.app.memory_fit import with_model
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.measuring import (
    Document,
    Result,
    median,
    percentile,
    ratio,
    rounded,
    share,
    table,
)
from assistant.tools.bench.lib.variants import changed
from assistant.tools.drawing import figure, printable, svg

FIRST_POINTS = 4
"""Fewer points are not drawn: a single false answer would make the curve jump."""

ROUTES = ("skill", "table", "passage", "model")


def run(
    settings: Settings,
    *,
    files: Sequence[Path],
    models: Sequence[str],
    limit: int | None,
    picture: Path | None,
    progress: Callable[[str], None],
) -> Result:
    """Ask each model every question in ``files``. Raises any AssistantError."""
    questions = [question for file in files for question in read(file)][:limit]
    asked = {
        model: asking.ask_all(
            changed(with_model(settings, model), {"llm": {"temperature": 0.0}}), questions, progress
        )
        for model in models or [model_choice.choice(settings).model]
    }
    document: Document = {
        "sets": [file.name for file in files],
        "questions": len(questions),
        "models": {model: summary(answered) for model, answered in asked.items()},
    }
    if picture:
        curves = {
            model: of["curve"] for model, of in document["models"].items() if len(of["curve"]) > FIRST_POINTS
        }
        picture.write_text(draw(curves, len(questions)), encoding="utf-8")
    return Result(_as_text(document, asked), document)


def summary(answered: Sequence[Answered]) -> Document:
    """Summarize the answers of one model."""
    spoken = [each for each in answered if each.verdict.status != "admitted"]
    plain = [each for each in spoken if each.way == "plain"]
    by_model = [each for each in answered if each.route == "model"]
    return {
        "spoken": _counts(answered, of="verdict"),
        "plain": len(plain),
        "plain_right": sum(each.verdict.status == "right" for each in plain),
        "false_of_plain": ratio(sum(each.verdict.status == "wrong" for each in plain), len(plain)),
        "from_memory": _counts(answered, of="remembered"),
        "routes": {
            route: _counts(some, of="verdict")
            for route in ROUTES
            if (some := [each for each in answered if each.route == route])
        },
        "groups": {
            group: {
                "spoken": _counts(some, of="verdict"),
                "from_memory": _counts(some, of="remembered"),
            }
            for group in dict.fromkeys(each.question.group for each in answered)
            if (some := [each for each in answered if each.question.group == group])
        },
        "first_words_p50_ms": _ms(median(each.first_s for each in by_model)),
        "first_words_p95_ms": _ms(percentile((each.first_s for each in by_model), 95)),
        "tokens": rounded(median(each.tokens for each in by_model), 0),
        "curve": curve(answered),
        "doubtful": [
            {
                "id": each.question.id,
                "question": each.question.text,
                "said": each.said,
                "why": each.verdict.doubt,
            }
            for each in answered
            if each.verdict.doubt
        ],
        "answers": [
            {
                "id": each.question.id,
                "route": each.route,
                "said": each.said,
                "verdict": each.verdict.status,
                "reply": each.reply,
                "reply_is": each.remembered.status,
                "confidence": rounded(each.confidence, 3),
            }
            for each in answered
        ],
    }


def curve(answered: Sequence[Answered]) -> list[tuple[float, float]]:
    """Return (share of questions answered, share of those that are false), starting with the surest
    answers.
    """
    known = [
        each for each in answered if each.confidence is not None and each.remembered.status != "admitted"
    ]
    ranked = sorted(known, key=lambda each: -(each.confidence or 0.0))
    asked = sum(each.route == "model" for each in answered)
    points, wrong = [], 0
    for number, each in enumerate(ranked, 1):
        wrong += each.remembered.status == "wrong"
        points.append((round(number / asked, 4), round(wrong / number, 4)))
    return points


def draw(curves: Mapping[str, Sequence[tuple[float, float]]], questions: int) -> str:
    """Draw risk against coverage as an SVG document. Raises EngineUnavailable without matplotlib."""
    whole = figure(7.0, 4.4)
    axes = whole.add_subplot()
    axes.set_title(f"From memory, the surest first; {questions} questions", loc="left", fontsize=10)
    for name, points in curves.items():
        shares, risks = zip(*points[FIRST_POINTS:], strict=True)
        axes.plot([100 * each for each in shares], [100 * each for each in risks], label=printable(name))
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="answered, %", ylabel="of these false, %")
    axes.grid(visible=True, color="#e4e4e4")
    axes.legend(fontsize=8)
    return svg(whole)


def _counts(answered: Sequence[Answered], *, of: str) -> Document:
    statuses = [getattr(each, of).status for each in answered]
    return {"n": len(statuses), **{name: statuses.count(name) for name in ("right", "wrong", "admitted")}}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else rounded(seconds * 1000, 0)


def _as_text(document: Document, asked: dict[str, list[Answered]]) -> str:
    parts = [f"{document['questions']} questions of {', '.join(document['sets'])}"]
    for model, of in document["models"].items():
        rows = [
            _row("spoken", of["spoken"]),
            *(_row(f"  by {route}", counts) for route, counts in of["routes"].items()),
            _row("without judging", of["from_memory"]),
        ]
        if len(of["groups"]) > 1:
            rows += [_row(group, counts["spoken"]) for group, counts in of["groups"].items()]
        parts += [
            "",
            model,
            table(["", "n", "right", "", "false", "", "admitted"], rows),
            _plainly(of, document["questions"]),
            "first words: {first_words_p50_ms} ms (95 %: {first_words_p95_ms} ms); {tokens} tokens".format(
                **of
            ),
        ]
        wrong = [each for each in asked[model] if each.verdict.status == "wrong"]
        parts += ["false:", *(f"  {each.question.text}\n    {each.said}" for each in wrong)] if wrong else []
        doubtful = [each for each in asked[model] if each.verdict.doubt]
        parts += ["to look at:"] * bool(doubtful)
        parts += [
            f"  {each.question.text}\n    {each.said}  ({each.verdict.status}: {each.verdict.doubt})"
            for each in doubtful
        ]
    return "\n".join(parts)


def _plainly(of: Document, questions: int) -> str:
    answered = share(ratio(of["plain"], questions))
    return f"plainly answered: {of['plain']} ({answered}), of these false: {share(of['false_of_plain'])}"


def _row(name: str, counts: Document) -> list[object]:
    n = counts["n"]
    right, wrong = counts["right"], counts["wrong"]
    return [name, n, right, share(ratio(right, n)), wrong, share(ratio(wrong, n)), counts["admitted"]]

"""Asks a set of questions as a person would: skills first, then the model, and what is spoken of its
reply.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from assistant.app import build
from assistant.app import engines as loading
from assistant.app.answers.judging import Verdict, judge
from assistant.app.answers.questions import Question
from assistant.core.errors import EmptyAnswer
from assistant.core.types import Call, Message, Scored
from assistant.dialog.confidence import Evidence, Token, evidence, probability
from assistant.dialog.honesty import UNKNOWN, Honesty
from assistant.dialog.pipeline import Answer
from assistant.dialog.sentences import whole
from assistant.engines import Llm
from assistant.engines.llm.chat import Usage
from assistant.runtime.cancel import Cancel
from assistant.runtime.engine_thread import Meter
from assistant.settings.schema import Settings
from assistant.skills import Skills
from assistant.text.en.questions import Kind, kind

Route: TypeAlias = Literal["skill", "table", "passage", "model"]
Way: TypeAlias = Literal["plain", "think", "unknown"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, its answer, and the verdict on it."""

    question: Question
    route: Route
    reply: str
    """The model's reply before it is judged, or the skill's answer."""
    said: str
    """The part that is spoken."""
    way: Way
    kind: Kind
    evidence: Evidence | None
    """About the first sentence of a model's reply."""
    confidence: float | None
    verdict: Verdict
    """Verdict on what is spoken."""
    remembered: Verdict
    """Verdict on ``reply``."""
    first_s: float = 0.0
    """Seconds from the question to the first words that can be spoken, without the voice."""
    tokens: int = 0
    tokens_per_s: float = 0.0


class Asker:
    """One model with its skills; every question starts a new conversation."""

    def __init__(self, settings: Settings, llm: Llm, skills: Skills, honesty: Honesty) -> None:
        self._settings, self._llm, self._skills, self.honesty = settings, llm, skills, honesty
        self._conversation = build.new_conversation(settings, llm)
        llm.prime([*self._conversation.beginning, Message("user", "")])

    def ask(self, question: Question) -> Answered:
        """Ask one question. Raises EngineError."""
        reply = _Reply(self, question.text)
        answer = Answer(
            question.text, skills=self._skills, agent=None, ask_model=reply.spoken, settings=self._settings
        )
        began_s = time.perf_counter()
        try:
            report = asyncio.run(answer.whole())
            said, by = report.reply, report.handled_by
        except EmptyAnswer:
            said, by = "", "llm"
        if by != "llm":
            verdict = judge(question, said)
            took_s = time.perf_counter() - began_s
            route: Route = "table" if answer.match and answer.match.fact else "skill"
            asked = kind(question.text)
            return Answered(
                question, route, said, said, "plain", asked, None, None, verdict, verdict, took_s
            )  # fmt: skip
        written = "".join(reply.pieces).strip()
        found = evidence(question.text, _first_sentence(written, reply.pieces))
        asked, trusted = kind(question.text), self.honesty.calibration
        verdict = judge(question, said)
        return Answered(
            question,
            "model",
            written,
            said,
            _way(said, written, verdict),
            asked,
            found,
            probability(found, asked, trusted) if found and trusted else None,
            verdict,
            judge(question, written),
            reply.first_s,
            len(reply.pieces),
            self.tokens_per_s,
        )

    @property
    def tokens_per_s(self) -> float:
        """How fast the last reply was written; 0 where the engine doesn't tell."""
        usage = getattr(self._llm, "usage", None)
        return usage.tokens_per_s if isinstance(usage, Usage) else 0.0

    def remembered(self, text: str) -> Iterator[Scored]:
        """Yield everything the model writes, whether or not it may be spoken."""
        for piece in self._llm.stream(self._conversation.messages_for(text), Cancel()):
            yield piece if isinstance(piece, Scored) else Scored(piece, ())


class _Reply:
    """A model's complete reply, of which the honesty check then reads as much as it needs."""

    def __init__(self, asker: Asker, text: str) -> None:
        self._asker, self._text = asker, text
        self.pieces: list[Scored] = []
        self.first_s = 0.0
        """Seconds from the question to the piece that the first spoken words had to wait for."""

    async def spoken(self, text: str, _: Meter) -> AsyncGenerator[str | Call, None]:
        began_s = time.perf_counter()
        ends_s = []
        for piece in self._asker.remembered(text):
            self.pieces.append(piece)
            ends_s.append(time.perf_counter() - began_s)
        seen = 0

        def replay() -> Iterator[str | Call]:
            nonlocal seen
            for piece in self.pieces:
                seen += 1
                yield piece

        for part in self._asker.honesty.answer(text, replay):
            if part and not self.first_s and seen:
                self.first_s = ends_s[seen - 1]
            yield part


def ask_all(
    settings: Settings, questions: Sequence[Question], progress: Callable[[str], None]
) -> list[Answered]:
    """Ask the model in the settings. Raises any AssistantError."""
    with asker(settings) as one:
        answered = []
        for number, question in enumerate(questions, 1):
            answered.append(one.ask(question))
            if number % 20 == 0 or number == len(questions):
                progress(f"{settings.llm.model}: {number} of {len(questions)}")
        return answered


@contextmanager
def asker(settings: Settings) -> Iterator[Asker]:
    """Load the model and the skills, without saving any of their data."""
    with tempfile.TemporaryDirectory() as folder, build.skill_context(Path(folder)) as context:
        skills = build.load_skills(settings, context)
        llm = loading.load_llm(settings)
        try:
            yield Asker(settings, llm, skills, build.honesty(settings, llm))
        finally:
            llm.close()


def _first_sentence(reply: str, pieces: Sequence[Scored]) -> list[Token]:
    first = next((sentence.text for sentence in whole(reply)), "")
    tokens: list[Token] = []
    length = 0
    for piece in pieces:
        if length >= len(first):
            break
        tokens.append((str(piece), min(piece.log_probabilities, default=0.0)))
        length += len(piece)
    return tokens


def _way(said: str, reply: str, verdict: Verdict) -> Way:
    if said == UNKNOWN or verdict.status == "admitted":
        return "unknown"
    return "think" if said.startswith("I think ") and not reply.strip().startswith("I think ") else "plain"

"""Honesty: a language model's memory is spoken only if it is probably right.

A knowledge question is judged sentence by sentence, before anything is said: a sentence that is probably
right is said as it is, one that may be right begins with "I think", and in place of the others the assistant
says that it doesn't know. Questions about health, poison, fire, electricity and law are never answered from
memory. Small talk passes unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from assistant.core.types import Call, Instead, Scored
from assistant.dialog.confidence import Token, evidence, probability, says_more
from assistant.dialog.sentences import Sentences
from assistant.engines import FactualLlm, Llm
from assistant.store.catalog import Calibration
from assistant.text.en.questions import KNOWLEDGE, Kind, Lack, kind, lack
from assistant.text.en.short_answers import ends

Level: TypeAlias = Literal["plain", "think", "unknown"]

Pieces: TypeAlias = Iterator[str | Call]

UNKNOWN = Instead("I don't know that.")

EMERGENCY = (
    "This may be an emergency. Call for help now: 112 in Europe, 911 in North America, or 999 in Britain."
)
ADVICE = (
    "I shouldn't answer that from memory. Please ask somebody who knows, such as a doctor, a vet, an "
    "electrician, or a lawyer. If it's urgent, call 112 in Europe, 911 in North America, or 999 in Britain."
)

_LACKS: dict[Lack, tuple[str, str]] = {
    "weather": ("I don't have the weather.", "Connect Home Assistant in the settings, and it can tell you."),
    "calls": ("I can't call or write to anybody.", "A telephone can; Home Assistant can send messages."),
    "shopping": ("I can't order or book anything.", "I can put it on your shopping list."),
    "news": ("I don't have the news, because I work without the internet.", "A radio or telephone has it."),
    "music": ("I can't play music.", "Home Assistant can, if you connect it in the settings."),
    "calendar": ("I can't see your calendar or mail.", "I can remind you of something, if you tell me when."),
    "home": ("I can't switch anything here.", "Connect Home Assistant in the settings, and I'll pass it on."),
    "web": ("I can't search the web, because I work without the internet.", "A telephone can."),
}
"""What it cannot do, and what could."""

_ADMITS = re.compile(
    r"\b(?:i (?:do not|don't) (?:know|have)|i(?: a|')m (?:not sure|sorry|unable)|i (?:can ?not|can't))\b",
    re.IGNORECASE,
)
_SMALL = re.compile(
    r"(?:The|A|An|It|He|She|They|There|In|On|At|When|If|People|Yes|No|This|That|These|Some|Most|You|One|To|From|Its|His|Her)\b"
)


@dataclass
class Honesty:
    """What one language model is trusted with."""

    calibration: Calibration | None = None
    """None means that nothing it remembers is spoken."""
    judges: bool = True
    """False lets everything pass."""
    is_server: bool = False
    """True for the user's own server: what it knows passes, and so do requests about the outside world."""
    _told: set[Lack] = field(default_factory=set)

    def prepare(self, question: str, llm: Llm) -> None:
        """Leave chance out of the reply to a question of fact; talk stays lively."""
        if isinstance(llm, FactualLlm):
            llm.is_factual = self.judges and kind(question) in KNOWLEDGE

    def answer(self, question: str, ask: Callable[[], Pieces]) -> Pieces:
        """Return the reply to a question; ``ask`` gets the model's, and is called only if it may answer.

        Yields empty pieces while a sentence is judged, so that others can compute in between.
        """
        if not self.judges:
            yield from ask()
            return
        asked = kind(question)
        if instead := self._instead(question, asked):
            yield Instead(instead)
        elif asked in KNOWLEDGE:
            yield from self._judged(question, asked, ask())
        else:
            yield from ask()

    def level(self, question: str, asked: Kind, tokens: list[Token]) -> Level:
        """Return how to say a sentence of these tokens."""
        found = evidence(question, tokens)
        if self.calibration is None or found is None:
            return "unknown"
        sure = probability(found, asked, self.calibration)
        return (
            "plain"
            if sure >= self.calibration.plain
            else "think"
            if sure >= self.calibration.think
            else "unknown"
        )

    def _instead(self, question: str, asked: Kind) -> str | None:
        """Return what to say without asking the model."""
        if asked == "emergency":
            return EMERGENCY
        if asked == "advice":
            return ADVICE
        if self.is_server:
            return None
        if asked == "unable" and (missing := lack(question)):
            fact, remedy = _LACKS[missing]
            first = missing not in self._told
            self._told.add(missing)
            return f"{fact} {remedy}" if first else fact
        return UNKNOWN if asked in KNOWLEDGE and self.calibration is None else None

    def _judged(self, question: str, asked: Kind, pieces: Pieces) -> Pieces:
        judging = _Judging(self, question, asked)
        for piece in pieces:
            if isinstance(piece, Call) or not isinstance(piece, Scored):
                yield piece
                continue
            said, is_over = judging.add(piece)
            yield said
            if is_over:
                return
        if rest := judging.finish():
            yield rest


class _Judging:
    """One reply to a knowledge question, sentence by sentence.

    The first sentence is spoken as soon as it answers the question, and the reply ends there: later details
    are the model's weakest part.
    """

    def __init__(self, honesty: Honesty, question: str, asked: Kind) -> None:
        self._honesty, self._question, self._asked = honesty, question, asked
        self._sentences = Sentences(begin_with="sentence")
        self._tokens: list[Token] = []
        """Tokens of the sentence so far."""
        self._looked_at = 0
        self._thought = ""
        """The shortest answer that may be right."""
        self._spoken = 0

    def add(self, piece: Scored) -> tuple[str, bool]:
        """Return what can be spoken now, and True if that was all."""
        done = self._sentences.add(piece)
        token = (str(piece), min(piece.log_probabilities, default=0.0))
        is_last_of_it = bool(done) and done[-1].text.endswith(piece.strip())
        if not done or is_last_of_it:
            self._tokens.append(token)
        said = ""
        for sentence in done:
            spoken = self._said(sentence.text)
            said = said + spoken if said else spoken
            if spoken.strip() != sentence.text:
                return said, True
        if done:
            self._tokens = [] if is_last_of_it else [token]
        elif not self._spoken and (answer := self._answer_so_far()):
            return answer, True
        return said, False

    def finish(self) -> str:
        """Return the rest, since the reply is complete."""
        said = ""
        for sentence in self._sentences.finish():
            spoken = self._said(sentence.text)
            said = said + spoken if said else spoken
            if spoken.strip() != sentence.text:
                break
        return said

    def _answer_so_far(self) -> str:
        """Return the beginning of the first sentence, if it is an answer that is probably right."""
        begun = "".join(text for text, _ in self._tokens)
        lead = len(begun) - len(begun.lstrip())
        for end in ends(begun.strip(), self._asked):
            if end <= self._looked_at:
                continue
            self._looked_at = end
            answer = begun[lead : lead + end]
            if not says_more(self._question, answer):
                continue
            level = self._honesty.level(self._question, self._asked, _until(self._tokens, lead + end))
            if level == "plain":
                return f"{answer}."
            if level == "think":
                self._thought = self._thought or f"{answer}."
        return ""

    def _said(self, sentence: str) -> str:
        """Return a sentence as it is spoken; empty if it adds something doubtful to what was said."""
        level = "plain" if _ADMITS.search(sentence) else self._level()
        first, self._spoken = not self._spoken, self._spoken + 1
        if not first:
            return f" {sentence}" if level == "plain" else ""
        if level == "plain":
            return sentence
        thought = self._thought or (sentence if level == "think" else "")
        if not thought:
            return UNKNOWN
        return f"I think {thought[0].lower() if _SMALL.match(thought) else thought[0]}{thought[1:]}"

    def _level(self) -> Level:
        return self._honesty.level(self._question, self._asked, self._tokens)


def _until(tokens: list[Token], length: int) -> list[Token]:
    """Return the tokens that begin before ``length`` characters."""
    taken: list[Token] = []
    at = 0
    for token in tokens:
        if at >= length:
            break
        taken.append(token)
        at += len(token[0])
    return taken

"""The conversation so far, rendered as the prompt for the next question.

A prompt is ordered from static to volatile: instructions, the turns in the order in which they happened, then
the question, with changing facts (the time) beside it and never at the start. Each prompt therefore begins
with the previous one, and the model reads only what is new. For the same reason, turns are dropped rarely and
several at once. Pure: no clock, no thread, no model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.core.types import Message

KEEP_WHEN_DROPPING = 0.5
"""Share of the budget that the newest turns may fill after older ones are dropped."""

CUT = "—"
"""Ends a reply that was not heard to its end, as in print."""


@dataclass(frozen=True, slots=True)
class _Turn:
    question: Message
    reply: Message
    facts: str
    """Facts stated with the question; empty if nothing was new."""
    tokens: int
    """Tokens it adds to a prompt."""


class Conversation:
    """A prompt file's text (see ``opening``) and the turns that followed it.

    ``count_tokens`` returns the length of a prompt; ``budget_tokens`` is the turns' share of it.
    """

    def __init__(
        self, prompt_text: str, *, count_tokens: Callable[[Sequence[Message]], int], budget_tokens: int
    ) -> None:
        self._opening = opening(prompt_text)
        self._count_tokens = count_tokens
        self._budget_tokens = budget_tokens
        self._turns: list[_Turn] = []

    def messages_for(self, user_text: str, facts: str = "") -> list[Message]:
        """Return the prompt for what was just said.

        ``facts`` are sentences that may have changed since the last turn ("It is 10:32."); they are included
        if they have.
        """
        said = [message for turn in self._turns for message in (turn.question, turn.reply)]
        return [*self._opening, *said, self._question(user_text, facts)]

    def add(self, user_text: str, reply_heard: str, facts: str = "") -> None:
        """Add a turn as far as it was heard; a turn of which nothing was heard is left out.

        With the same ``facts`` as in ``messages_for``, the next prompt begins with this one.
        """
        if not reply_heard.strip():
            return
        new_facts = facts if self._is_new(facts) else ""
        self._append(self._question(user_text, facts), Message("assistant", reply_heard), new_facts)

    def _append(self, question: Message, reply: Message, facts: str) -> None:
        # Only a chat that ends in a question is accepted by every model's template.
        rest = [Message("user", "")]
        tokens = self._count_tokens([question, reply, *rest]) - self._count_tokens(rest)
        self._turns.append(_Turn(question, reply, facts, tokens))
        if self._tokens > self._budget_tokens:
            self._drop()

    @property
    def kept(self) -> list[tuple[str, str, str]]:
        """Return question, reply and facts of each turn, for ``take_up``."""
        return [(turn.question.content, turn.reply.content, turn.facts) for turn in self._turns]

    def take_up(self, kept: Sequence[tuple[str, str, str]]) -> None:
        """Continue a conversation that another process has begun."""
        for question, reply, facts in kept:
            self._append(Message("user", question), Message("assistant", reply), facts)

    @property
    def beginning(self) -> list[Message]:
        """Return what every prompt begins with, whatever was said."""
        return self._opening

    def allow(self, budget_tokens: int) -> None:
        """Limit the turns to this many tokens from now on; the excess is dropped."""
        self._budget_tokens = budget_tokens
        if self._tokens > budget_tokens:
            self._drop()

    def forget(self) -> None:
        """Start over."""
        self._turns.clear()

    def _question(self, user_text: str, facts: str) -> Message:
        return Message("user", f"({facts}) {user_text}" if self._is_new(facts) else user_text)

    def _is_new(self, facts: str) -> bool:
        told = next((turn.facts for turn in reversed(self._turns) if turn.facts), "")
        return bool(facts) and facts != told

    @property
    def _tokens(self) -> int:
        return sum(turn.tokens for turn in self._turns)

    def _drop(self) -> None:
        """Drop whole turns, oldest first; the newest only if it alone is too long."""
        while len(self._turns) > 1 and self._tokens > self._budget_tokens * KEEP_WHEN_DROPPING:
            del self._turns[0]
        if self._tokens > self._budget_tokens:
            self._turns.clear()


def opening(prompt_text: str) -> list[Message]:
    """Return the messages a prompt file stands for: instructions, then examples.

    Small models follow an example better than a rule. A paragraph whose first line begins with ">" is an
    example: what a person says, and below it what to answer.
    """
    rules: list[str] = []
    examples: list[Message] = []
    for paragraph in re.split(r"\n\s*\n", prompt_text.strip()):
        question, _, answer = paragraph.partition("\n")
        if question.startswith(">") and answer.strip():
            examples += [Message("user", question[1:].strip()), Message("assistant", answer.strip())]
        else:
            rules.append(paragraph.strip())
    return [Message("system", "\n\n".join(rules)), *examples]


def heard_part(text: str, fraction: float) -> str:
    """Return the words of ``text`` that were heard after this fraction of its sound.

    Time is assumed to be proportional to letters, and a word counts from half of it on. A reply that was cut
    off ends in a dash, so that the model doesn't take it for complete.
    """
    heard_letters = fraction * len(text)
    words, end = text.split(), 0
    for count, word in enumerate(words):
        begin = text.index(word, end)
        end = begin + len(word)
        if (begin + end) / 2 > heard_letters:
            heard = " ".join(words[:count]).rstrip(",;:—-")
            return heard + CUT if heard else ""
    return text

"""A written question: the same skills, model and conversation as a spoken one, without the sound.

Whoever speaks goes first: it is up to the caller to cancel this for them.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass

from assistant.core.errors import EmptyAnswer
from assistant.core.types import Call
from assistant.dialog.pipeline import Chain
from assistant.runtime.engine_thread import in_thread
from assistant.skills import Action


@dataclass(frozen=True, slots=True)
class Answer:
    """What there is to say, and what is to be done."""

    text: str
    handled_by: str
    """``llm``, the skill's name or the agent's."""
    action: Action | None = None


async def answer(chain: Chain, question: str, last_reply: str) -> Answer:
    """Raises EngineError when there is no answer."""
    match = chain.skills.match(question)
    if match:
        outcome = await in_thread(match.run)
        return Answer(outcome.speech_after(last_reply), match.name, outcome.action)
    if chain.agent and (done := await chain.ask_agent(question)):
        return Answer(done.speech, chain.agent.name, done.action)
    reply = ""
    async with aclosing(chain.ask_model(question)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Call):
                match = chain.called(piece)
                outcome = await in_thread(match.run)
                return Answer(outcome.speech_after(last_reply), match.name, outcome.action)
            reply += piece
    reply = reply.strip()
    if not reply:
        raise EmptyAnswer
    chain.conversation.add(question, reply)
    return Answer(reply, "llm")

"""What answers are made with: the engines on their threads, the skills, the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from assistant.audio import Speaker
from assistant.cancel import Cancel
from assistant.conversation import Conversation
from assistant.engines import Llm, Stt, Tts
from assistant.settings import Settings
from assistant.skills import Agent, Outcome, Skills
from assistant.speakable import speakable
from assistant.types import Pcm16, Sentence, Transcript
from assistant.wake_phrase import without_wake_phrase
from assistant.worker import Meter, Worker, in_thread, unmetered


@dataclass(frozen=True)
class Chain:
    """What a turn works with."""

    stt: Worker[Stt]
    llm: Worker[Llm]
    tts: Worker[Tts]
    skills: Skills
    conversation: Conversation
    speaker: Speaker
    settings: Settings
    wake_phrases: Sequence[str] = ()
    """What is taken off the beginning of what was said ("okay nabu")."""
    agent: Agent | None = None
    """Who is asked what no skill's sentence fits, before the model."""

    async def transcribe(self, pcm: Pcm16, meter: Meter = unmetered) -> Transcript:
        """What a person said to the assistant. Raises EngineFailed."""
        heard = await self.stt.run(lambda stt, cancel: stt.transcribe(pcm, cancel), meter)
        return replace(heard, text=without_wake_phrase(heard.text, self.wake_phrases))

    async def synthesize(self, sentence: Sentence, meter: Meter = unmetered) -> Pcm16:
        """The sound of a sentence as it is written. Raises EngineFailed."""
        words = replace(sentence, text=speakable(sentence.text, self.settings.stt.language))
        return await self.tts.run(lambda tts, cancel: tts.synthesize(words, cancel), meter)

    async def ask_agent(self, text: str) -> Outcome | None:
        """What came of asking the agent, who may act at once; None when it is for the model."""
        if self.agent is None:
            return None
        cancel = Cancel()
        try:
            return await in_thread(partial(self.agent.ask, text, cancel))
        finally:
            cancel.set()

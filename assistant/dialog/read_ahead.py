"""While a person still speaks: the words so far are recognised, and the model reads those that stay.

So at the end of the turn only the last few words are left to read. Nothing comes of it but a
warmer memory: it is silent, has no effect, and a mistake in it costs nothing but time. It gives way
at once to the turn itself.
"""

from __future__ import annotations

import asyncio
import logging

from assistant.core.types import Utterance
from assistant.dialog.pipeline import Chain

log = logging.getLogger(__name__)

_UNSURE_WORDS = 2
"""A recogniser changes its mind about the last words of what goes on: the sound behind them decides."""


class ReadAhead:
    """Looks at what was said so far, one look at a time."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._looking: asyncio.Task[None] | None = None
        self._work_s = 0.0

    def look(self, utterance: Utterance) -> None:
        """Begin to read what has been said; does nothing while it still reads what was said before."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look(utterance))

    def stop(self) -> float:
        """Let the engines go; the seconds that they worked since the last time."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None  # its end holds this object, and all that was said, until nobody holds it
        work_s, self._work_s = self._work_s, 0.0
        return work_s

    async def _look(self, utterance: Utterance) -> None:
        chain = self._chain
        try:
            heard = await chain.transcribe(utterance.pcm, self._worked)
            words = stable_words(heard.text)
            if words:
                messages = chain.conversation.messages_for(words)
                await chain.llm.run(lambda llm, cancel: llm.read_ahead(messages, cancel), self._worked)
        except Exception as error:  # noqa: BLE001 - the turn itself meets it again, and tells
            log.debug("read_ahead=given_up reason=%s", type(error).__name__)

    def _worked(self, seconds: float) -> None:
        self._work_s += seconds


def stable_words(text: str) -> str:
    """What of a transcript that goes on will probably not change any more."""
    return " ".join(text.split()[:-_UNSURE_WORDS])

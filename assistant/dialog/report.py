"""What became of one turn: words, who answered, and where the time went."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Literal

from assistant.core.errors import AssistantError
from assistant.core.types import Pcm16
from assistant.skills import Outcome

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What became of one turn, for the log, the bench and ``--json``. Times on the loop's clock, seconds."""

    number: int
    """From 1 on; 0 for a written question."""
    transcript: str = ""
    reply: str = ""
    """The reply as far as it was made; ``heard`` is the part that was heard."""
    heard: str = ""
    handled_by: str = "nobody"
    """``llm``, the skill's name, ``apology`` or ``nobody``."""
    refused: str | None = None
    error: str | None = None
    """Code of the error that spoiled the turn."""
    outcome: Outcome | None = None
    """What a skill asks of the loop."""
    interrupted: bool = False
    in_writing: bool = False
    """The speaker was missing: the reply, or the end of it, can only be read."""
    resumed: int = 0
    """How often the answer went on after something that was no interruption."""
    goes_on: bool = False
    """It goes on with what was said before an answer to that came too early; that one is in ``discarded``."""
    speculative: bool = False
    """Work on the answer had begun before the turn ended."""
    pcm: Pcm16 | None = field(default=None, repr=False, compare=False)
    """What was said, at 16 kHz."""
    work_s: dict[str, float] = field(default_factory=dict)
    """Seconds of work on it by ``stt``, ``llm`` and ``tts``, and ``ahead``: before all was said."""
    discarded: list[Report] = field(default_factory=list)
    """Attempts at this turn that were thrown away because the person went on."""
    times_s: dict[str, float] = field(default_factory=dict)
    """When what first happened: speech_end, stt_begin, stt_end, llm_begin, first_token, first_clause,
    first_sound, ended (the turn), first_audio (at the speaker)."""

    def worked(self, engine: str, seconds: float) -> None:
        """Count work of an engine; called on its thread."""
        self.work_s[engine] = self.work_s.get(engine, 0.0) + seconds

    def mark(self, name: str, at_s: float | None = None) -> None:
        """Note when something first happened (``speech_end`` may move: the person went on)."""
        if at_s is not None:
            self.times_s[name] = at_s
        else:
            self.times_s.setdefault(name, asyncio.get_running_loop().time())

    def failed(self, error: AssistantError) -> None:
        """Note what spoiled the turn."""
        self.error = error.code
        log.error("turn=%d problem=%s", self.number, error)

    @property
    def wasted_s(self) -> float:
        """Seconds of engines' work on what was thrown away; final once the abandoned calls have ended."""
        return sum(sum(attempt.work_s.values()) for attempt in self.discarded)

    @property
    def sign(self) -> Literal["error", "done"] | None:
        """The short sound that tells what became of it when nothing of it was heard."""
        if self.error:
            return "error"
        return "done" if self.outcome and not self.interrupted else None

    def log(self, *, with_words: bool) -> None:
        """One line for the journal; what was said only where the owner wants it."""
        log.info(
            "turn=%d handled_by=%s refused=%s error=%s interrupted=%s discarded=%d wasted_ms=%d %s",
            self.number,
            self.handled_by,
            self.refused or "-",
            self.error or "-",
            self.interrupted,
            len(self.discarded),
            round(self.wasted_s * 1000),
            " ".join(f"{name}_ms={ms}" for name, ms in self.latency_ms().items()),
        )
        if with_words:
            log.info("turn=%d transcript=%r reply=%r", self.number, self.transcript, self.heard)

    def latency_ms(self) -> dict[str, int]:
        """Where the time between the last word and the first sound went.

        ``response`` is what the person waits. The stages are each stage's own duration; with
        speculation they lie inside the ``endpoint`` wait and do not add up to it.
        """
        spans = {
            "endpoint": ("speech_end", "ended"),
            "stt": ("stt_begin", "stt_end"),
            "llm_first_token": ("llm_begin", "first_token"),
            "tts_first_audio": ("first_clause", "first_sound"),
            "response": ("speech_end", "first_audio"),
        }
        t = self.times_s
        return {
            name: round((t[end] - t[begin]) * 1000)
            for name, (begin, end) in spans.items()
            if begin in t and end in t
        }

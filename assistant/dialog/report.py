"""The report of one turn: words, who answered, and where the time went."""

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
    """The result of one turn, for the log, the bench and ``--json``. Times are seconds on the loop's
    clock.
    """

    number: int
    """Counted from 1; 0 for a written question."""
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
    """True if the speaker was missing, so the reply, or its end, can only be read."""
    resumed: int = 0
    """How often the answer continued after a false interruption."""
    goes_on: bool = False
    """True if it continues what the user said before a premature answer; that one is in ``discarded``."""
    speculative: bool = False
    """True if work on the answer began before the turn ended."""
    pcm: Pcm16 | None = field(default=None, repr=False, compare=False)
    """What was said, at 16 kHz."""
    work_s: dict[str, float] = field(default_factory=dict)
    """Seconds of work by ``stt``, ``llm`` and ``tts``, and ``ahead``, the work done while the user was
    speaking.
    """
    discarded: list[Report] = field(default_factory=list)
    """Attempts at this turn that were discarded because the user continued."""
    times_s: dict[str, float] = field(default_factory=dict)
    """When each step first happened: speech_end, stt_begin, stt_end, llm_begin, first_token, first_clause,
    first_sound, ended (the turn), first_audio (at the speaker).
    """

    def worked(self, engine: str, seconds: float) -> None:
        """Add an engine's working time; called on its thread."""
        self.work_s[engine] = self.work_s.get(engine, 0.0) + seconds

    def mark(self, name: str, at_s: float | None = None) -> None:
        """Record when something first happened (``speech_end`` may move if the user continues)."""
        if at_s is not None:
            self.times_s[name] = at_s
        else:
            self.times_s.setdefault(name, asyncio.get_running_loop().time())

    def failed(self, error: AssistantError) -> None:
        """Record the error that spoiled the turn."""
        self.error = error.code
        log.error("turn=%d problem=%s", self.number, error)

    @property
    def wasted_s(self) -> float:
        """Engine seconds spent on discarded work; final once the abandoned calls have ended."""
        return sum(sum(attempt.work_s.values()) for attempt in self.discarded)

    @property
    def sign(self) -> Literal["error", "done"] | None:
        """The earcon that reports the result if nothing of the turn was heard."""
        if self.error:
            return "error"
        return "done" if self.outcome and not self.interrupted else None

    def log(self, *, with_words: bool) -> None:
        """Write one line to the log; the words are included only if the owner wants that."""
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
        """Break down the time between the last word and the first sound.

        ``response`` is how long the user waits. The stages are each stage's own duration; with speculation
        they lie inside the ``endpoint`` wait and do not add up to it.
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

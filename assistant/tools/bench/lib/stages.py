"""A turn cut into stages, counted from where the speech in the recording really ends.

Not from where the assistant noticed: see ``speech_end``. Recordings that were cut off have no
response, since an answer to half a sentence is not a fast answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from assistant.tools.bench.lib.rehearsal import Said

SPANS = {
    "response": ("speech_end", "first_audio"),
    "endpoint": ("speech_end", "ended"),
    "after_turn_end": ("ended", "first_audio"),
    "stt": ("stt_begin", "stt_end"),
    "first_token": ("llm_begin", "first_token"),
    "first_clause": ("first_token", "first_clause"),
    "first_audio": ("first_clause", "first_sound"),
    "vad_lag": ("speech_end", "vad_end"),
    "response_by_vad": ("vad_end", "first_audio"),
}
"""Stage -> what it lies between. Response = endpoint + after_turn_end; what is done before the turn has
ended is hidden in ``endpoint``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One recording that was heard out and answered."""

    name: str
    by: str
    """``llm`` or ``skill``."""
    marks_ms: dict[str, float]
    """When what happened, from the last sample of speech (``speech_end``, 0)."""

    def stage_ms(self, stage: str) -> float | None:
        """How long a stage took; None where it did not happen."""
        span = self.span_ms(*SPANS[stage])
        return None if span is None else span[1] - span[0]

    def span_ms(self, begin: str, end: str) -> tuple[float, float] | None:
        """When two marks were; None unless there are both."""
        if begin not in self.marks_ms or end not in self.marks_ms:
            return None
        return self.marks_ms[begin], self.marks_ms[end]


def is_cut_off(said: Said) -> bool:
    """Whether a turn ended before the person did and was not taken back."""
    return any(turn.report.times_s.get("ended", said.end_s) < said.end_s for turn in said.turns)


def answers(all_said: Iterable[Said]) -> list[Answer]:
    """The answer to each recording that was heard out; the first one where there were several."""
    found = []
    for said in all_said:
        turn = next((turn for turn in said.turns if "first_audio" in turn.report.times_s), None)
        if turn is None or turn.report.error or is_cut_off(said):
            continue
        marks_ms = {name: (at_s - said.end_s) * 1000 for name, at_s in turn.report.times_s.items()}
        marks_ms["vad_end"] = marks_ms["speech_end"]
        marks_ms["speech_end"] = 0.0
        by = "llm" if turn.report.handled_by == "llm" else "skill"
        found.append(Answer(said.clip.name, by, marks_ms))
    return found

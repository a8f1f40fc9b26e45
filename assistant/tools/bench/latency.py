"""``assistant bench latency``: from the last sample of speech to the first sample of the answer.

Recordings are played in real time to the assistant or, with ``plain``, to the same engines simply chained.
``stages`` defines where each stage starts and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from assistant.audio.files import check_writable
from assistant.runtime import clock
from assistant.settings.schema import Settings
from assistant.tools.bench import waterfall
from assistant.tools.bench.lib import machine
from assistant.tools.bench.lib.clips import read_set
from assistant.tools.bench.lib.measuring import (
    Document,
    Result,
    median,
    ratio,
    rounded,
    share,
    spread_ms,
    table,
)
from assistant.tools.bench.lib.rehearsal import (
    SPANS,
    Answer,
    Heard,
    Said,
    Session,
    answers,
    is_cut_off,
    rehearse,
)
from assistant.tools.bench.lib.variants import PLAIN, changed
from assistant.tools.bench.lib.word_error import counted

_TITLES = {
    "response": "response",
    "endpoint": "= end of turn after",
    "after_turn_end": "+ still to do then",
    "stt": "speech to text",
    "first_token": "first token",
    "first_clause": "rest of first clause",
    "first_audio": "its synthesis",
    "vad_lag": "VAD: end of speech",
    "response_by_vad": "response from there",
}


def run(
    settings: Settings,
    folder: Path,
    *,
    plain: bool = False,
    limit: int | None = None,
    repeat: int = 1,
    picture: Path | None = None,
    progress: Callable[[str], None],
) -> Result:
    """Play every recording below ``folder`` ``repeat`` times in real time, and report how long the answers
    took.

    If interrupted by Ctrl-C, it reports the answers so far. Raises any AssistantError.
    """
    if picture is not None:
        check_writable(picture)
    settings = changed(settings, PLAIN if plain else {})
    if repeat > 1:  # A repeated question's answer can be guessed, so the first turn would look slow.
        settings = changed(settings, {"llm": {"draft_tokens": 0}})
    headline = machine.headline(machine.describe(settings))
    clips = read_set(folder, limit) * repeat
    session = Session()

    def on_turn(said: Said) -> None:
        response = next((answer.stage_ms("response") for answer in answers([said])), None)
        took = "no answer" if response is None else f"{response:.0f} ms"
        progress(f"{len(session.said)} of {len(clips)}: {said.clip.name}: {took}")

    interrupted = False
    try:
        clock.run(rehearse(settings, clips, session, on_turn=on_turn))
    except KeyboardInterrupt:
        if not session.said:
            raise
        interrupted = True
    document = {"mode": "plain" if plain else "assistant", "interrupted": interrupted}
    document |= summary(session, recordings=len(clips))
    if picture is not None:
        picture.write_text(waterfall.draw(answers(session.said), headline), "utf-8")
    return Result(_text(document), document)


def summary(session: Session, *, recordings: int) -> Document:
    """Return all measurements; durations in milliseconds, rates as fractions."""
    said, turns = session.said, [turn for each in session.said for turn in each.turns]
    answered = answers(said)
    return {
        "recordings": recordings,
        "answered": len(answered),
        "cut_off": sum(map(is_cut_off, said)),
        "refused": sum(bool(turn.report.refused) for turn in turns),
        "failed": sum(turn.report.error is not None for turn in turns),
        **_stages(answered),
        "llm": _stages([answer for answer in answered if answer.by == "llm"]),
        "skills": _stages([answer for answer in answered if answer.by == "skill"]),
        "speculation": _speculation(turns),
        "real_time_factor": {
            "stt": ratio(_work_s(turns, "stt"), sum(_speech_s(each) for each in said if each.turns)),
            "tts": ratio(_work_s(turns, "tts"), sum(turn.sound_s for turn in turns)),
        },
        "llm_tokens": _tokens(turns),
        "word_error_rate": _word_error_rate(said),
        "underruns": session.underruns,
        "peak_rss_mb": round(session.peak_rss_mb, 1),
        "cpu_s": round(session.cpu_s, 1),
        "wall_s": round(session.wall_s, 1),
        "turns": [
            {
                "recording": answer.name,
                "by": answer.by,
                **{stage: rounded(answer.stage_ms(stage), 1) for stage in SPANS},
            }
            for answer in answered
        ],
    }


def _stages(answered: Sequence[Answer]) -> Document:
    durations = {stage: [answer.stage_ms(stage) for answer in answered] for stage in SPANS}
    return {stage: spread_ms(ms for ms in each if ms is not None) for stage, each in durations.items()}


def _speculation(turns: Sequence[Heard]) -> Document:
    reports = [turn.report for turn in turns]
    return {
        "hits": sum(report.speculative for report in reports),
        "misses": sum(not report.speculative for report in reports),
        "thrown_away": sum(len(report.discarded) for report in reports),
        "wasted_s": round(sum(report.wasted_s for report in reports), 2),
        "useful_s": round(sum(sum(report.work_s.values()) for report in reports), 2),
    }


def _tokens(turns: Sequence[Heard]) -> Document:
    used: list[Any] = [turn.usage for turn in turns if turn.usage is not None]
    return {
        "per_s": rounded(median(each.tokens_per_s for each in used if each.tokens_generated > 1), 1),
        "read_p50": rounded(median(each.tokens_evaluated for each in used), 1),
        "written_mean": rounded(fmean(each.tokens_generated for each in used), 1) if used else None,
    }


def _work_s(turns: Iterable[Heard], engine: str) -> float:
    return sum(turn.report.work_s.get(engine, 0.0) for turn in turns)


def _speech_s(said: Said) -> float:
    return said.clip.spoken.end_s - said.clip.spoken.begin_s


def _word_error_rate(all_said: Iterable[Said]) -> float | None:
    """Return the rate over all words of the recordings with known text; None without any."""
    wrong = words = 0
    for said in all_said:
        errors, count = counted(said.clip.text, " ".join(turn.report.transcript for turn in said.turns))
        wrong, words = wrong + errors, words + count
    return ratio(wrong, words)


def _text(document: Document) -> str:
    kinds = (document, document["llm"], document["skills"])
    stages = table(
        ["ms", "p50", "p95", "n", "LLM p50", "p95", "n", "skills p50", "p95", "n"],
        [
            [_TITLES[stage], *(kind[stage][figure] for kind in kinds for figure in ("p50_ms", "p95_ms", "n"))]
            for stage in SPANS
        ],
    )
    guess, factor, tokens = (document[key] for key in ("speculation", "real_time_factor", "llm_tokens"))
    figures = table(
        ["", ""],
        [
            ["recordings", document["recordings"]],
            ["answered", document["answered"]],
            ["cut off", document["cut_off"]],
            ["refused as noise", document["refused"]],
            ["failed", document["failed"]],
            ["begun before the turn ended", f"{guess['hits']} of {guess['hits'] + guess['misses']}"],
            ["thrown away", f"{guess['thrown_away']} ({guess['wasted_s']} s of {guess['useful_s']} s)"],
            ["STT seconds a second of speech", f"{factor['stt'] or 0:.3f}"],
            ["TTS seconds a second of voice", f"{factor['tts'] or 0:.3f}"],
            ["tokens a second", tokens["per_s"]],
            ["tokens read a turn", tokens["read_p50"]],
            ["word error rate", share(document["word_error_rate"])],
            ["underruns", document["underruns"]],
            ["peak RSS, MB", document["peak_rss_mb"]],
            ["CPU seconds", f"{document['cpu_s']} in {document['wall_s']} s"],
        ],
    )
    title = f"Response ({document['mode']}), from the last sample of speech"
    return f"{title}\n\n{stages}\n{figures}"

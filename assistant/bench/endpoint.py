"""``assistant bench endpoint``: how often a person is cut off, and how long the end of a turn takes.

Cut off means that a turn ended before the speech in the recording did and was not taken back.
The real loop hears the recordings in time that skips the waiting but not the work, so the chance
to take a turn back is as long as it would be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from assistant import clock
from assistant.bench import machine
from assistant.bench.clips import Clip, read_set
from assistant.bench.measuring import Document, Result, ratio, share, spread_ms, table
from assistant.bench.pauses import Word, hesitating
from assistant.bench.rehearsal import Said, Session, rehearse
from assistant.bench.stages import answers, is_cut_off
from assistant.bench.stt import load_stock
from assistant.bench.variants import PLAIN, changed
from assistant.errors import AudioFileInvalid
from assistant.settings import Settings

STAGES = ("endpoint", "vad_lag", "response")
"""Of ``stages``: what is told of those who were heard out."""

_SHORT_ANSWERS = {"llm": {"max_tokens": 24}}
"""Enough for the first clause; how the answer goes on makes no difference here."""


def run(
    settings: Settings,
    folder: Path,
    *,
    insert_pauses: bool = False,
    plain: bool = False,
    limit: int | None = None,
    progress: Callable[[str], None],
) -> Result:
    """Speak every recording below ``folder``; with ``insert_pauses`` only those with several words.

    Raises any AssistantError.
    """
    about = machine.describe(settings)
    clips = read_set(folder, limit)
    if insert_pauses:
        progress("looking for the words")
        clips = list(_hesitating(clips, settings))
    if not clips:
        raise AudioFileInvalid(f"No recording in {folder} has several words.", "Give longer recordings.")
    settings = changed(changed(settings, PLAIN if plain else {}), _SHORT_ANSWERS)
    session = Session()

    def on_turn(said: Said) -> None:
        progress(f"{len(session.said)} of {len(clips)}: {said.clip.name}")

    clock.run(rehearse(settings, clips, session, on_turn=on_turn), "skipping")
    document: Document = {
        "bench": "endpoint",
        "mode": "plain" if plain else "assistant",
        "inserted_pauses": insert_pauses,
        **summary(session.said, recordings=len(clips)),
        **about,
    }
    return Result(_as_text(document), document)


def summary(said: Sequence[Said], *, recordings: int) -> Document:
    """How often, where, and the price: what the end of the turn takes of those who were heard out."""
    cut = [each for each in said if is_cut_off(each)]
    heard_out = answers(said)
    return {
        "recordings": recordings,
        "cut_off": {
            "rate": ratio(len(cut), recordings),
            "n": len(cut),
            "recordings": [
                {
                    "recording": each.clip.name,
                    "at_s": _first_end_s(each),
                    "heard": each.turns[0].report.transcript,
                }
                for each in cut
            ],
        },
        "taken_back": sum(map(_was_taken_back, said)),
        "unanswered": recordings - len(cut) - len(heard_out),
        **{
            stage: spread_ms(ms for answer in heard_out if (ms := answer.stage_ms(stage)) is not None)
            for stage in STAGES
        },
    }


def _was_taken_back(said: Said) -> bool:
    """Whether a turn had ended too early and was repaired."""
    return any("ended" in attempt.times_s for turn in said.turns for attempt in turn.report.discarded)


def _first_end_s(said: Said) -> float:
    """Where in the recording the first turn ended."""
    return round(min(turn.report.times_s.get("ended", said.end_s) for turn in said.turns) - said.began_s, 2)


def _hesitating(clips: Sequence[Clip], settings: Settings) -> Iterator[Clip]:
    stock = load_stock(settings)
    language = None if settings.stt.language == "auto" else settings.stt.language
    for clip in clips:
        segments, _ = stock.transcribe(
            clip.pcm.astype(np.float32) / 32768, beam_size=1, language=language, word_timestamps=True
        )
        words = [Word(word.word.strip(), word.start, word.end) for each in segments for word in each.words]
        if longer := hesitating(clip, words):
            yield longer


def _as_text(document: Document) -> str:
    cut = document["cut_off"]
    pauses = (
        "with a pause of 0.5 to 1 s put between two words" if document["inserted_pauses"] else "as they are"
    )
    figures = table(
        ["", "p50", "p95", "n"],
        [
            [
                f"{stage.replace('_', ' ')}, ms",
                *(document[stage][figure] for figure in ("p50_ms", "p95_ms", "n")),
            ]
            for stage in STAGES
        ],
    )
    where = "".join(
        f"\n  {each['recording']} at {each['at_s']} s: {each['heard']}" for each in cut["recordings"]
    )
    return (
        f"End of turn ({document['mode']}), {document['recordings']} recordings {pauses}\n"
        f"{machine.headline(document)}\n\n{figures}\n\n"
        f"ended too early and taken back: {document['taken_back']}\n"
        f"not answered: {document['unanswered']}\n"
        f"cut off: {cut['n']} of {document['recordings']} ({share(cut['rate'])}){where}"
    )

"""``assistant bench endpoint``: how often a person is cut off, and how long it takes to detect the end of a
turn.

A person is cut off when a turn ends before the speech in the recording does and is not retracted. The real
loop hears the recordings in a virtual time that skips waiting but not work, so there is as much time to
retract a turn as in real use. For comparison, the same recordings are given to plain webrtcvad: the turn ends
after the first 800 ms without speech.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from assistant.core.errors import AudioFileInvalid
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ
from assistant.runtime import clock
from assistant.settings.engines import VadSettings
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.clips import Clip, read_set
from assistant.tools.bench.lib.measuring import Document, Result, ratio, share, spread_ms, table
from assistant.tools.bench.lib.rehearsal import Said, Session, answers, is_cut_off, rehearse
from assistant.tools.bench.lib.variants import PLAIN, PLAIN_END_MS, changed
from assistant.tools.bench.pauses import Word, hesitating
from assistant.tools.bench.stt import load_stock

STAGES = ("endpoint", "vad_lag", "response")
"""The stages reported for turns that were not cut off."""

_SHORT_ANSWERS = {"llm": {"max_tokens": 24}}
"""Enough for the first clause; the rest of the answer doesn't matter here."""


def run(
    settings: Settings,
    folder: Path,
    *,
    insert_pauses: bool = False,
    plain: bool = False,
    limit: int | None = None,
    progress: Callable[[str], None],
) -> Result:
    """Play every recording below ``folder``; with ``insert_pauses``, only those with several words.

    Raises any AssistantError.
    """
    clips = read_set(folder, limit)
    if insert_pauses:
        progress("looking for the words")
        clips = list(_hesitating(clips, settings))
    if not clips:
        raise AudioFileInvalid(f"No recording in {folder} has several words.", "Use longer recordings.")
    settings = changed(changed(settings, PLAIN if plain else {}), _SHORT_ANSWERS)
    session = Session()

    def on_turn(said: Said) -> None:
        progress(f"{len(session.said)} of {len(clips)}: {said.clip.name}")

    clock.run(rehearse(settings, clips, session, on_turn=on_turn), "skipping")
    document: Document = {
        "mode": "plain" if plain else "assistant",
        "inserted_pauses": insert_pauses,
        **summary(session.said, recordings=len(clips)),
        "webrtcvad": used_plainly(clips),
    }
    document["ratio"] = ratio(document["endpoint"]["p50_ms"], document["webrtcvad"]["endpoint"]["p50_ms"])
    return Result(_as_text(document), document)


def summary(said: Sequence[Said], *, recordings: int) -> Document:
    """Return how often and where people were cut off, and how long the end of the turn took for the
    others.
    """
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


def used_plainly(clips: Sequence[Clip]) -> Document:
    """Run webrtcvad with a fixed end of silence: count who is cut off, and how long the others wait."""
    import webrtcvad  # noqa: PLC0415 - only here the library itself

    waits_ms = []
    for clip in clips:
        vad = webrtcvad.Vad(VadSettings().aggressiveness)
        rest = np.zeros(SAMPLE_RATE_HZ * 2 * PLAIN_END_MS // 1000 + -len(clip.pcm) % FRAME_SAMPLES, np.int16)
        frames = np.concatenate([clip.pcm, rest]).reshape(-1, FRAME_SAMPLES)
        said = (vad.is_speech(frame.tobytes(), SAMPLE_RATE_HZ) for frame in frames)
        if (end_s := first_silence_s(said)) is not None:
            waits_ms.append(1000 * (end_s - clip.spoken.end_s))
    heard_out = [wait_ms for wait_ms in waits_ms if wait_ms >= 0]
    cut = len(waits_ms) - len(heard_out)
    return {"cut_off": {"rate": ratio(cut, len(clips)), "n": cut}, "endpoint": spread_ms(heard_out)}


def first_silence_s(speech: Iterable[bool]) -> float | None:
    """Return the end of the first 800 ms without speech after some speech, in seconds; None if there is none.

    ``speech`` has one bool per frame: True if it contains speech.
    """
    last = None
    for number, is_speech in enumerate(speech):
        if is_speech:
            last = number
        elif last is not None and (number - last) * FRAME_MS >= PLAIN_END_MS:
            return (number + 1) * FRAME_MS / 1000
    return None


def _was_taken_back(said: Said) -> bool:
    """True if a turn ended too early and was retracted."""
    return any("ended" in attempt.times_s for turn in said.turns for attempt in turn.report.discarded)


def _first_end_s(said: Said) -> float:
    """Return the time in the recording at which the first turn ended."""
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
    cut, plain = document["cut_off"], document["webrtcvad"]
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
        f"\n{figures}\n\n"
        f"ended too early and taken back: {document['taken_back']}\n"
        f"not answered: {document['unanswered']}\n"
        f"cut off: {cut['n']} of {document['recordings']} ({share(cut['rate'])}){where}\n"
        f"webrtcvad and a fixed {PLAIN_END_MS} ms: cut off {plain['cut_off']['n']}, "
        f"end of turn p50 {plain['endpoint']['p50_ms']} ms; ours takes {document['ratio']} of that"
    )

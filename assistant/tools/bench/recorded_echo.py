"""``assistant bench barge-in --replay`` and ``--pairs``: would recorded audio have interrupted an answer?

Runs the appliance's echo canceller, speech detector, and listener without devices and without waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from assistant.app import engines as loading
from assistant.core.errors import AudioFileInvalid
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, Pcm16
from assistant.settings.schema import Settings
from assistant.tools.bench.lib import echo_trace
from assistant.tools.bench.lib.echo_trace import Begun, Step, Told, sound_of
from assistant.tools.bench.lib.measuring import Document, Result, median, ratio, rounded, table
from assistant.tools.bench.lib.speech_end import levels_db
from assistant.tools.bench.onsets import Found, listen

Kind = Literal["far end", "both", "near end", "not told"]

_SIGNS: tuple[tuple[str, Kind], ...] = (
    ("farend_singletalk", "far end"),
    ("farend-singletalk", "far end"),
    ("doubletalk", "both"),
    ("nearend_singletalk", "near end"),
    ("nearend-singletalk", "near end"),
)
"""Text in a pair's name, and who speaks in it."""

_OWN_VOICE = "own-voice"
"""Prefix of the bench's recordings in which nobody else speaks."""

_NEAR = ("near", "nearend_speech")
"""Suffixes of a pair's name for the file that holds only the near end."""

_ONSET_BELOW_DB = 20.0


def run(
    settings: Settings, *, replay: Path | None, pairs: Path | None, progress: Callable[[str], None]
) -> Result:
    """Process all recordings below one of the two folders. Raises AudioFileInvalid and the engines'
    errors.
    """
    vad = loading.load_vad(settings)
    rows = []
    for name, kind, steps, near in _replayed(replay) if replay else _paired(pairs or Path()):
        vad.reset()
        rows.append(_row(name, kind, listen(settings, steps, vad), near))
        if pairs:
            del rows[-1]["same_verdicts"]  # The recording has no verdicts.
        progress(f"{name}: {rows[-1]['onsets']} onsets")
    document: Document = {
        "from": "replay" if replay else "pairs",
        "recordings": rows,
        "sums": {kind: _sum(kind, rows) for kind in dict.fromkeys(row["kind"] for row in rows)},
    }
    return Result(_as_text(document), document)


Recorded = tuple[str, Kind, Sequence[Step], Pcm16 | None]
"""Name, who speaks in it, the recorded steps, and the near end alone."""


def _replayed(folder: Path) -> Iterator[Recorded]:
    for file in _found(folder, ".jsonl", "recordings of --record"):
        kind: Kind = "far end" if file.name.startswith(_OWN_VOICE) else "not told"
        yield (
            str(file.relative_to(folder).with_suffix("")),
            kind,
            echo_trace.read(file.parent, file.stem),
            None,
        )


def _paired(folder: Path) -> Iterator[Recorded]:
    for file in _found(folder, "_mic", "pairs of NAME_mic and NAME_lpb"):
        name = file.stem.removesuffix("_mic")
        kind: Kind = next((kind for sign, kind in _SIGNS if sign in name), "not told")
        near = None
        for ending in _NEAR:
            if any(file.with_name(f"{name}_{ending}{suffix}").is_file() for suffix in (".wav", ".flac")):
                near = sound_of(file.parent, f"{name}_{ending}")
        steps = _side_by_side(sound_of(file.parent, f"{name}_mic"), sound_of(file.parent, f"{name}_lpb"))
        yield str(file.relative_to(folder).with_name(name)), kind, steps, near


def _found(folder: Path, ending: str, what: str) -> list[Path]:
    files = sorted(
        file
        for file in folder.rglob("*")
        if (file.name.endswith(ending) or (file.stem.endswith(ending) and file.suffix in (".wav", ".flac")))
    )
    if not files:
        raise AudioFileInvalid(f"{folder} contains no {what}.", "Specify the folder that contains them.")
    return files


def _side_by_side(mic: Pcm16, lpb: Pcm16) -> list[Step]:
    """Pair the channels without clock information: each 20 ms is reported as played, then as heard."""
    count = len(mic) // FRAME_SAMPLES
    played = np.pad(lpb, (0, max(0, count * FRAME_SAMPLES - len(lpb))))
    steps: list[Step] = [Begun(SAMPLE_RATE_HZ)]
    for number in range(count):
        piece = slice(number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES)
        steps += [Told(played[piece]), AudioFrame(mic[piece], (number + 1) * FRAME_MS / 1000)]
    return steps


def _row(name: str, kind: Kind, found: Found, near: Pcm16 | None) -> Document:
    onset_s = _first_sound_s(near) if near is not None else None
    every = sorted(found.onsets_s + found.others_s)
    after = [at_s for at_s in every if onset_s is not None and at_s >= onset_s]
    return {
        "name": name,
        "kind": kind,
        "seconds": round(found.heard_s, 1),
        "playing_s": round(found.playing_s, 1),
        "onsets": len(found.onsets_s),
        "onsets_s": [round(at_s, 2) for at_s in found.onsets_s],
        "onsets_when_nothing_played": len(found.others_s),
        "echo_share": rounded(ratio(found.echo_frames * FRAME_MS / 1000, found.heard_s), 3),
        "near_share": rounded(ratio(found.near_frames * FRAME_MS / 1000, found.heard_s), 3),
        "same_verdicts": rounded(ratio(found.same_frames * FRAME_MS / 1000, found.heard_s), 3),
        "near_onset_s": rounded(onset_s, 2),
        "found_after_ms": round((after[0] - onset_s) * 1000) if after and onset_s is not None else None,
        "before_near": None if onset_s is None else len(every) - len(after),
    }


def _first_sound_s(near: Pcm16) -> float:
    levels = levels_db(near)
    return float(np.flatnonzero(levels >= np.percentile(levels, 95) - _ONSET_BELOW_DB)[0]) / 100


def _sum(kind: str, rows: Sequence[Document]) -> Document:
    of_kind = [row for row in rows if row["kind"] == kind]
    minutes = sum(row["playing_s"] for row in of_kind) / 60
    onsets = sum(row["onsets"] for row in of_kind)
    with_any = [row for row in of_kind if row["onsets"] or row["onsets_when_nothing_played"]]
    late_ms = [row["found_after_ms"] for row in of_kind if row["found_after_ms"] is not None]
    return {
        "n": len(of_kind),
        "minutes_playing": round(minutes, 2),
        "onsets": onsets,
        "onsets_a_minute": rounded(onsets / minutes if minutes else None, 2),
        "with_an_onset": len(with_any),
        "share_with_an_onset": ratio(len(with_any), len(of_kind)),
        "found_after_p50_ms": rounded(median(late_ms), 0),
    }


def _as_text(document: Document) -> str:
    last, key = ("found after ms", "found_after_ms")
    if document["from"] == "replay":
        last, key = ("same verdicts", "same_verdicts")
    rows = [
        (row["name"], row["kind"], row["seconds"], row["playing_s"], row["onsets"], _plain(row[key]))
        for row in document["recordings"]
    ]
    sums = [
        (
            kind,
            *(each["n"], each["minutes_playing"], each["onsets"], each["onsets_a_minute"]),
            each["with_an_onset"],
        )
        for kind, each in document["sums"].items()
    ]
    return "\n".join(
        [
            "",
            table(("recording", "who speaks", "s", "s played", "onsets", last), rows),
            "",
            table(("who speaks", "n", "min played", "onsets", "a minute", "with any"), sums),
        ]
    )


def _plain(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"

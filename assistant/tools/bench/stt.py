"""``assistant bench stt``: speech to text compared with faster-whisper's own ``transcribe``.

Both use the same model, number format, beam, and threads in the same run, alternating at each recording. With
noises, each recording is recognized in quiet and then in each noise (``noisy`` gives the level).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from assistant.app import engines as loading
from assistant.audio.files import read_sound
from assistant.board.cores import big_cores
from assistant.core.types import Pcm16
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.clips import Clip, read_set
from assistant.tools.bench.lib.measuring import (
    Document,
    Result,
    columned,
    in_turn,
    median,
    ratio,
    spread_ms,
    timed,
)
from assistant.tools.bench.lib.noisy import with_noise
from assistant.tools.bench.lib.word_error import counted

QUIET = ""
"""The name for no noise."""

SHORT_S = 2.0
"""Shorter recordings need the most care in a short window."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recording through one recognizer."""

    duration_s: float
    took_s: float
    words: int
    """Words in the transcript; 0 if it is unknown."""
    errors: int


def run(
    settings: Settings,
    folder: Path,
    *,
    rounds: int,
    limit: int | None,
    noises: Sequence[Path] = (),
    snrs_db: Sequence[float] = (10.0,),
    progress: Callable[[str], None],
) -> Result:
    """Recognize every recording below ``folder`` with both. Raises any AssistantError."""
    clips = read_set(folder, limit)
    ours, stock = loading.load_stt(settings), load_stock(settings)
    ours.warm_up()
    _text_of(stock, clips[0].pcm, settings)
    behind = {file.stem: read_sound(file) for file in noises}
    rooms: list[tuple[str, float]] = [(QUIET, 0.0), *((name, snr) for name in behind for snr in snrs_db)]
    rows: dict[tuple[str, float], tuple[list[Row], list[Row]]] = {room: ([], []) for room in rooms}
    for number, clip in enumerate(clips, 1):
        for (name, snr_db), both in rows.items():
            # Each recording starts at a different place in the noise.
            offset = number / len(clips)
            noise = behind.get(name)
            pcm = clip.pcm if noise is None else with_noise(clip.pcm, noise, snr_db=snr_db, offset=offset)
            contenders: list[Callable[[], tuple[float, str]]] = [
                partial(timed, partial(_ours, ours, pcm)),
                partial(timed, partial(_text_of, stock, pcm, settings)),
            ]
            for own, results in zip(both, in_turn(contenders, rounds), strict=True):
                own.append(_row(clip, results))
        progress(f"{number} of {len(clips)}: {clip.name}")
    ours.close()
    document: Document = {"rounds": rounds, **compared(*rows[QUIET, 0.0])}
    short = [[row for row in own if row.duration_s < SHORT_S] for own in rows[QUIET, 0.0]]
    document["short"] = compared(*short) | {"below_s": SHORT_S}
    document["in_noise"] = {
        f"{name} {snr_db:g} dB": compared(*both) for (name, snr_db), both in rows.items() if name != QUIET
    }
    return Result(_as_text(document), document)


def compared(ours: Sequence[Row], stock: Sequence[Row]) -> Document:
    """Return both recognizers' figures and the ratio of their median times; below 1, ours is faster."""
    one, other = _figures(ours), _figures(stock)
    return {"ours": one, "stock": other, "ratio": ratio(one["p50_ms"], other["p50_ms"])}


def _figures(rows: Sequence[Row]) -> Document:
    return {
        **spread_ms(row.took_s * 1000 for row in rows),
        "real_time_factor": ratio(sum(row.took_s for row in rows), sum(row.duration_s for row in rows)),
        "word_error_rate": ratio(sum(row.errors for row in rows), sum(row.words for row in rows)),
        "words": sum(row.words for row in rows),
    }


def _row(clip: Clip, results: Sequence[tuple[float, str]]) -> Row:
    errors, words = counted(clip.text, results[-1][1])
    return Row(clip.duration_s, median(took_s for took_s, _ in results) or 0.0, words, errors)


def _ours(engine: Any, pcm: Pcm16) -> str:
    text: str = engine.transcribe(pcm, Cancel()).text
    return text


def load_stock(settings: Settings) -> Any:
    """Load the same model in faster-whisper's own class. Raises ModelMissing."""
    from faster_whisper import WhisperModel  # noqa: PLC0415 - only this bench needs the library itself

    with loading.store_of(settings).opened(settings.stt.model, "stt") as folder:
        return WhisperModel(
            str(folder),
            device=settings.stt.device,
            compute_type=settings.stt.compute_type,
            cpu_threads=settings.stt.threads or len(big_cores()),
            local_files_only=True,
        )


def _text_of(stock: Any, pcm: Pcm16, settings: Settings) -> str:
    """Recognize as its documentation shows, with greedy decoding like ours."""
    language = None if settings.stt.language == "auto" else settings.stt.language
    segments, _ = stock.transcribe(
        pcm.astype(np.float32) / 32768, beam_size=settings.stt.beam_size, language=language
    )
    return " ".join(segment.text.strip() for segment in segments)


def _as_text(document: Document) -> str:
    parts = [("all", document), (f"below {SHORT_S:g} s", document["short"]), *document["in_noise"].items()]
    rows = [{"of": f"{title}: {who}", **part[who]} for title, part in parts for who in ("ours", "stock")]
    columns = [("", "of"), ("p50 ms", "p50_ms"), ("p95 ms", "p95_ms"), ("n", "n")]
    columns += [("s a second", "real_time_factor:.3f"), ("word errors", "word_error_rate:.1%")]
    return (
        f"Speech to text beside faster-whisper's own transcribe\n\n{columned(columns, rows)}\n\n"
        f"ratio of the medians: {document['ratio']} (below {SHORT_S:g} s: {document['short']['ratio']})"
    )

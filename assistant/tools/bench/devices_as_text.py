"""What the path through devices found, in tables: every cell by its name."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.tools.bench.barge_in_devices import NOISES, OWN_VOICE, PEOPLE, RESTART
from assistant.tools.bench.lib.measuring import Document, table

_COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    OWN_VOICE: (
        ("announcements", "said"),
        ("false_pauses", "false pauses"),
        ("woken", "woken"),
        ("cut_off", "cut off"),
        ("self_answers", "self-answers"),
        ("delay_ms", "true ms"),
        ("gain", "true gain"),
    ),
    PEOPLE: (
        ("person_db", "dB"),
        ("interruptions", "n"),
        ("stopped", "stopped"),
        ("within_300_ms", "in 300 ms"),
        ("p50_ms", "p50 ms"),
        ("p95_ms", "p95 ms"),
        ("stopped_before_anybody_spoke", "too early"),
        ("alone", "alone"),
        ("false_pauses", "false pauses"),
        ("stopped_again", "again"),
    ),
    NOISES: (
        ("noise_db", "dB"),
        ("noises", "n"),
        ("false_pauses", "false pauses"),
        ("paused_and_went_on", "went on"),
        ("ended_by_noise", "ended by it"),
        ("self_answers", "answers to it"),
    ),
    RESTART: (
        ("well_again_s", "back after s"),
        ("well", "well"),
        ("announcements", "said"),
        ("false_pauses", "false pauses"),
        ("self_answers", "self-answers"),
    ),
}
"""Key in the document, and head of the column."""


def as_text(document: Document) -> str:
    """Every cell, and sums."""
    parts = [f"through devices, on a sound server of its own ({document['server']})"]
    for scene, columns in _COLUMNS.items():
        cells = [cell for cell in document["cells"] if cell["scene"] == scene]
        if cells:
            parts += [_sentence(scene, document, cells), _grid(columns, cells)]
    return "\n\n".join(parts)


def _grid(columns: Sequence[tuple[str, str]], cells: Sequence[Document]) -> str:
    rows = [(cell["cell"], *(_value(cell, key) for key, _ in columns)) for cell in cells]
    return table(("cell", *(head for _, head in columns)), rows)


def _value(cell: Document, key: str) -> object:
    value = cell.get("silent", {}).get(key) if key in {"p50_ms", "p95_ms"} else cell[key]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else value


def _sentence(scene: str, document: Document, cells: Sequence[Document]) -> str:
    if scene == OWN_VOICE:
        own = document["own_voice"]
        return (
            f"own voice only: {own['announcements']} announcements, {own['false_pauses']} false pauses, "
            f"{own['cut_off']} cut off, {own['self_answers']} answers to itself"
        )
    if scene == PEOPLE:
        return "\n".join(
            f"people, {each['person_db']:+g} dB: {each['interruptions']} interruptions, {each['stopped']} "
            f"stopped it, {each['within_300_ms']} within 300 ms of their onset; {each['false_pauses']} false "
            f"pauses while nobody spoke, {each['alone']} announcements among them that nobody interrupted"
            for each in document["people"]
        )
    if scene == NOISES:
        count, ended = (sum(cell[key] for cell in cells) for key in ("noises", "ended_by_noise"))
        return f"noises: {count}, {ended} ended the answer"
    return "the sound server killed in mid-answer"

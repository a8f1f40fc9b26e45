"""``assistant bench barge-in --path devices``: through PortAudio, ALSA, and a sound server, in real time.

In each cell, the appliance starts anew, without knowing the room, and counting starts with its first word. If
a file is specified, finished cells are saved there and are not run again.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.audio.files import read_sound
from assistant.audio.resample import to_float
from assistant.core.errors import AudioFileInvalid, EngineFailed
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.clips import Clip, sound_files
from assistant.tools.bench.lib.measuring import Document, columned, percentile, rounded
from assistant.tools.bench.room import scenes
from assistant.tools.bench.room.device_world import World, devices, world
from assistant.tools.bench.room.echo_path import Cell
from assistant.tools.bench.room.scenes import Sound
from assistant.tools.bench.room.sound_server import Kind

OWN_VOICE, PEOPLE, NOISES, RESTART = SCENES = ("own-voice", "people", "noises", "restart")

_NOISE_S = 6.0
"""How much of a long noise is played; an announcement takes about as long."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run on devices."""

    scenes: Sequence[str] = (OWN_VOICE,)
    gains: Sequence[float] = (0.1, 0.25, 1.0, 2.0, 4.0)
    delays_ms: Sequence[int] = (5, 40, 120, 200, 350)
    announcements: int = 4
    """Number in each cell."""
    interruptions: int = 100
    """Number over all cells, at each level."""
    people: Sequence[Sound] = ()
    person_db: Sequence[float] = (0.0,)
    """Loudness of people and noises relative to the echo."""
    noises: Sequence[Sound] = ()
    room: Path | None = None
    clip: float = 0.0
    drift_ppm: float = 0.0
    lie_ms: int = 0
    volume_steps: bool = False
    jump_ms: int = 0
    server: Kind = "pulseaudio"
    part: tuple[int, int] = (1, 1)
    """(i, n): run the i-th of n parts of the grid."""
    keep: Path | None = None
    record: Path | None = None

    def grid(self) -> list[Cell]:
        """Return every cell of the grid."""
        return [
            Cell(
                gain,
                delay_ms,
                room=str(self.room or ""),
                clip=self.clip,
                drift_ppm=self.drift_ppm,
                lie_ms=self.lie_ms,
                volume_steps=self.volume_steps,
                jump_ms=self.jump_ms,
            )
            for gain, delay_ms in itertools.product(self.gains, self.delays_ms)
        ]

    def jobs(self) -> list[Job]:
        """Return the jobs in the requested part of the grid."""
        grid = self.grid()
        number, parts = self.part
        jobs = []
        for at in range(number - 1, len(grid), parts):
            for scene in self.scenes:
                count = self.announcements
                if scene == PEOPLE:
                    count = self.interruptions * (at + 1) // len(grid) - self.interruptions * at // len(grid)
                levels: Sequence[float] = self.person_db if scene in {PEOPLE, NOISES} else (0.0,)
                jobs += [Job(scene, grid[at], at * count, count, level_db) for level_db in levels if count]
        return jobs


@dataclass(frozen=True, slots=True)
class Job:
    """One scene in one cell of the grid."""

    scene: str
    cell: Cell
    first: int
    """Index of the first announcement and recording to use."""
    count: int
    level_db: float

    @property
    def name(self) -> str:
        return f"{self.scene}_{self.cell.name}" + (f"_{self.level_db:g}db" if self.level_db else "")


def run(settings: Settings, plan: Plan, progress: Callable[[str], None]) -> Document:
    """Run the plan. Raises DeviceUnavailable, EngineFailed, and the engines' errors."""
    jobs = plan.jobs()
    for scene, sounds, option in ((PEOPLE, plan.people, "--set"), (NOISES, plan.noises, "--noises")):
        if scene in plan.scenes and not sounds:
            raise AudioFileInvalid(
                f"The scene '{scene}' has no recordings.", f"Specify a folder with {option}."
            )
    done = dict(_kept(plan.keep))
    waiting = [job for job in jobs if _key(job, plan) not in done]
    if waiting:
        with devices(settings, plan.server) as (server, appliance):
            for job in waiting:
                record = plan.record / job.name if plan.record else None
                with world(server, appliance, job.cell, record) as here:
                    found = _done(here, job, plan)
                key = _key(job, plan)
                done[key] = {"key": key, "scene": job.scene, "cell": job.cell.name, **found}
                _keep(plan.keep, done[key])
                progress(f"{job.name}: {_in_short(done[key])}")
    cells = [done[_key(job, plan)] for job in jobs]
    return {
        "server": plan.server,
        "cells": cells,
        "own_voice": _sum_of_own_voice([cell for cell in cells if cell["scene"] == OWN_VOICE]),
        "people": [
            _sum_of_people(level_db, [cell for cell in cells if cell.get("person_db") == level_db])
            for level_db in (plan.person_db if PEOPLE in plan.scenes else ())
        ],
    }


def people_in(clips: Sequence[Clip], onset: Callable[[Clip], float]) -> list[Sound]:
    """Return the recordings that interrupt, each from shortly before its onset."""
    return [Sound.spoken(clip, onset(clip)) for clip in clips]


def noises_in(folder: Path) -> list[Sound]:
    """Return the first seconds of each recording below ``folder``. Raises AudioFileInvalid."""
    longest = round(_NOISE_S * SAMPLE_RATE_HZ)
    return [Sound(file.name, to_float(read_sound(file)[:longest]), 0.0) for file in sound_files(folder)]


def _done(here: World, job: Job, plan: Plan) -> Document:
    if job.scene == OWN_VOICE:
        return scenes.own_voice(here, job.count, job.first)
    if job.scene == PEOPLE:
        return scenes.interrupted(here, plan.people, job.level_db, job.count, job.first)
    if job.scene == NOISES:
        return scenes.noises(here, plan.noises, job.level_db, job.count, job.first)
    return scenes.restarted(here, job.first)


def _sum_of_own_voice(cells: Sequence[Document]) -> Document:
    counted = ("announcements", "false_pauses", "woken", "cut_off", "self_answers", "states", "hushed")
    return {
        **{name: sum(cell[name] for cell in cells) for name in counted},
        "cells": len(cells),
        "cells_with_any": [cell["cell"] for cell in cells if cell["states"]],
    }


def _sum_of_people(level_db: float, cells: Sequence[Document]) -> Document:
    counted = ("interruptions", "stopped", "within_300_ms", "stopped_before_anybody_spoke", "alone")
    silent_ms = [
        each["silent_ms"] for cell in cells for each in cell["said"] if each["silent_ms"] is not None
    ]
    return {
        "person_db": level_db,
        **{name: sum(cell[name] for cell in cells) for name in (*counted, "false_pauses", "stopped_again")},
        "silent_p50_ms": rounded(percentile(silent_ms, 50), 0),
        "silent_p95_ms": rounded(percentile(silent_ms, 95), 0),
    }


def _in_short(cell: Document) -> str:
    if cell["scene"] == PEOPLE:
        return f"{cell['within_300_ms']} of {cell['interruptions']} stopped it within 300 ms"
    return f"{cell['false_pauses']} false pauses, {cell['self_answers']} answers to itself"


def _key(job: Job, plan: Plan) -> str:
    return f"{plan.server}/{job.name}/{job.count}"


def _kept(file: Path | None) -> Iterator[tuple[str, Document]]:
    """Yield the cells saved by an earlier run. Raises EngineFailed."""
    if file is None or not file.exists():
        return
    try:
        for line in file.read_text("utf-8").splitlines():
            document = json.loads(line)
            yield document["key"], document
    except (ValueError, TypeError, KeyError) as error:
        raise EngineFailed(f"{file} has a different content.", "Specify a new file with --keep.") from error


def _keep(file: Path | None, document: Document) -> None:
    if file is not None:
        with file.open("a", encoding="utf-8") as sink:
            sink.write(json.dumps(document) + "\n")


_COLUMNS: dict[str, str] = {
    OWN_VOICE: "announcements=said false_pauses=false_pauses woken=woken cut_off=cut_off "
    "self_answers=self-answers delay_ms:g=true_ms gain:g=true_gain",
    PEOPLE: "person_db:g=dB interruptions=n stopped=stopped within_300_ms=in_300_ms silent.p50_ms:g=p50_ms "
    "silent.p95_ms:g=p95_ms stopped_before_anybody_spoke=too_early alone=alone false_pauses=false_pauses "
    "stopped_again=again",
    NOISES: "noise_db:g=dB noises=n false_pauses=false_pauses paused_and_went_on=went_on "
    "ended_by_noise=ended_by_it self_answers=answers_to_it",
    RESTART: "well_again_s:g=back_after_s well=well announcements=said false_pauses=false_pauses "
    "self_answers=self-answers",
}
"""Key in the document, and heading of the column."""


def as_text(document: Document) -> str:
    """Format the results as tables: every cell by name, and the totals."""
    parts = [f"through devices, on a sound server of its own ({document['server']})"]
    for scene, columns in _COLUMNS.items():
        cells = [cell for cell in document["cells"] if cell["scene"] == scene]
        if cells:
            heads = [column.partition("=") for column in columns.split()]
            pairs = [("cell", "cell"), *((head.replace("_", " "), key) for key, _, head in heads)]
            parts += [_sentence(scene, document, cells), columned(pairs, cells)]
    return "\n\n".join(parts)


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

"""``assistant bench barge-in --path devices``: through PortAudio, ALSA and a sound server, in real time.

Every cell is one life of the appliance: it starts, knowing nothing of the room, and what is counted there
begins with its first word. A cell that is done is kept in a file, where one is named, and not done again.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.bench import own_voice_scene
from assistant.bench.device_world import World, devices, world
from assistant.bench.echo_path import Cell
from assistant.bench.measuring import Document, table
from assistant.bench.sound_server import Kind
from assistant.errors import EngineFailed
from assistant.settings import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done there."""

    gains: Sequence[float] = (0.1, 0.25, 1.0, 2.0, 4.0)
    delays_ms: Sequence[int] = (5, 40, 120, 200, 350)
    announcements: int = 4
    """In each cell."""
    room: Path | None = None
    clip: float = 0.0
    drift_ppm: float = 0.0
    lie_ms: int = 0
    volume_steps: bool = False
    jump_ms: int = 0
    server: Kind = "pulseaudio"
    part: tuple[int, int] = (1, 1)
    """Do the first of so many parts of the grid."""
    keep: Path | None = None
    record: Path | None = None

    def cells(self) -> list[Cell]:
        """The grid, or the part of it that is to be done."""
        number, parts = self.part
        grid = [
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
        return grid[number - 1 :: parts]


Scene = tuple[str, Callable[[World, int], Document]]
"""Its name, and what it does in the cell of that number."""


def run(settings: Settings, plan: Plan, progress: Callable[[str], None]) -> Document:
    """Do what is planned. Raises DeviceUnavailable, EngineFailed and what engines raise."""
    scenes: list[Scene] = [("own voice", lambda here, number: _own_voice(here, number, plan))]
    done = dict(_kept(plan.keep))
    waiting = [
        (name, scene, number, cell)
        for name, scene in scenes
        for number, cell in enumerate(plan.cells())
        if _key(name, cell, plan) not in done
    ]
    if waiting:
        with devices(settings, plan.server) as (server, appliance):
            for name, scene, number, cell in waiting:
                stem = f"{name}_{cell.name}".replace(" ", "_")
                with world(server, appliance, cell, plan.record / stem if plan.record else None) as here:
                    found = scene(here, number)
                key = _key(name, cell, plan)
                done[key] = {"key": key, "scene": name, "cell": cell.name, **found}
                _keep(plan.keep, done[key])
                progress(f"{name}, {cell.name}: {_in_short(done[key])}")
    cells = [done[_key(name, cell, plan)] for name, _ in scenes for cell in plan.cells()]
    return {"server": plan.server, "cells": cells, "own_voice": _summed(cells)}


def _own_voice(here: World, number: int, plan: Plan) -> Document:
    return own_voice_scene.run(here, plan.announcements, first=number * plan.announcements)


def _summed(cells: Sequence[Document]) -> Document:
    own = [cell for cell in cells if cell["scene"] == "own voice"]
    counted = ("announcements", "false_pauses", "woken", "cut_off", "self_answers", "states", "hushed")
    return {
        **{name: sum(cell[name] for cell in own) for name in counted},
        "cells": len(own),
        "cells_with_any": [cell["cell"] for cell in own if cell["states"]],
    }


def _in_short(cell: Document) -> str:
    return f"{cell['false_pauses']} false pauses, {cell['self_answers']} answers to itself"


def _key(scene: str, cell: Cell, plan: Plan) -> str:
    return f"{plan.server}/{scene}/{cell.name}/{plan.announcements}"


def _kept(file: Path | None) -> Iterator[tuple[str, Document]]:
    """What was done before. Raises EngineFailed."""
    if file is None or not file.exists():
        return
    try:
        for line in file.read_text("utf-8").splitlines():
            document = json.loads(line)
            yield document["key"], document
    except (ValueError, TypeError, KeyError) as error:
        raise EngineFailed(f"{file} holds something else.", "Name a new file with --keep.") from error


def _keep(file: Path | None, document: Document) -> None:
    if file is not None:
        with file.open("a", encoding="utf-8") as sink:
            sink.write(json.dumps(document) + "\n")


def as_text(document: Document) -> str:
    """Every cell by name, and a sum."""
    own = [cell for cell in document["cells"] if cell["scene"] == "own voice"]
    total = document["own_voice"]
    head = (
        f"its own voice through devices ({document['server']}): {total['announcements']} announcements, "
        f"{total['false_pauses']} false pauses, {total['cut_off']} cut off, "
        f"{total['self_answers']} answers to itself"
    )
    columns = ("announcements", "false_pauses", "woken", "cut_off", "self_answers", "delay_ms", "gain")
    rows = [(cell["cell"], *(cell[name] for name in columns)) for cell in own]
    names = ("cell", "said", "false pauses", "woken", "cut off", "self-answers", "true ms", "true gain")
    return "\n".join([head, "", table(names, rows)])

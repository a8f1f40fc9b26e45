"""Nobody speaks: how often the appliance takes its own voice for somebody."""

from __future__ import annotations

import time

from assistant.core.state import State
from assistant.tools.bench.lib.measuring import Document, rounded
from assistant.tools.bench.room.device_world import World

ANNOUNCEMENTS = (
    "This is the weather for tomorrow: it starts with fog, and in the afternoon the sun comes through.",
    "Your parcel will arrive between nine and eleven, and somebody has to be at home to sign for it.",
    "The oven has reached two hundred degrees, so you can put the bread in now and set it for forty minutes.",
    "There are six eggs, a carton of milk and some butter left, so pancakes for four would be possible.",
    "The next train to the airport leaves at seven fifteen from platform two, and it is said to be on time.",
    "Don't forget that the recycling is collected on Thursday, and that the blue bin is nearly full already.",
    "Okay, the living room lamp is on, the bedroom window is open, and the front door has just been locked.",
    "The Brooklyn Bridge was opened in eighteen eighty three, and it connects Manhattan and Brooklyn.",
    "A rainbow appears when sunlight is bent and reflected inside of small drops of water.",
    "Six thousand people watched the match yesterday; it ended in a draw after a very long second half.",
)

_STEPS = (0.3, 1.0)
"""Share of the gain, and then all of it again, where the volume changes on the way."""

_STEP_S = 1.5


def run(world: World, count: int, first: int = 0) -> Document:
    """Let it announce ``count`` things, one after the other, and count what it took for somebody."""
    delay_ms = gain = None
    hushed = 0
    for number in range(count):
        began_s = world.say(ANNOUNCEMENTS[(first + number) % len(ANNOUNCEMENTS)])
        disturb(world)
        hushed += not world.settle()
        if delay_ms is None:
            delay_ms, gain = world.echo_found(began_s, began_s + 3)
    time.sleep(1.0)
    return {
        "announcements": count,
        **heard_itself(world),
        "hushed": hushed,
        "delay_ms": rounded(delay_ms, 1),
        "gain": rounded(gain, 3),
    }


def disturb(world: World) -> None:
    """What the cell does in the middle of each announcement."""
    cell = world.cell
    for step in range(len(_STEPS) if cell.volume_steps or cell.jump_ms else 0):
        time.sleep(_STEP_S)
        if cell.volume_steps:
            world.path.change(gain=cell.gain * _STEPS[step])
        if cell.jump_ms:
            world.path.change(delay_ms=cell.delay_ms + (cell.jump_ms if step == 0 else 0))


def heard_itself(world: World) -> Document:
    """What it took for somebody: false pauses, answers that ended by them, and answers to itself."""
    reports = [each.report for each in world.told() if each.report]
    said = [report for report in reports if report["handled_by"] == "announcement"]
    turns = [report for report in reports if report["handled_by"] != "announcement"]
    busy = (State.LISTENING.value, State.THINKING.value)
    return {
        "false_pauses": len(world.events("BargedIn")),
        "woken": len(world.events("Woken")),
        "cut_off": sum(report["interrupted"] for report in said),
        "self_answers": sum(report["refused"] is None for report in turns),
        "states": sum(each.state in busy for each in world.told()),
    }

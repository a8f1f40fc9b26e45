"""The options of ``assistant bench barge-in``, in a module of their own for their number."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.settings.schema import Settings
from assistant.tools.bench.command.argument_types import count, delays, gains, numbers, part

if TYPE_CHECKING:
    from assistant.tools.bench.lib.measuring import Result

_DEMO = Path(__file__).parents[3] / "cli" / "demo"

_SCENES = ("own-voice", "people", "noises", "restart")

_DEVICES = """A cell takes 2 s, and 7 s for each announcement: the default grid of 25 cells and 4
announcements a quarter of an hour. 100 interruptions in 16 cells take half an hour at each level.
--part 1/5 does a fifth of the cells, and --keep FILE goes on where a run was ended."""


def add(parser: argparse.ArgumentParser) -> None:
    """Put them on the parser."""
    parser.add_argument(
        "--path",
        choices=("simulated", "devices", "both"),
        default="simulated",
        help="in a simulated room (default), through real devices on a sound server of its own, or both",
    )
    parser.add_argument(
        "--set", type=Path, default=_DEMO, metavar="FOLDER", help="recordings that interrupt it"
    )
    parser.add_argument("--interruptions", type=count, default=100, metavar="N", help="default 100")
    parser.add_argument(
        "--minutes", type=float, default=30, metavar="N", help="of its own voice, simulated; default 30"
    )
    parser.add_argument(
        "--room",
        type=Path,
        metavar="WAV",
        help="recorded impulse response; default synthetic, or none (devices)",
    )
    devices = parser.add_argument_group("through devices", _DEVICES)
    devices.add_argument(
        "--server", choices=("pulseaudio", "pipewire"), default="pulseaudio", help="default pulseaudio"
    )
    devices.add_argument(
        "--scenes",
        nargs="+",
        choices=_SCENES,
        default=["own-voice"],
        metavar="SCENE",
        help=f"{', '.join(_SCENES)}; default own-voice",
    )
    devices.add_argument(
        "--person-db",
        type=numbers,
        default=[0.0],
        metavar="DB,DB",
        help="of people and noises against the echo; default 0; write --person-db=-6,0",
    )
    devices.add_argument(
        "--noises", type=Path, metavar="FOLDER", help="recordings of coughs, dishes, a television"
    )
    devices.add_argument(
        "--gains",
        type=gains,
        default=[0.1, 0.25, 1.0, 2.0, 4.0],
        metavar="N,N",
        help="of the echo; default 0.1,0.25,1,2,4",
    )
    devices.add_argument(
        "--delays",
        type=delays,
        default=[5, 40, 120, 200, 350],
        metavar="MS,MS",
        help="of the echo; default 5,40,120,200,350",
    )
    devices.add_argument(
        "--announcements", type=count, default=4, metavar="N", help="in each cell, as noises; default 4"
    )
    devices.add_argument(
        "--clip",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of full scale at which the loudspeaker clips",
    )
    devices.add_argument(
        "--drift-ppm", type=float, default=0.0, metavar="N", help="by which the loudspeaker runs fast"
    )
    devices.add_argument(
        "--lie-ms", type=int, default=0, metavar="MS", help="by which time stamps are wrong, in jumps"
    )
    devices.add_argument(
        "--jump-ms", type=int, default=0, metavar="MS", help="by which the delay jumps on the way, and back"
    )
    devices.add_argument(
        "--volume-steps", action="store_true", help="change the volume in the middle of each announcement"
    )
    devices.add_argument(
        "--part", type=part, default=(1, 1), metavar="K/N", help="do only a part of the grid"
    )
    devices.add_argument(
        "--keep", type=Path, metavar="FILE", help="keep each cell there, and skip those in it"
    )
    devices.add_argument(
        "--record", type=Path, metavar="FOLDER", help="keep what was played and heard, for --replay"
    )
    recorded = parser.add_argument_group("from recordings, without devices")
    recorded.add_argument(
        "--replay", type=Path, metavar="FOLDER", help="what --record has kept, given to the canceller again"
    )
    recorded.add_argument(
        "--pairs", type=Path, metavar="FOLDER", help="NAME_mic and NAME_lpb, as the AEC Challenge names them"
    )


def measure(arguments: argparse.Namespace, settings: Settings, progress: Callable[[str], None]) -> Result:
    """What the options ask for."""
    if arguments.replay or arguments.pairs:
        from assistant.tools.bench import recorded_echo  # noqa: PLC0415 - engines take a second to import

        return recorded_echo.run(settings, replay=arguments.replay, pairs=arguments.pairs, progress=progress)
    from assistant.tools.bench import barge_in  # noqa: PLC0415
    from assistant.tools.bench.barge_in_devices import Plan, noises_in  # noqa: PLC0415

    return barge_in.run(
        settings,
        arguments.set,
        interruptions=arguments.interruptions,
        minutes=arguments.minutes,
        response=arguments.room,
        path=arguments.path,
        plan=Plan(
            scenes=arguments.scenes,
            interruptions=arguments.interruptions,
            person_db=arguments.person_db,
            noises=noises_in(arguments.noises) if arguments.noises else (),
            gains=arguments.gains,
            delays_ms=arguments.delays,
            announcements=arguments.announcements,
            room=arguments.room,
            clip=arguments.clip,
            drift_ppm=arguments.drift_ppm,
            lie_ms=arguments.lie_ms,
            jump_ms=arguments.jump_ms,
            volume_steps=arguments.volume_steps,
            server=arguments.server,
            part=arguments.part,
            keep=arguments.keep,
            record=arguments.record,
        ),
        progress=progress,
    )

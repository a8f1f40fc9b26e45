"""``assistant bench``: runs a measurement on this machine and prints its result as one final line of JSON.

``BENCHES`` declares every bench with its help and options. Each bench is a module with ``run(settings,
progress=..., **options)``, which receives the options by name.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.core.errors import SettingsError
from assistant.runtime import logs
from assistant.settings import load as configuration
from assistant.settings.schema import Settings

if TYPE_CHECKING:
    from assistant.tools.bench.lib.measuring import Result

DEMO = Path(__file__).parents[2] / "cli" / "demo"


@dataclass(frozen=True, slots=True)
class Option:
    """One argument of a parser."""

    name: str
    settings: Mapping[str, Any]

    def at(self, path: str) -> Option:
        """Return the same option, restricted to one value of ``--path``."""
        return Option(self.name, {**self.settings, "path": path})


def value(
    name: str, kind: Callable[[str], Any], default: Any, metavar: str, about: str, **more: Any
) -> Option:
    """Return an option with a value; ``about`` plus the default becomes its help."""
    if default and not isinstance(default, Path):
        shown = default if isinstance(default, list | tuple) else [default]
        about += f"; default {(' ' if 'nargs' in more else ',').join(f'{each}' for each in shown)}"
    settings = {"type": kind, "default": default, "metavar": metavar, "help": about, **more}
    return Option(f"--{name}", settings)


def choice(name: str, choices: Sequence[str], about: str, **more: Any) -> Option:
    """Return an option with one of several values; the first is the default."""
    default = [choices[0]] if "nargs" in more else choices[0]
    about = f"{about}{', '.join(choices)}; default {choices[0]}"
    return Option(f"--{name}", {"choices": choices, "default": default, "help": about, **more})


def flag(name: str, about: str) -> Option:
    """Return an option without a value."""
    return Option(f"--{name}", {"action": "store_true", "help": about})


def count(text: str) -> int:
    """Parse a number of at least 1. The names of these functions appear in argparse's error messages."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def numbers(text: str) -> list[float]:
    """Parse numbers separated by commas."""
    return [float(part) for part in text.split(",")]


def gains(text: str) -> list[float]:
    """Parse positive numbers separated by commas."""
    found = numbers(text)
    if min(found) <= 0:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return found


def delays(text: str) -> list[int]:
    """Parse non-negative whole numbers separated by commas."""
    found = [int(part) for part in text.split(",")]
    if min(found) < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return found


def part(text: str) -> tuple[int, int]:
    """Parse a part such as 2/5."""
    number, _, parts = text.partition("/")
    if not 1 <= int(number) <= int(parts):
        raise argparse.ArgumentTypeError("must be a fraction such as 2/5")
    return int(number), int(parts)


def recordings(about: str = "folder of recordings, with or without a manifest.jsonl") -> Option:
    return value("set", Path, DEMO, "FOLDER", about, dest="folder")


def rounds(default: int) -> Option:
    return value("rounds", count, default, "N", "how often each is measured")


LIMIT = value("limit", count, None, "N", "take only N of them")
PLAIN = flag(
    "plain", "the same engines one after the other: 800 ms of silence end a turn, nothing starts early"
)
NOISE = (
    value("noise", Path, [], "FILE", "play these behind the recordings", nargs="+", dest="noises"),
    value("snr", numbers, [10.0], "DB,DB", "how far the noise is below the speech", dest="snrs_db"),
)
QUESTIONS = "questions with their answers, one JSON object per line"
CALLS = "recordings; those in a folder named like a built-in word contain it"
DEVICES = """With --path devices or both. A cell takes 2 s, plus 7 s per announcement: the default grid of
25 cells and 4 announcements takes a quarter of an hour; 100 interruptions in 16 cells take half an hour per
level. --part 1/5 runs a fifth of the cells, and --keep FILE continues an earlier run."""
ON_DEVICES = (
    choice("server", ("pulseaudio", "pipewire"), ""),
    choice("scenes", ("own-voice", "people", "noises", "restart"), "", nargs="+", metavar="SCENE"),
    value(
        "person-db",
        numbers,
        [0.0],
        "DB,DB",
        "levels of people and noises over the echo, such as --person-db=-6,0",
    ),
    value("noises", Path, None, "FOLDER", "recordings of coughs, dishes, a television"),
    value("gains", gains, [0.1, 0.25, 1.0, 2.0, 4.0], "N,N", "of the echo"),
    value("delays", delays, [5, 40, 120, 200, 350], "MS,MS", "of the echo", dest="delays_ms"),
    value("announcements", count, 4, "N", "in each cell, as noises"),
    value("clip", float, 0.0, "SHARE", "fraction of full scale at which the loudspeaker clips"),
    value("drift-ppm", float, 0.0, "N", "how much faster the loudspeaker runs"),
    value("lie-ms", int, 0, "MS", "how wrong time stamps are, in jumps"),
    value("jump-ms", int, 0, "MS", "how far the delay jumps, there and back"),
    flag("volume-steps", "change the volume in the middle of each announcement"),
    value("part", part, (1, 1), "K/N", "run only a part of the grid", dest="part"),
    value("keep", Path, None, "FILE", "save each finished cell here, and skip those already saved"),
    value("record", Path, None, "FOLDER", "save what was played and heard, for --replay"),
)
RECORDED = (
    value("replay", Path, None, "FOLDER", "rerun the canceller on what --record saved"),
    value("pairs", Path, None, "FOLDER", "NAME_mic and NAME_lpb, as in the AEC Challenge"),
)


@dataclass(frozen=True, slots=True)
class Bench:
    """A bench: its help, its options, and its module if the module has a different name."""

    about: str
    options: Sequence[Option] = ()
    module: str = ""


BENCHES = {
    "latency": Bench(
        "real turns in real time: how long you wait, and why",
        (
            value("repeat", count, 1, "N", "speak all of them N times, in one conversation"),
            value("picture", Path, None, "SVG", "draw the median turn into this file"),
            *(PLAIN, recordings(), LIMIT),
        ),
    ),
    "endpoint": Bench(
        "how often people are cut off",
        (flag("insert-pauses", "insert a pause of 0.5 to 1 s between two words"), PLAIN, recordings(), LIMIT),
    ),
    "stt": Bench(
        "speech to text compared with faster-whisper's own transcribe",
        (*NOISE, recordings(), LIMIT, rounds(3)),
    ),
    "llm": Bench("the language model compared with a bare llama.cpp loop", (rounds(7),)),
    "draft": Bench("what drafting tokens from earlier text saves", (rounds(3),), "drafting"),
    "cores": Bench("thread counts and cores, alone and next to busy programs", (rounds(5),)),
    "runtimes": Bench(
        "one question to models in several formats, on both runtimes",
        (
            value("models", str, None, "NAME", "models, or folders (./NAME)", nargs="+", required=True),
            value("threads", count, [1, 2], "N", "numbers of threads", nargs="+"),
            rounds(5),
        ),
    ),
    "memory": Bench(
        "the memory plan compared with the peak of real processes",
        (
            value("models", str, None, "NAME", "language models (default: all installed)", nargs="+"),
            value("contexts", count, [512, 2048, 4096], "N", "in tokens", nargs="+"),
        ),
    ),
    "batch": Bench("many prompts at once: the overall gain, and what each one loses"),
    "profile": Bench(
        "where a turn's CPU time, memory bandwidth and power went", (recordings("recordings"), LIMIT)
    ),
    "cold": Bench(
        "a cold start with an empty cache, and how fast the disk reads",
        (rounds(3), flag("models-only", "drop only the models from the cache, even as root")),
    ),
    "tools": Bench("whether the language model calls skills when it should, and only then"),
    "intents": Bench(
        "commands and small talk, spoken by the voice, and what is done",
        (value("limit", count, None, "N", "take only N sentences of each"),),
    ),
    "answers": Bench(
        "how many answers are true, false, or admit not knowing",
        (
            value("set", Path, None, "FILE", QUESTIONS, nargs="+", required=True, dest="files"),
            value("model", str, [], "NAME", "language models", nargs="+", dest="models"),
            value("limit", count, None, "N", "take only N questions"),
            value("picture", Path, None, "SVG", "draw risk against coverage in this file"),
        ),
    ),
    "tts": Bench("the voice next to plain ONNX Runtime"),
    "barge-in": Bench(
        "how fast it stops when you interrupt it, and whether it interrupts itself",
        (
            choice("path", ("simulated", "devices", "both"), "room simulated, or on a real sound server: "),
            recordings("recordings that interrupt it"),
            value("interruptions", count, 100, "N", "how many"),
            value("minutes", float, 30, "N", "of its own voice").at("simulated"),
            value("room", Path, None, "WAV", "impulse response (default: synthetic, or none for devices)"),
            *(each.at("devices") for each in ON_DEVICES),
            *(each.at("recordings") for each in RECORDED),
        ),
        "barge_in",
    ),
    "soak": Bench(
        "thousands of turns in virtual time, most of them with faults",
        (
            value("turns", count, 10_000, "N", "how many"),
            value("seed", int, 1, "N", "another one is another run"),
        ),
    ),
    "idle": Bench(
        "what waiting for the wake word costs",
        (
            recordings("people who talk all the time").at("simulated"),
            value("seconds", float, 30, "N", "of each"),
            choice(
                "path",
                ("simulated", "devices"),
                "the listener alone, or the whole appliance on a sound server: ",
            ),
        ),
    ),
    "wake": Bench(
        "missed calls, and talk that wakes it",
        (
            value("set", Path, None, "FOLDER", CALLS, nargs="+", required=True, dest="folders"),
            *NOISE,
            value("offsets", count, 1, "N", "begin at N places in each noise"),
        ),
    ),
    "all": Bench(
        "all of these, compared with the targets (takes half an hour)",
        (
            value("commands", Path, None, "FOLDER", "spoken commands and questions", required=True),
            value("dialog", Path, None, "FOLDER", "longer speech", required=True),
            value("limit", count, None, "N", "take only N recordings of each"),
            value("into", Path, None, "MARKDOWN", "write the results to this file, between its marks"),
        ),
        "everything",
    ),
}
_COMMON = {"everything": ("config",)}
"""Options of all benches that a module also receives."""

_GROUPS = {"devices": ("through devices", DEVICES), "recordings": ("from recordings, without devices", None)}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    benches = subparsers.add_parser("bench").add_subparsers(metavar="WHAT", required=True)
    for name, bench in BENCHES.items():
        parser = benches.add_parser(name, help=bench.about)
        paths = {each.settings.get("path", "") for each in bench.options}
        groups = {path: parser.add_argument_group(*_GROUPS[path]) for path in _GROUPS if path in paths}
        actions = []
        for each in bench.options:
            settings = dict(each.settings)
            path = settings.pop("path", "")
            action = groups.get(path, parser).add_argument(each.name, **settings)
            actions.append((action, path))
        parser.add_argument("--json", action="store_true", help="print only the line of JSON")
        parser.set_defaults(run=run, bench=name, actions=actions)


def run(arguments: argparse.Namespace) -> int:
    """Print the result. Returns the exit status: 130 if interrupted."""
    settings = configuration.load(arguments.config).settings
    # The bench reports its progress itself.
    logs.set_up("warning" if settings.log.level == "info" else settings.log.level)
    result = _measured(arguments, settings)
    if not arguments.json:
        print(result.text, end="\n\n")
    print(result.json_line(), flush=True)
    return 130 if result.document.get("interrupted") else 0


def _measured(arguments: argparse.Namespace, settings: Settings) -> Result:
    options = {action.dest: getattr(arguments, action.dest) for action, _ in arguments.actions}
    path = options.get("path")
    for action, of in arguments.actions:
        if (
            of in ("simulated", "devices")
            and path not in (of, "both")
            and options[action.dest] != action.default
        ):
            name = action.option_strings[0]
            raise SettingsError(f"{name} applies only to --path {of}.", f"Remove it, or add --path {of}.")
    name = BENCHES[arguments.bench].module or arguments.bench
    options |= {each: getattr(arguments, each) for each in _COMMON.get(name, ())}
    # Importing the engines takes a second.
    machine = import_module("assistant.tools.bench.lib.machine")
    about = machine.describe(settings)
    module = import_module(f"assistant.tools.bench.{name}")
    found: Result = module.run(settings, progress=_progress, **options)
    document = {"bench": arguments.bench, **found.document, **about}
    return replace(found, text=f"{machine.headline(about)}\n\n{found.text}", document=document)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

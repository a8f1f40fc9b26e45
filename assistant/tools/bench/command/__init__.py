"""``assistant bench``: measures on this machine, and ends in one line of JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.runtime import logs
from assistant.settings import load as configuration
from assistant.settings.schema import Settings
from assistant.tools.bench.command import barge_in_options
from assistant.tools.bench.command.argument_types import count, numbers

if TYPE_CHECKING:
    from assistant.tools.bench.lib.measuring import Result

DEMO = Path(__file__).parents[3] / "cli" / "demo"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("bench")
    stages = parser.add_subparsers(metavar="WHAT", required=True)
    latency = _stage(
        stages, "latency", _latency, "real turns in real time: what a person waits, and for what"
    )
    latency.add_argument(
        "--repeat", type=count, default=1, metavar="N", help="speak all of them N times, in one conversation"
    )
    latency.add_argument("--picture", type=Path, metavar="SVG", help="draw the median turn into this file")
    endpoint = _stage(stages, "endpoint", _endpoint, "how often a person is cut off")
    endpoint.add_argument(
        "--insert-pauses", action="store_true", help="put a pause of 0.5 to 1 s between two words"
    )
    for each in (latency, endpoint):
        each.add_argument(
            "--plain",
            action="store_true",
            help="the same engines chained plainly: 800 ms of silence end a turn, nothing is begun before",
        )
    stt = _stage(stages, "stt", _stt, "speech to text beside faster-whisper's own transcribe")
    _add_noise(stt)
    for each in (latency, endpoint, stt):
        each.add_argument(
            "--set",
            type=Path,
            default=DEMO,
            metavar="FOLDER",
            help="recordings, with or without a manifest.jsonl",
        )
        each.add_argument("--limit", type=count, metavar="N", help="take only N of them")
    llm = _stage(stages, "llm", _llm, "the language model beside a bare llama.cpp loop")
    draft = _stage(stages, "draft", _draft, "guessing tokens from what was said before: what it saves")
    for each, rounds in ((stt, 3), (llm, 7), (draft, 3)):
        each.add_argument("--rounds", type=count, default=rounds, metavar="N", help=f"default {rounds}")
    cores = _stage(stages, "cores", _cores, "thread counts and cores, quiet and beside busy programs")
    cores.add_argument("--rounds", type=count, default=5, metavar="N", help="default 5")
    runtimes = _stage(
        stages, "runtimes", _runtimes, "one question to models in several formats, on both runtimes"
    )
    runtimes.add_argument(
        "--models", nargs="+", required=True, metavar="NAME", help="language models, or folders (./NAME)"
    )
    runtimes.add_argument("--threads", nargs="+", type=count, default=[1, 2], metavar="N", help="default 1 2")
    runtimes.add_argument("--rounds", type=count, default=5, metavar="N", help="default 5")
    memory = _stage(stages, "memory", _memory, "the memory plan beside the peak of real processes")
    memory.add_argument(
        "--models", nargs="+", metavar="NAME", help="language models; default: all that are here"
    )
    memory.add_argument(
        "--contexts", nargs="+", type=count, default=[512, 2048, 4096], metavar="N", help="in tokens"
    )
    _stage(stages, "batch", _batch, "many prompts at once: what all gain, and what each of them loses")
    profile = _stage(
        stages, "profile", _profile, "where processor time, memory bandwidth and power of a turn went"
    )
    profile.add_argument("--set", type=Path, default=DEMO, metavar="FOLDER", help="recordings")
    profile.add_argument("--limit", type=count, metavar="N", help="take only N of them")
    cold = _stage(stages, "cold", _cold, "a start with nothing in the cache, and how fast the disk reads")
    cold.add_argument("--rounds", type=count, default=3, metavar="N", help="default 3")
    cold.add_argument(
        "--models-only", action="store_true", help="put only the models out of the cache, also as root"
    )
    _stage(stages, "tools", _tools, "does the language model call skills when it should, and only then")
    intents = _stage(
        stages, "intents", _intents, "commands and small talk that the voice speaks: what is done"
    )
    intents.add_argument("--limit", type=count, metavar="N", help="take only N sentences of each")
    _stage(stages, "tts", _tts, "the voice beside plain ONNX Runtime")
    barge_in_options.add(
        _stage(stages, "barge-in", _barge_in, "how fast it falls silent for a person, and whether for itself")
    )
    _add_waiting(stages)
    everything = _stage(stages, "all", _all, "all of these, and what was promised beside it: half an hour")
    for name, what in (("commands", "spoken commands and questions"), ("dialog", "longer speech")):
        everything.add_argument(f"--{name}", type=Path, required=True, metavar="FOLDER", help=what)
    everything.add_argument("--limit", type=count, metavar="N", help="take only N recordings of each")
    everything.add_argument(
        "--into", type=Path, metavar="MARKDOWN", help="put the results into this file, between its marks"
    )


def _add_waiting(stages: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """What an appliance does while nobody speaks to it, and for years."""
    soak = _stage(stages, "soak", _soak, "thousands of turns in virtual time, with faults in most of them")
    soak.add_argument("--turns", type=count, default=10_000, metavar="N", help="default 10000")
    soak.add_argument("--seed", type=int, default=1, metavar="N", help="another one is another run")
    idle = _stage(stages, "idle", _idle, "what waiting for the wake word costs")
    idle.add_argument("--set", type=Path, default=DEMO, metavar="FOLDER", help="people who talk all the time")
    idle.add_argument("--seconds", type=float, default=30, metavar="N", help="of each; default 30")
    idle.add_argument(
        "--path",
        choices=("simulated", "devices"),
        default="simulated",
        help="devices: the whole appliance on a sound server, with room tone; default simulated",
    )
    wake = _stage(stages, "wake", _wake, "calls that are missed, and talk that wakes")
    wake.add_argument(
        "--set",
        type=Path,
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="recordings; those in a folder named like a built-in word call with it",
    )
    _add_noise(wake)
    places = "begin at so many places in each noise; default 1"
    wake.add_argument("--offsets", type=count, default=1, metavar="N", help=places)


def _add_noise(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--noise", type=Path, nargs="+", default=[], metavar="FILE", help="played behind them"
    )
    below = "how far the noise is below the speech; default 10"
    parser.add_argument("--snr", type=numbers, default=[10.0], metavar="DB,DB", help=below)


def _stage(
    stages: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    measure: Callable[[argparse.Namespace, Settings], Result],
    what: str,
) -> argparse.ArgumentParser:
    parser = stages.add_parser(name, help=what)
    parser.add_argument("--json", action="store_true", help="the line of JSON only")
    parser.set_defaults(run=run, measure=measure)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; the exit status is 130 when it was interrupted."""
    settings = configuration.load(arguments.config).settings
    # Its own lines say how far it is.
    logs.set_up("warning" if settings.log.level == "info" else settings.log.level)
    result = arguments.measure(arguments, settings)
    if not arguments.json:
        print(result.text, end="\n\n")
    print(result.json_line(), flush=True)
    return 130 if result.document.get("interrupted") else 0


# Each stage imports engines, which takes a second.


def _latency(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import latency  # noqa: PLC0415

    return latency.run(
        settings,
        arguments.set,
        plain=arguments.plain,
        limit=arguments.limit,
        repeat=arguments.repeat,
        picture=arguments.picture,
        progress=_progress,
    )


def _endpoint(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import endpoint  # noqa: PLC0415

    return endpoint.run(
        settings,
        arguments.set,
        insert_pauses=arguments.insert_pauses,
        plain=arguments.plain,
        limit=arguments.limit,
        progress=_progress,
    )


def _stt(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import stt  # noqa: PLC0415

    return stt.run(
        settings,
        arguments.set,
        rounds=arguments.rounds,
        limit=arguments.limit,
        noises=arguments.noise,
        snrs_db=arguments.snr,
        progress=_progress,
    )


def _llm(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import llm  # noqa: PLC0415

    return llm.run(settings, rounds=arguments.rounds, progress=_progress)


def _draft(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import drafting  # noqa: PLC0415

    return drafting.run(settings, rounds=arguments.rounds, progress=_progress)


def _cores(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import cores  # noqa: PLC0415

    return cores.run(settings, rounds=arguments.rounds, progress=_progress)


def _memory(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import memory  # noqa: PLC0415

    return memory.run(
        settings, models=arguments.models, contexts=tuple(arguments.contexts), progress=_progress
    )


def _runtimes(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import runtimes  # noqa: PLC0415

    return runtimes.run(
        settings,
        arguments.models,
        threads=arguments.threads,
        rounds=arguments.rounds,
        progress=_progress,
    )


def _batch(_: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import batch  # noqa: PLC0415

    return batch.run(settings, progress=_progress)


def _profile(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import profile  # noqa: PLC0415

    return profile.run(settings, arguments.set, limit=arguments.limit, progress=_progress)


def _cold(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import cold  # noqa: PLC0415

    everything = not arguments.models_only
    return cold.run(settings, rounds=arguments.rounds, everything=everything, progress=_progress)


def _tools(_: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import tools  # noqa: PLC0415

    return tools.run(settings, progress=_progress)


def _intents(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import intents  # noqa: PLC0415

    return intents.run(settings, limit=arguments.limit, progress=_progress)


def _tts(_: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import tts  # noqa: PLC0415

    return tts.run(settings, progress=_progress)


def _barge_in(arguments: argparse.Namespace, settings: Settings) -> Result:
    return barge_in_options.measure(arguments, settings, _progress)


def _soak(arguments: argparse.Namespace, _: Settings) -> Result:
    from assistant.tools.bench import soak  # noqa: PLC0415

    return soak.run(turns=arguments.turns, seed=arguments.seed, progress=_progress)


def _idle(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import idle  # noqa: PLC0415

    if arguments.path == "devices":
        return idle.run_on_devices(settings, seconds=arguments.seconds, progress=_progress)
    return idle.run(settings, arguments.set, seconds=arguments.seconds, progress=_progress)


def _wake(arguments: argparse.Namespace, settings: Settings) -> Result:
    from assistant.tools.bench import wake  # noqa: PLC0415

    noises = wake.Noises(arguments.noise, arguments.snr, arguments.offsets)
    return wake.run(settings, arguments.set, noises=noises, progress=_progress)


def _all(arguments: argparse.Namespace, _: Settings) -> Result:
    from assistant.tools.bench import everything  # noqa: PLC0415

    return everything.run(
        arguments.config,
        commands=arguments.commands,
        dialog=arguments.dialog,
        limit=arguments.limit,
        into=arguments.into,
        progress=_progress,
    )


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

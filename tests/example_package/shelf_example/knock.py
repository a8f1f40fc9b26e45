"""The command ``assistant knock``."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("knock")
    parser.add_argument("count", type=int, help="how many knocks")
    parser.add_argument("file", type=Path, help="sound file to write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import numpy as np  # noqa: PLC0415 - commands are light until they run

    from assistant.audio.files import write_wav  # noqa: PLC0415

    knock = np.concatenate([np.full(800, 12_000, np.int16), np.zeros(4000, np.int16)])
    write_wav(arguments.file, np.tile(knock, arguments.count), 16_000)
    print(f"{arguments.count} knocks are in {arguments.file}")
    return 0

"""``assistant transcribe``: turns sound files into text."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from assistant.core.errors import AudioFileInvalid
from assistant.core.types import Pcm16
from assistant.runtime import harmless, logs
from assistant.runtime.cancel import Cancel
from assistant.settings import load as configuration


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("transcribe")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print one JSON document per file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assistant.app.engines import load_stt  # noqa: PLC0415 - engines take a second to import
    from assistant.audio.files import read_sound  # noqa: PLC0415

    settings = configuration.load(arguments.config).settings
    logs.set_up(settings.log.level)
    clips: dict[Path, Pcm16] = {}
    failed: AudioFileInvalid | None = None
    for path in arguments.files:
        try:
            clips[path] = read_sound(path)
        except AudioFileInvalid as error:  # noqa: PERF203 - the others are still read
            if len(arguments.files) == 1:
                raise
            failed = error
            print(f"assistant: {harmless.one_line(error)}", file=sys.stderr)
    stt = load_stt(settings)
    for path, pcm in clips.items():
        transcript = stt.transcribe(pcm, Cancel())
        if arguments.json:
            print(json.dumps({"file": str(path), **asdict(transcript)}, ensure_ascii=False), flush=True)
        else:
            print(transcript.text if len(arguments.files) == 1 else f"{path}: {transcript.text}", flush=True)
    stt.close()
    return failed.exit_status if failed else 0

"""``assistant say``: writes text, spoken by the voice, to a WAV file."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from assistant.core.errors import EngineFailed
from assistant.runtime import logs
from assistant.runtime.cancel import Cancel
from assistant.settings import load as configuration


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("say")
    parser.add_argument("text", help="text to say")
    parser.add_argument("--output", type=Path, required=True, metavar="WAV", help="file to write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assistant.app.engines import load_tts  # noqa: PLC0415 - engines take a second to import
    from assistant.audio.files import write_wav  # noqa: PLC0415
    from assistant.dialog.pipeline import sound_of  # noqa: PLC0415
    from assistant.dialog.sentences import whole  # noqa: PLC0415

    settings = configuration.load(arguments.config).settings
    logs.set_up(settings.log.level)
    tts = load_tts(settings)
    language = settings.stt.language
    sounds = [sound_of(sentence, language, tts, Cancel()) for sentence in whole(arguments.text)]
    pcm = np.concatenate(sounds or [np.zeros(0, np.int16)])
    if not len(pcm):
        raise EngineFailed("There is nothing to pronounce in this text.", "Add some words.")
    write_wav(arguments.output, pcm, tts.sample_rate_hz)
    tts.close()
    print(f"{arguments.output}: {len(pcm) / tts.sample_rate_hz:.1f} s at {tts.sample_rate_hz} Hz")
    return 0

"""``assistant devices``: lists microphones and speakers, under the names used in the settings."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from assistant.audio import Kind
from assistant.audio.lines import devices
from assistant.audio.portaudio import Device


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("devices")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    found = devices()
    if arguments.json:
        print(json.dumps([asdict(device) for device in found], ensure_ascii=False))
    else:
        print("\n\n".join((_listed("Microphones", "input", found), _listed("Speakers", "output", found))))
    return 0


def _listed(title: str, kind: Kind, found: list[Device]) -> str:
    """List the devices of one kind, with a star at the system default."""
    rows = [device for device in found if device.channels(kind)]
    if not rows:
        return f"{title}: none is plugged in, or another program is using it."
    width = max(len(device.name) for device in rows)
    lines = [
        f"{'*' if device.is_default(kind) else ' '} {device.name:<{width}}  {device.sample_rate_hz} Hz"
        for device in rows
    ]
    return "\n".join([f"{title} (a part of the name is enough for audio.{kind}; * is the default):", *lines])

"""``assistant quantize compare SOURCE --types a,b,c``: formats side by side. Nothing is installed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from assistant.core.errors import SettingsError
from assistant.store import Store
from assistant.store.progress import Terminal


def run(arguments: argparse.Namespace, store: Store, terminal: Terminal) -> int:
    """The exit status is 1 when a format could not be made. Raises AssistantError."""
    from assistant.tools.quantize import comparing, picture  # noqa: PLC0415
    from assistant.tools.quantize.request import compared_request  # noqa: PLC0415  its packages take a second

    types = comparing.EVERYTHING if arguments.types == "all" else arguments.types or ""
    names = [name for name in types.split(",") if name]
    if len(arguments.source) != 2 or not names or arguments.name or arguments.force:
        raise SettingsError(
            "A comparison needs one source and its formats, and installs nothing.",
            "Write it like `assistant quantize compare SOURCE --types q8_0,q4_k_m,q4_0`.",
        )
    if arguments.picture and not arguments.picture.absolute().parent.is_dir():
        raise SettingsError(
            f"There is no folder {arguments.picture.parent}.", "Choose a place that is there."
        )
    source = arguments.source[1]
    wanted = [compared_request(arguments, source, name) for name in names]
    rows = comparing.compare(wanted, store, terminal, dither=arguments.dither)
    terminal.clear()
    if not arguments.json:
        print(comparing.table(rows), end="\n\n")
    print(json.dumps({"compare": source, "rows": [row.document() for row in rows]}, ensure_ascii=False))
    if arguments.picture:
        _save(arguments.picture, picture.draw(source, [row.dot() for row in rows if not row.fault]))
    return int(any(row.fault for row in rows))


def _save(file: Path, drawing: str) -> None:
    try:
        file.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"The picture {file} cannot be written: {error.strerror}.", "Choose another place."
        ) from error

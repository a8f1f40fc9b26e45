"""``assistant quantize compare|whisper|voice|lora SOURCE``: a comparison, or a model of another kind."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.core.errors import SettingsError
from assistant.store import Store
from assistant.store.progress import Terminal, Watcher, megabytes

if TYPE_CHECKING:
    from assistant.tools.quantize.request import Request

NAMES = ("whisper", "voice", "lora")
"""What may stand before the source instead of nothing, which is a language model."""

_FOR_LANGUAGE_MODELS = (
    *("board", "types", "picture", "calibration", "keep_f16", "output_type", "embedding_type", "imatrix"),
    *("method", "adapter", "output", "dither", "act_order", "group_size"),
)


def run(arguments: argparse.Namespace, store: Store, watcher: Watcher) -> int:
    """``arguments.source`` is one of NAMES and the source. Raises AssistantError."""
    what, *sources = arguments.source
    if len(sources) != 1:
        raise SettingsError(f"`quantize {what}` needs one source.", f"Write it like {_EXAMPLES[what]}.")
    strange = [key for key in _FOR_LANGUAGE_MODELS if getattr(arguments, key, None)]
    if strange:
        raise SettingsError(f"--{strange[0].replace('_', '-')} is for language models only.", "Leave it out.")
    if what != "lora" and arguments.base:
        raise SettingsError("--base is for `quantize lora` only.", "Leave it out.")
    about = _MAKERS[what](arguments, sources[0], store, watcher)
    if arguments.json:
        print(json.dumps(about, ensure_ascii=False))
    else:
        print(_result_text(about))
    return 0


def _whisper(arguments: argparse.Namespace, source: str, store: Store, watcher: Watcher) -> dict[str, Any]:
    from assistant.tools.quantize import whisper  # noqa: PLC0415  its packages take a second

    return whisper.make(_request(arguments, source, arguments.to or "ct2-int8"), store, watcher)


def _voice(arguments: argparse.Namespace, source: str, store: Store, watcher: Watcher) -> dict[str, Any]:
    from assistant.tools.quantize import voice  # noqa: PLC0415  as above

    return voice.make(_request(arguments, source, arguments.to or "onnx"), store, watcher)


def _lora(arguments: argparse.Namespace, source: str, store: Store, watcher: Watcher) -> dict[str, Any]:
    from assistant.tools.quantize import lora  # noqa: PLC0415  as above

    if not arguments.base:
        raise SettingsError("An adapter needs the model that it changes.", "Name it: --base MODEL.")
    if arguments.to not in (None, lora.FORMAT):
        raise SettingsError(
            f"An adapter cannot become {arguments.to[:40]!r}, only {lora.FORMAT}.",
            "To work it into the model: `assistant quantize MODEL --adapter FOLDER --to FORMAT`.",
        )
    return lora.make(_request(arguments, source, lora.FORMAT), store, watcher)


def _request(arguments: argparse.Namespace, source: str, number_format: str) -> Request:
    from assistant.tools.quantize.request import Request  # noqa: PLC0415  as above

    return Request(
        source,
        number_format,
        base=arguments.base or "",
        name=arguments.name,
        threads=arguments.threads,
        accept_licence=arguments.accept_licence,
        force=arguments.force,
    )


_MAKERS = {"whisper": _whisper, "voice": _voice, "lora": _lora}
_EXAMPLES = {
    "whisper": "`assistant quantize whisper openai/whisper-tiny --to ct2-int8`",
    "voice": "`assistant quantize voice tts_models/en/ljspeech/vits --to onnx`",
    "lora": "`assistant quantize lora ./my-adapter --base qwen2.5-coder-0.5b-instruct-q4_k_m`",
}


def _result_text(about: dict[str, Any]) -> str:
    """The card, for people."""
    skipped = {"name", "kind", "format", "forced", "path", "bytes", "licence"}
    skipped |= {"answers", "command", "versions"}  # told below, or of no use on a screen
    lines = [f"{about['format']:<18} {megabytes(about['bytes'])}"]
    for key, value in about.items():
        if key not in skipped and value not in ("", None):
            lines.append(f"{key.replace('_', ' ').capitalize():<18} {value}")
    for answer in about.get("answers", ()):
        lines += [f"{'':<18} > {answer['question']}", f"{'':<18} {answer['text'] or '(nothing)'}"]
    lines += [f"{'By force':<18} {doubt}" for doubt in about["forced"]]
    key = "adapter" if "for_model" in about else "model"
    lines += [
        f"{'Licence':<18} {about['licence'] or 'not known: look where the model comes from'}",
        f"{'Installed':<18} {about['path']}",
        f"{'':<18} To use it, write into your settings:  {about['kind']}: {{{key}: {about['name']}}}",
    ]
    return "\n".join(lines)


def compare(arguments: argparse.Namespace, store: Store, terminal: Terminal) -> int:
    """Formats side by side; the exit status is 1 when a format could not be made. Raises AssistantError."""
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

"""``assistant quantize whisper|voice|lora SOURCE``: ears, a voice, or an adapter, made and installed."""

from __future__ import annotations

import argparse
import json
from typing import Any

from assistant.core.errors import SettingsError
from assistant.store import Store
from assistant.store.progress import Watcher, megabytes

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
    from assistant.tools.quantize.request import Request  # noqa: PLC0415

    request = Request(
        source,
        arguments.to or "ct2-int8",
        name=arguments.name,
        threads=arguments.threads,
        accept_licence=arguments.accept_licence,
        force=arguments.force,
    )
    return whisper.make(request, store, watcher)


def _voice(arguments: argparse.Namespace, source: str, store: Store, watcher: Watcher) -> dict[str, Any]:
    from assistant.tools.quantize import voice  # noqa: PLC0415  as above
    from assistant.tools.quantize.request import Request  # noqa: PLC0415

    request = Request(
        source,
        arguments.to or "onnx",
        name=arguments.name,
        threads=arguments.threads,
        accept_licence=arguments.accept_licence,
        force=arguments.force,
    )
    return voice.make(request, store, watcher)


def _lora(arguments: argparse.Namespace, source: str, store: Store, watcher: Watcher) -> dict[str, Any]:
    from assistant.tools.quantize import lora  # noqa: PLC0415  as above
    from assistant.tools.quantize.request import Request  # noqa: PLC0415

    if not arguments.base:
        raise SettingsError("An adapter needs the model that it changes.", "Name it: --base MODEL.")
    if arguments.to not in (None, lora.FORMAT):
        raise SettingsError(
            f"An adapter cannot become {arguments.to[:40]!r}, only {lora.FORMAT}.",
            "To work it into the model: `assistant quantize MODEL --adapter FOLDER --to FORMAT`.",
        )
    request = Request(
        source,
        lora.FORMAT,
        base=arguments.base,
        name=arguments.name,
        threads=arguments.threads,
        accept_licence=arguments.accept_licence,
        force=arguments.force,
    )
    return lora.make(request, store, watcher)


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

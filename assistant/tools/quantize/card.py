"""A model's card: its source, how it was made, and its loss. JSON for programs, Markdown for people.

Every kind of model has a card with the facts that are known about it. A language model's card also has a
picture of size against loss, with its source and the new file.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import platform
import re
import shlex
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from assistant import __version__
from assistant.core.errors import EngineUnavailable
from assistant.store.kinds import CARD
from assistant.store.progress import megabytes
from assistant.tools.quantize import picture

MARKDOWN, PICTURE = "model-card.md", "model-card.svg"
CHECKSUM = re.compile("[0-9a-f]{64}")

PACKAGES = ("llama-cpp-python", "numpy", "onnx", "onnxruntime", "ctranslate2", "faster-whisper")
"""Packages that may affect the figures."""


def stamped(
    facts: Mapping[str, Any], with_what: str, used: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return ``facts`` with the time and the versions of everything used.

    ``with_what`` was also used; ``used`` are versions of packages that are not installed here.
    """
    versions = {"assistant": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    versions |= used or {}
    made_at = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
    made_by = f"assistant {__version__}, {with_what}"
    return {**facts, "made_at": made_at, "made_by": made_by, "versions": versions}


def write(folder: Path, facts: Mapping[str, Any]) -> list[Path]:
    """Write the files and return their paths. ``facts`` are stamped and have the checksums of ``files``.

    Raises OSError.
    """
    texts = {CARD: json.dumps(facts, indent=1, ensure_ascii=False) + "\n"}
    if _is_language_model(facts):
        dots = [
            picture.Dot("source", facts["source_bytes"], 0.0),
            picture.Dot(str(facts["format"]), facts["bytes"], facts["kl"]),
        ]
        with contextlib.suppress(EngineUnavailable):  # Without the drawing package, there is no picture.
            texts[PICTURE] = picture.draw(str(facts["name"]), dots)
    texts[MARKDOWN] = markdown(facts, has_picture=PICTURE in texts)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def markdown(facts: Mapping[str, Any], *, has_picture: bool = True) -> str:
    """Return the card for people."""
    described = rows(facts) | {
        "Made at": facts["made_at"],
        "Made with": ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
        **{f"SHA-256 of {name}": checksum for name, checksum in facts["files"].items()},
    }
    lines = [f"# {plain(facts['name'])}", "", "| | |", "|---|---|"]
    for name, value in described.items():
        lines.append(f"| {name} | {f'`{value}`' if CHECKSUM.fullmatch(str(value)) else plain(value)} |")
    lines += ["", f"![Size against loss]({PICTURE})"] if _is_language_model(facts) and has_picture else []
    lines += ["", "```", str(facts["command"]), "```"]
    lines += [f"\n**Installed by force**: {plain(doubt)}." for doubt in facts["forced"]]
    for answer in facts.get("answers", ()):
        lines += ["", f"> {plain(answer['question'])}", "", plain(answer["text"]) or "(nothing)"]
    return "\n".join(lines) + "\n"


def _is_language_model(facts: Mapping[str, Any]) -> bool:
    """True for a language model; other kinds have no source of the same kind to compare with."""
    return "source_perplexity" in facts


TOLD_ELSEWHERE = {"name", "kind", "path", "command", "files", "forced", "versions", "made_at", "answers"}


def rows(facts: Mapping[str, Any]) -> dict[str, object]:
    """Return the facts shown on the card and by the command, by name; external texts are not escaped."""
    licence = {"Licence": facts["licence"] or "unknown: check the model's source"}
    if not _is_language_model(facts):
        known = {key: value for key, value in facts.items() if key not in TOLD_ELSEWHERE | {"licence"}}
        return licence | {
            key.replace("_", " ").capitalize(): value
            for key, value in known.items()
            if value not in ("", None)
        }
    revision = f", revision {facts['revision']}" if facts["revision"] else ""
    how = f"--method {facts['method']}" + (", with an importance matrix" if facts["imatrix"] else "")
    memory = f", {facts['memory_mb']} MB of memory" if facts["memory_mb"] else ""
    inputs = {"Calibration text": "calibration_sha256", "Adapter": "adapter_sha256"}
    return {
        "Made of": f"{facts['source']}{revision}, {megabytes(facts['source_bytes'])}",
        "Its SHA-256": facts["source_sha256"],
        **{f"{name}, SHA-256": facts[key] for name, key in inputs.items() if facts[key]},
        **licence,
        "Format": f"{facts['format']}, {megabytes(facts['bytes'])}, {how}",
        "Types": ", ".join(f"{count} {name}" for name, count in facts["types"].items()),
        "Perplexity": f"{facts['perplexity']:.2f} (the source: {facts['source_perplexity']:.2f})",
        "Loss": f"{facts['kl']:.4f} ± {facts['kl_error']:.4f} nats per token, {facts['tokens']} tokens",
        "Same first choice": f"{100 * facts['same_first']:.1f} %",
        "Here": f"{facts['tokens_per_s']:g} tokens/s{memory}, in {facts['runtime']}",
    }


def command(*sources: str, options: Mapping[str, str | bool]) -> str:
    """Return the command that makes the model again; options that are False or empty are omitted."""
    words = ["assistant", "quantize", *sources]
    for name, value in options.items():
        if value:
            words += [f"--{name}"] if value is True else [f"--{name}", value]
    return shlex.join(words)


def plain(value: object) -> str:
    """Return external text as one line that cannot be interpreted as Markdown."""
    plain = " ".join(str(value).split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#!" else letter for letter in plain)

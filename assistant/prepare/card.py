"""A model's card: where it comes from, how it was made, what it lost. JSON for programs, Markdown for people.

The picture in it has the source and the new file: size against loss.
"""

from __future__ import annotations

import contextlib
import json
import platform
import shlex
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from assistant import __version__
from assistant.prepare import picture
from assistant.store.progress import megabytes

JSON, MARKDOWN, PICTURE = "model-card.json", "model-card.md", "model-card.svg"

PACKAGES = ("llama-cpp-python", "numpy", "onnx", "onnxruntime")
"""What the figures may depend on."""


def versions() -> dict[str, str]:
    """Of this program and of what it made the model with."""
    found = {"assistant": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the three files. ``facts`` are those of ``making.Result.document``. Raises OSError."""
    (folder / JSON).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / MARKDOWN).write_text(markdown(facts), encoding="utf-8")
    dots = [
        picture.Dot("source", facts["source_bytes"], 0.0),
        picture.Dot(str(facts["format"]), facts["bytes"], facts["kl"]),
    ]
    (folder / PICTURE).write_text(picture.draw(str(facts["name"]), dots), encoding="utf-8")


def markdown(facts: Mapping[str, Any]) -> str:
    """The card for people."""
    how = f"`--method {facts['method']}`" + (", with an importance matrix" if facts["imatrix"] else "")
    rows = {
        "Made of": f"{plain(facts['source'])}, {megabytes(facts['source_bytes'])}",
        "Its SHA-256": f"`{facts['source_sha256']}`",
        "Licence": plain(facts["licence"] or "not known: look where the model comes from"),
        "Format": f"{facts['format']}, {megabytes(facts['bytes'])}, {how}",
        "Types": ", ".join(f"{count} {name}" for name, count in facts["types"].items()),
        "Perplexity": f"{facts['perplexity']:.2f} (the source: {facts['source_perplexity']:.2f})",
        "Loss": f"{facts['kl']:.4f} ± {facts['kl_error']:.4f} nats per token, {facts['tokens']} tokens",
        "Same first choice": f"{100 * facts['same_first']:.1f} %",
        "Made at": facts["made_at"],
        "Made with": ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
        **{f"SHA-256 of {name}": f"`{checksum}`" for name, checksum in facts["files"].items()},
    }
    lines = [f"# {plain(facts['name'])}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    lines += ["", f"![Size against loss]({PICTURE})", "", "```", str(facts["command"]), "```"]
    lines += [f"\n**Installed by force**: {plain(doubt)}." for doubt in facts["forced"]]
    for answer in facts["answers"]:
        lines += ["", f"> {plain(answer['question'])}", "", plain(answer["text"]) or "(nothing)"]
    return "\n".join(lines) + "\n"


def command(source: str, options: Mapping[str, str | bool]) -> str:
    """The command that makes it again; options that are False or empty are left out."""
    words = ["assistant", "quantize", source]
    for name, value in options.items():
        if value:
            words += [f"--{name}"] if value is True else [f"--{name}", value]
    return shlex.join(words)


def plain(value: object) -> str:
    """A text from a file of strangers, or from a model, as one line that cannot be taken for Markdown."""
    plain = " ".join(str(value).split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#!" else letter for letter in plain)

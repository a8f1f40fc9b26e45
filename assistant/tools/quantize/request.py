"""What a user asks ``assistant quantize`` to make, parsed from the command line.

Choices left open are decided by ``making.settled``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assistant.core.errors import SettingsError
from assistant.tools.quantize import card
from assistant.tools.quantize.block_numbers import BLOCK
from assistant.tools.quantize.recipe import (
    FORMATS,
    METHODS,
    Format,
    Recipe,
    find_format,
    find_method,
    group_size,
    tensor_name,
    tensor_number,
)


@dataclass(frozen=True, slots=True)
class Request:
    """A language model, Whisper model, voice, or adapter to make from ``source``."""

    source: str
    """A name in the store, a file, a folder, or a name on the hub that its maker supports."""
    format: str
    """A name in FORMATS for a language model; other makers have their own names."""
    name: str = ""
    """In the store; empty: derived from the source's name and the format."""
    base: str = ""
    """The model that an adapter changes: a name in the store, a GGUF file, or a checkpoint folder."""
    imatrix: bool | None = None
    """None leaves it open."""
    method: str = ""
    """A name in METHODS; empty leaves it open."""
    act_order: bool | None = None
    """GPTQ: process the most important columns first, which is the default."""
    group_size: int = BLOCK
    """Weights per scale, for formats that allow a choice."""
    calibration: Path | None = None
    """Text that shows which weights matter; None: the included one."""
    validation: Path | None = None
    """Text for measuring the loss; None: the included one."""
    adapter: Path | None = None
    """A folder with a LoRA adapter, which is merged into the model first."""
    keep_f16: str = ""
    output_type: int | None = None
    embedding_type: int | None = None
    through: str = ""
    """An hf-... format that is written first and converted from."""
    threads: int = 1
    output: Path | None = None
    """For formats that the assistant doesn't run: the folder to make, instead of a model in the store."""
    accept_licence: bool = False
    """Accept the license conditions, if any, of the source and of the base."""
    force: bool = False
    """Install a model even if it is measurably too bad. Broken models are still refused."""

    @property
    def number_format(self) -> Format:
        """The format of a language model."""
        return FORMATS[self.format]

    @property
    def command(self) -> str:
        """Return the command that makes the language model again."""
        options: dict[str, str | bool] = {
            "to": self.format,
            "method": self.method,
            "imatrix" if self.imatrix else "no-imatrix": True,
            "no-act-order": self.act_order is False,
            "group-size": str(self.group_size) if self.group_size != BLOCK else "",
            "calibration": str(self.calibration or ""),
            "validation": str(self.validation or ""),
            "adapter": str(self.adapter or ""),
            "keep-f16": self.keep_f16,
            "output-type": tensor_name(self.output_type),
            "embedding-type": tensor_name(self.embedding_type),
            "as": self.name,
            "output": str(self.output or ""),
            "force": self.force,
        }
        return card.command(self.source, options=options)

    @property
    def recipe(self) -> Recipe:
        """Return how the file is made."""
        return Recipe(
            self.number_format,
            self.method,
            bool(self.imatrix),
            self.act_order is not False,
            self.group_size,
            self.keep_f16,
            self.output_type,
            self.embedding_type,
            self.through,
        )


CHECKPOINTS = ("hf-f16", "hf-int4")
"""Formats that llama.cpp's converter reads, so that a model can be made by way of them."""


def request_of(arguments: argparse.Namespace, source: str, chosen: str, method: str | None) -> Request:
    """Return a request for one format; ``method`` None leaves it open. Raises SettingsError."""
    into = find_format(chosen)
    how = find_method(method, into).name if method else ""
    output, embedding = arguments.output_type, arguments.embedding_type
    return Request(
        source=source,
        format=into.name,
        name=arguments.name,
        imatrix=arguments.imatrix,
        method=how,
        act_order=arguments.act_order,
        group_size=group_size(arguments.group_size, how, into),
        calibration=arguments.calibration,
        validation=arguments.validation,
        adapter=arguments.adapter,
        keep_f16=_either(arguments.keep_f16 or []),
        output_type=tensor_number(output) if output else None,
        embedding_type=tensor_number(embedding) if embedding else None,
        threads=arguments.threads,
        output=arguments.output,
        accept_licence=arguments.accept_licence,
        force=arguments.force,
    )


def compared_request(arguments: argparse.Namespace, source: str, name: str) -> Request:
    """Return one of the formats to compare, with its options appended: "q4_0", "q4_0+plain",
    "onnx-int4+gptq".

    "+keep=REGEX", "+output=TYPE", and "+embedding=TYPE" set for this format what the options of these names
    set for all; "f16+hf-int4" is converted from a checkpoint that is written first. Raises SettingsError.
    """
    chosen, *ways = name.split("+")
    method = arguments.method
    changes: dict[str, Any] = {}
    for way in ways:
        key, _, value = way.partition("=")
        if way in ("imatrix", "plain"):
            changes["imatrix"] = way == "imatrix"
        elif way in METHODS:
            method = way
        elif way in CHECKPOINTS:
            changes["through"] = way
        elif key == "keep" and value:
            changes["keep_f16"] = value
        elif key in ("output", "embedding") and value:
            changes[f"{key}_type"] = tensor_number(value)
        else:
            known = (*("imatrix", "plain"), *METHODS, *CHECKPOINTS)
            raise SettingsError(
                f"'+{way[:40]}' is not supported.",
                f"Available: {', '.join(f'+{one}' for one in known)}, "
                "+keep=REGEX, +output=TYPE and +embedding=TYPE.",
            )
    if "through" in changes and (len(ways) > 1 or chosen.startswith(("onnx-", "hf-"))):
        raise SettingsError(
            f"A checkpoint can only be converted to a GGUF format, not to '{name[:40]}'.",
            "For example: f16+hf-int4.",
        )
    return replace(request_of(arguments, source, chosen, method), **changes)


def _either(patterns: list[str]) -> str:
    """Return one regular expression that matches what any of ``patterns`` matches."""
    return patterns[0] if len(patterns) == 1 else "|".join(f"(?:{pattern})" for pattern in patterns)

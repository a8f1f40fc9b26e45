"""What a person asks ``assistant quantize`` to make, and how the words of the command line say it.

What a request leaves open is decided by ``making.settled``.
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
    """A language model, a Whisper model, a voice or an adapter to be made of ``source``."""

    source: str
    """A name of the store, a file, a folder, or a name of the hub that its maker knows."""
    format: str
    """A name of FORMATS for a language model; the other makers have names of their own."""
    name: str = ""
    """In the store; empty makes one of the source's name and the format's."""
    base: str = ""
    """The model that an adapter is to change: a name of the store, a GGUF file, a checkpoint's folder."""
    imatrix: bool | None = None
    """None leaves it open."""
    method: str = ""
    """A name of METHODS; empty leaves it open."""
    act_order: bool | None = None
    """GPTQ: the columns first that matter most, which is the default."""
    group_size: int = BLOCK
    """Weights with one scale, for formats that leave it open."""
    calibration: Path | None = None
    """Text that shows which weights matter; None is the one that ships."""
    validation: Path | None = None
    """Text on which the loss is measured; None is the one that ships."""
    adapter: Path | None = None
    """A folder with a LoRA adapter, which becomes part of the model first."""
    keep_f16: str = ""
    output_type: int | None = None
    embedding_type: int | None = None
    through: str = ""
    """A format hf-... that is written first, and converted from."""
    threads: int = 1
    output: Path | None = None
    """For formats that nothing here runs: the folder that is made, instead of a model in the store."""
    accept_licence: bool = False
    """To the conditions of the licence of the source, and of the base, where they have any."""
    force: bool = False
    """Install what is measurably worse than it should be. What is broken is refused all the same."""

    @property
    def number_format(self) -> Format:
        """The format of a language model."""
        return FORMATS[self.format]

    @property
    def command(self) -> str:
        """What makes the language model again."""
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
        """How the file is made."""
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
"""Formats that llama.cpp's converter reads, so that a model may come by way of them."""


def request_of(arguments: argparse.Namespace, source: str, chosen: str, method: str | None) -> Request:
    """One format; ``method`` None leaves that to the format and the model. Raises SettingsError."""
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
    """One of the formats to compare, with its ways behind it: "q4_0", "q4_0+plain", "onnx-int4+gptq".

    "+keep=REGEX", "+output=TYPE" and "+embedding=TYPE" are for this one what the options of these names are
    for all; "f16+hf-int4" is converted from a checkpoint that is written first. Raises SettingsError.
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
    """One regular expression that finds what any of them finds."""
    return patterns[0] if len(patterns) == 1 else "|".join(f"(?:{pattern})" for pattern in patterns)

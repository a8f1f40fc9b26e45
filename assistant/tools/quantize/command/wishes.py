"""What a person asked ``assistant quantize`` for, from the words of the command line."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from assistant.core.errors import SettingsError
from assistant.tools.quantize.recipe import METHODS, find_format, find_method, group_size, tensor_number
from assistant.tools.quantize.wish import Wish

CHECKPOINTS = ("hf-f16", "hf-int4")
"""Formats that llama.cpp's converter reads, so that a model may come by way of them."""


def of(arguments: argparse.Namespace, source: str, chosen: str, method: str | None) -> Wish:
    """One format; ``method`` None leaves that to the format and the model. Raises SettingsError."""
    into = find_format(chosen)
    how = find_method(method, into).name if method else ""
    output, embedding = arguments.output_type, arguments.embedding_type
    return Wish(
        source=source,
        format=into,
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


def compared(arguments: argparse.Namespace, source: str, name: str) -> Wish:
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
                f"'+{way[:40]}' means nothing.",
                f"There are {', '.join(f'+{one}' for one in known)}, +keep=REGEX, +output=TYPE and "
                "+embedding=TYPE.",
            )
    if "through" in changes and (len(ways) > 1 or chosen.startswith(("onnx-", "hf-"))):
        raise SettingsError(
            f"A checkpoint is converted to a GGUF format and nothing else: '{name[:40]}' cannot be.",
            "Write it like f16+hf-int4.",
        )
    return replace(of(arguments, source, chosen, method), **changes)


def _either(patterns: list[str]) -> str:
    """One regular expression that finds what any of them finds."""
    return patterns[0] if len(patterns) == 1 else "|".join(f"(?:{pattern})" for pattern in patterns)

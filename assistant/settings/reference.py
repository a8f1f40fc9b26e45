"""The settings as a text for users: every key with its meaning, default and allowed values.

This module generates ``config/assistant.yaml`` and ``config/assistant.schema.json``; a test compares them. It
also formats values as YAML for ``assistant config show``.
"""

from __future__ import annotations

import json
import math
import textwrap
from typing import Any

import yaml

from assistant.settings.keys import Key, keys, whole

WIDTH = 100

REFERENCE = """\
# All settings of the assistant, with their defaults.
#
# This file is for reading only; don't change it. Put your own settings in
# ~/.config/assistant/assistant.yaml, or in /etc/assistant/assistant.yaml for the system service, and
# include only what you change. That way, you get improved defaults from new versions, and your
# board's profile (config/devices/). To begin, run
#
#     assistant config show --template > ~/.config/assistant/assistant.yaml
#
# `assistant config check` finds mistakes. `assistant config show` shows the current settings and where
# each comes from. You can also set any key in the environment: ASSISTANT__LLM__TEMPERATURE=0.7
"""

OWN = """\
# Settings of the assistant. Every key is commented out and has its default. To change a key, remove its
# '#', then restart. Relative paths start at this file's folder.
#
# `assistant config check` finds mistakes. `assistant config show` shows the current settings.
"""


def reference() -> str:
    """Return the text of config/assistant.yaml: every key with its default, as YAML."""
    return _document("./assistant.schema.json", REFERENCE, "")


def own(schema: str) -> str:
    """Return a settings file to start from: every key, commented out. ``schema`` is the path of the
    schema.
    """
    return _document(schema, OWN, "#")


def json_schema() -> str:
    """Return the text of config/assistant.schema.json, which editors use to complete and check keys."""
    schema = whole().model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for name, field in section["properties"].items():
            field.pop("title", None)  # only repeats the name
            if "$ref" in field:  # a section may be empty; its keys have their own defaults
                section["properties"][name] = {"anyOf": [{"$ref": field["$ref"]}, {"type": "null"}]}
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


def in_yaml(value: Any) -> str:
    """Format a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).removesuffix("...\n").strip()


def _document(schema: str, introduction: str, mark: str) -> str:
    """Write every section and key, with ``mark`` before each key that has a value."""
    lines = [f"# yaml-language-server: $schema={schema}", "#", *introduction.splitlines()]
    after_heading = False
    for key in keys().values():
        if not after_heading:
            lines.append("")
        lines += _explained(key)
        indent = "  " * (len(key.path) - 1)
        value = f"{in_yaml(key.default)}  # {key.wants}"
        lines.append(
            f"{indent}{key.path[-1]}:" if key.is_section else f"{indent}{mark}{key.path[-1]}: {value}"
        )
        after_heading = key.is_section
    return "\n".join(lines) + "\n"


def _explained(key: Key) -> list[str]:
    prefix = "  " * (len(key.path) - 1) + "# "
    return textwrap.wrap(key.about, WIDTH, initial_indent=prefix, subsequent_indent=prefix)

"""The settings as a text for people: every key with its meaning, its default and what it may be.

``config/assistant.yaml`` and ``config/assistant.schema.json`` are what this module says; a test
holds them to it. How a value is written in YAML is here too, for ``assistant config show``.
"""

from __future__ import annotations

import json
import math
import textwrap
from typing import Any

import yaml

from assistant.settings.keys import Key, keys
from assistant.settings.schema import Settings

WIDTH = 100

REFERENCE = """\
# Every setting of the assistant, with its default.
#
# This file is for reading: change nothing here. Your own settings go into
# ~/.config/assistant/assistant.yaml, or /etc/assistant/assistant.yaml for the system service, and
# hold only what you change; so a new version's better defaults and your board's profile
# (config/devices/) reach you. Begin with
#
#     assistant config show --template > ~/.config/assistant/assistant.yaml
#
# `assistant config check` says whether all is well, `assistant config show` what is in force and
# where it comes from. Any key can also be set in the environment: ASSISTANT__LLM__TEMPERATURE=0.7
"""

OWN = """\
# Settings of the assistant. What is behind a '#' is the default and may stay there: remove the '#'
# of a key that you change, and restart. A relative path starts at this file's folder.
#
# `assistant config check` says whether all is well, `assistant config show` what is in force.
"""


def reference() -> str:
    """The text of config/assistant.yaml: every key with its default, as YAML."""
    return _document("./assistant.schema.json", REFERENCE, "")


def own(schema: str) -> str:
    """A person's file to begin with: every key, none of them set. ``schema`` is where the schema lies."""
    return _document(schema, OWN, "#")


def json_schema() -> str:
    """The text of config/assistant.schema.json, by which editors complete and check keys."""
    schema = Settings.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for name, field in section["properties"].items():
            field.pop("title", None)  # only the name again
            if "$ref" in field:  # a section may stay empty; its defaults stand with its own keys
                section["properties"][name] = {"anyOf": [{"$ref": field["$ref"]}, {"type": "null"}]}
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


def in_yaml(value: Any) -> str:
    """A value as it may stand behind a key, on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).removesuffix("...\n").strip()


def _document(schema: str, introduction: str, mark: str) -> str:
    """``mark`` stands before every key that has a value."""
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

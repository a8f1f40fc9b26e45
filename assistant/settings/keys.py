"""The settings keys as data: path, description, default and allowed values.

Read from ``schema``, independent of files. The texts are for users: the reference file and every message
about a wrong value use the same words.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from assistant.runtime import extensions
from assistant.runtime.engine_spec import EngineSpec
from assistant.settings.extending import with_sections
from assistant.settings.schema import Settings

Schema: TypeAlias = Mapping[str, Any]
"""One node of a JSON Schema."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key, or a section of keys."""

    path: tuple[str, ...]
    about: str
    """Its docstring; empty if it has none."""
    default: Any
    """The default as JSON; for a section, the defaults of its keys."""
    schema: Schema
    is_at_start: bool = False
    """A change takes effect at the next start only."""

    @property
    def is_section(self) -> bool:
        return "properties" in self.schema

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def wants(self) -> str:
        """Describe the allowed values: "a number from 0 to 1 or null"."""
        return _wants(self.schema)

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words; empty unless it is a choice among words."""
        return _choices(self.schema)


def whole() -> type[Settings]:
    """The settings with the sections of other packages: of their engines, services and sound backends."""
    engines = extensions.found("engines", EngineSpec).values()
    added: list[tuple[str, str, Any, bool]]
    added = [(each.kind, each.name, each.settings, False) for each in engines]
    for group in ("services", "audio"):
        others = extensions.found(group, object).items()
        added += [(group, name, getattr(each, "settings", None), True) for name, each in others]
    return _whole(tuple(each for each in added if each[2]))


@functools.cache
def _whole(added: tuple[tuple[str, str, Any, bool], ...]) -> type[Settings]:
    return with_sections(Settings, added)


@functools.cache
def keys() -> Mapping[tuple[str, ...], Key]:
    """Every section and key by its path, in schema order."""
    return _keys_of(whole().model_json_schema())[0]


@functools.cache
def item_keys() -> Mapping[tuple[str, ...], Key]:
    """Keys of sections that are list items, by the list's path and their own name."""
    return _keys_of(whole().model_json_schema())[1]


def _keys_of(schema: Schema) -> tuple[dict[tuple[str, ...], Key], dict[tuple[str, ...], Key]]:
    found: dict[tuple[str, ...], Key] = {}
    in_items: dict[tuple[str, ...], Key] = {}

    def resolved(node: Schema) -> Schema:
        target: Schema = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        return target

    def visit(node: Schema, above: Key | None, into: dict[tuple[str, ...], Key]) -> None:
        path, at_start = (above.path, above.is_at_start) if above else ((), False)
        for name, field in node["properties"].items():
            target = resolved(field)
            about = field.get("description") or target.get("description", "")
            at_start_too = at_start or field.get("x-at-start", False)
            key = Key((*path, name), about, field.get("default"), target, at_start_too)
            into[key.path] = key
            if key.is_section:
                visit(target, key, into)
            for item in map(resolved, target.get("items", {}).get("anyOf", ())):
                if "properties" in item:
                    visit(item, key, in_items)

    visit(schema, None, found)
    return found, in_items


def below(section: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the keys directly in a section, or in a list's sections; () is the top."""
    return tuple(path[-1] for path in (*keys(), *item_keys()) if path[:-1] == section)


def one_of(words: Iterable[str]) -> str:
    """Join in English: "a", "a or b", "a, b or c"."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


_PLAIN = {
    "boolean": "true or false",
    "null": "null",
    "path": "a path",
    "object": "a section with keys below it",
}


def _wants(schema: Schema) -> str:
    if "anyOf" in schema:
        return one_of(_wants(option) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return one_of(f"'{word}'" for word in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "object" if "$ref" in schema else "")
    if kind in {"integer", "number"}:
        return ("a number" if kind == "number" else "a whole number") + _bounds(schema)
    if kind == "array":
        return f"a list, each item {_wants(schema['items'])}"
    if schema.get("minLength"):
        return "text that is not empty"
    return _PLAIN.get(schema.get("format", kind), "text")


def _choices(schema: Schema) -> tuple[str, ...]:
    if "anyOf" in schema:
        return tuple(word for option in schema["anyOf"] for word in _choices(option))
    return tuple(schema.get("enum", ())) or tuple(filter(None, [schema.get("const")]))


def _bounds(schema: Schema) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return "".join(f" {word} {schema[bound]:.10g}" for bound, word in words.items() if bound in schema)


def nearest(word: str, among: Iterable[str]) -> tuple[str, ...]:
    """Return the words that ``word`` may be a typo of; several if they are equally close.

    A typo differs in one letter, or in up to a third of them, or is only the beginning of the word.
    """
    word = word[:64].casefold().replace("-", "_")
    distances = {candidate: _edits(word, candidate.casefold().replace("-", "_")) for candidate in among}
    least = min(distances.values(), default=0)
    if least <= max(1, len(word) // 3):
        return tuple(candidate for candidate, distance in distances.items() if distance == least)
    return tuple(candidate for candidate in distances if len(word) > 2 and candidate.startswith(word))


def _edits(one: str, other: str) -> int:
    """Count the letters to insert, delete, replace or swap to get from one to the other."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            least = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and wanted == one[i - 2]:
                least = min(least, rows[-2][j - 2] + 1)
            row.append(least)
        rows.append(row)
    return rows[-1][-1]

"""YAML text to plain values, each with its line number.

A strict subset of YAML for settings files: text, numbers, true, false, null, lists and mappings. `on`, `off`,
`yes` and `no` stay text, each key may appear only once, and aliases and tags, which can blow up memory or
construct objects, are rejected. This module does not know which keys are valid. Mistakes don't raise: they
are collected, so all of them can be reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

Value: TypeAlias = str | int | float | bool | list["Value"] | dict[str, "Value"] | None

KeyPath: TypeAlias = tuple[str | int, ...]
"""Path of keys and list indexes that leads to a value."""

MAX_CHARACTERS = 256 * 1024
"""Every key with its comment is under 20,000; PyYAML takes seconds for a megabyte on a small board."""

MAX_DEPTH = 20
"""Settings nest four levels deep; Python's recursion limit is 1000."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in the text."""

    line: int
    """Counted from 1."""
    problem: str


@dataclass(slots=True)
class Marked:
    """The parsed value, its line numbers, and its mistakes."""

    value: Value = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    """Line of every key and list item, counted from 1."""
    faults: list[Fault] = field(default_factory=list)


def read(text: str) -> Marked:
    """Parse one YAML document. Never raises; if there are mistakes, ``value`` is what could be parsed."""
    marked = Marked()
    if len(text) > MAX_CHARACTERS:
        marked.faults.append(
            Fault(1, f"longer than {MAX_CHARACTERS // 1024} KiB, which is too long for a settings file")
        )
        return marked
    marked.faults += _left_behind(text)
    if marked.faults:
        return marked
    try:
        marked.value = _document(yaml.parse(text, Loader=yaml.SafeLoader), marked)
    except _Unreadable as error:
        marked.faults.append(error.fault)
    except yaml.MarkedYAMLError as error:
        marked.faults.append(_in_plain_english(error))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code_point = ord(text[error.position])
        marked.faults.append(Fault(line, f"the invisible character U+{code_point:04X} is not allowed"))
    except (ValueError, OverflowError):  # from PyYAML for "\UFFFFFFFF" and for %YAML 1.<huge number>
        marked.faults.append(Fault(1, "not YAML: it names a character or version that does not exist"))
    return marked


_MERGE_MARK = re.compile(r"(?:<{7}|>{7}|={7}|\|{7})(?: |$)")


def _left_behind(text: str) -> list[Fault]:
    """What editors and merges leave in a file, which YAML would complain about in another place."""
    faults, before = [], ""
    for number, line in enumerate(text.splitlines(), 1):
        indent = line[: len(line) - len(line.lstrip())]
        odd = next((char for char in indent if char not in " \t\ufeff\x0c"), "")
        dash = re.match(r"( *)-(?=[^\s-])", line)
        if _MERGE_MARK.match(line):
            faults.append(Fault(number, "a merge left its marks here; remove them and what you don't want"))
        elif odd:
            problem = f"an invisible blank (U+{ord(odd):04X}) is used for indentation; use spaces"
            faults.append(Fault(number, problem))
        elif dash and before.startswith(f"{dash[1]}- "):
            faults.append(Fault(number, "a space is missing after the '-'"))
        before = line if line.strip() else before
    return faults


class _Unreadable(Exception):
    """Parsing can't continue."""

    def __init__(self, event: yaml.Event, problem: str) -> None:
        super().__init__(problem)
        self.fault = Fault(_line(event), problem)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _document(events: Iterator[yaml.Event], marked: Marked) -> Value:
    value: Value = None
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            value = _value(next(events), events, (), marked)
            break
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            raise _Unreadable(event, "a second document begins here; remove the '---'")
    return value


def _value(event: yaml.Event, events: Iterator[yaml.Event], path: KeyPath, marked: Marked) -> Value:
    if isinstance(event, yaml.AliasEvent):
        raise _Unreadable(event, f"'*{event.anchor}' needs quotes (aliases aren't supported in settings)")
    if not isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
        raise _Unreadable(event, "a value is missing")
    if event.tag not in {None, "tag:yaml.org,2002:str"}:
        raise _Unreadable(event, "text that starts with '!' needs quotes (tags aren't supported in settings)")
    if len(path) > MAX_DEPTH:
        raise _Unreadable(event, f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event, marked)
    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(events, path, marked)
    return _list(events, path, marked)


def _mapping(events: Iterator[yaml.Event], path: KeyPath, marked: Marked) -> Value:
    mapping: dict[str, Value] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        if not isinstance(event, yaml.ScalarEvent):
            raise _Unreadable(event, "a key must be a plain word")
        key = _text(event, marked)
        here = (*path, key)
        if key in mapping:
            problem = f"'{key}' is set here and on line {marked.lines[here]}; keep only one"
            marked.faults.append(Fault(_line(event), problem))
        marked.lines.setdefault(here, _line(event))
        mapping[key] = _value(next(events), events, here, marked)
    return mapping


def _list(events: Iterator[yaml.Event], path: KeyPath, marked: Marked) -> Value:
    items: list[Value] = []
    for event in events:
        if isinstance(event, yaml.SequenceEndEvent):
            break
        here = (*path, len(items))
        marked.lines[here] = _line(event)
        items.append(_value(event, events, here, marked))
    return items


def _text(event: yaml.ScalarEvent, marked: Marked) -> str:
    text = str(event.value)
    if re.search("[\0\ud800-\udfff]", text):  # neither file names nor JSON can contain these
        marked.faults.append(Fault(_line(event), "\\0 and \\ud800 to \\udfff are not valid characters"))
        return ""
    return text


_INTEGER = re.compile(r"[-+]?[0-9](_?[0-9]){0,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]{1,4})?")
_WORDS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def _scalar(event: yaml.ScalarEvent, marked: Marked) -> Value:
    """Parse a plain value by YAML 1.2; 1.1 would also read `no` as false and `1:30` as ninety."""
    text = _text(event, marked)
    if event.tag is not None or not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


_PLAIN_ENGLISH = (
    ("found character '\\t'", "a tab is used for indentation; use spaces"),
    ("that cannot start any token", "text that starts with one of @ ` % needs quotes"),
    ("mapping values are not allowed", "an unexpected ':': the indentation is wrong, or text needs quotes"),
    ("could not find expected ':'", "a ':' is missing after a key"),
    ("expected <block end>", "the indentation doesn't match the lines around it"),
    ("expected the node content", "a value is missing before this"),
    ("expected ',' or", "a bracket isn't closed, or a ',' is missing"),
    ("unexpected end of stream", "a quotation mark isn't closed"),
    ("expected escape sequence of", "inside double quotes, write a backslash as \\\\, or use single quotes"),
    ("unknown escape character", "inside double quotes, write a backslash as \\\\, or use single quotes"),
)
"""Part of PyYAML's message, and its meaning in plain English."""


def _in_plain_english(error: yaml.MarkedYAMLError) -> Fault:
    problem = str(error.problem)
    meaning = next((meaning for part, meaning in _PLAIN_ENGLISH if part in problem), f"not YAML: {problem}")
    begins_at_context = "isn't closed" in meaning  # the opening position helps more than the end of the file
    mark = error.context_mark if begins_at_context else error.problem_mark
    return Fault(mark.line + 1 if mark else 1, meaning)

"""Files of sentences: which words call which skill.

::

    language: en
    sounds_like: {for: [four, "4"]}     words that a recognizer confuses
    before: ["hey", "could you"]        politeness around a command, ignored
    after: ["please"]
    rules: {the: "(the|my|our)"}        named pieces; each may use those above it
    intents:
      set_timer:                        the name of the skill's function
        - "set a timer for {duration}"  its slots are the function's parameters
    facts:
      leap_year:                        questions with one answer, and its source
        ask: ["how many days has a leap year"]
        say: "A leap year has 366 days."
        source: "the Gregorian calendar"

Several files work as one: rules and sounds of earlier files apply to later ones, and if two sentences fit,
the later file's wins, so an owner's file comes last. Every mistake is reported with its file and line.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.core.errors import SkillInvalid
from assistant.runtime import yaml as yaml_marks
from assistant.text import template
from assistant.text.pattern import NONE, Node, OneOf, Read

_KEYS = ("language", "sounds_like", "before", "after", "rules", "intents", "facts")
_FACT_KEYS = {"ask", "say", "source"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One way to call a skill."""

    skill: str
    node: Node
    free: frozenset[str]
    """Slots of the sentence that take any text."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer written next to its questions."""

    say: str
    source: str
    """The source's name, for when someone asks."""


@dataclass(frozen=True, slots=True)
class Intents:
    """The content of all files; of several sentences that fit, the first one counts."""

    sentences: tuple[Sentence, ...]
    facts: Mapping[str, Told]
    """By the name that their sentences call."""
    before: Node
    after: Node


@dataclass(frozen=True, slots=True)
class Slots:
    """Required and optional slots of one skill's sentences."""

    readers: Mapping[str, Read]
    free: frozenset[str]
    """Slots for any text, which take as few words as possible."""
    required: frozenset[str]


def read(files: Sequence[Path], skills: Collection[str], slots_of: Callable[[str], Slots]) -> Intents:
    """Read the files; ``slots_of`` is called for each of these ``skills`` that has a sentence.

    Raises SkillInvalid with the first mistake.
    """
    reader = _Reader(skills, slots_of)
    for file in files:
        reader.read(_File(file))
    return reader.intents()


class _File:
    """One file's values, with the line of each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SkillInvalid(
                f"The sentences in {path} cannot be read: {error}.", "Check the file, or remove it."
            ) from error
        self._marked = yaml_marks.read(text)
        if self._marked.faults:
            fault = self._marked.faults[0]
            raise self._wrong(fault.line, fault.problem)
        self._value = self._marked.value
        if not isinstance(self._value, dict):
            raise self._wrong(1, "the file is not a mapping with 'intents'")
        for key in self._value:
            if key not in _KEYS:
                raise self._wrong(self._marked.lines[(key,)], f"there is no key '{key}'{_near(key, _KEYS)}")

    def one_each(self, section: str) -> Iterator[tuple[int, str, str]]:
        """Line, name and text of a section that maps names to text."""
        for name, value in self._mapping(section).items():
            line = self._marked.lines[(section, name)]
            if not isinstance(value, str):
                raise self._wrong(line, f"'{name}' needs one text")
            yield line, name, value

    def many_each(self, section: str) -> Iterator[tuple[int, str, str]]:
        """Line, name and text of a section that maps names to lists of texts."""
        for name, values in self._mapping(section).items():
            if not isinstance(values, list):
                raise self._wrong(self._marked.lines[(section, name)], f"'{name}' needs a list")
            for position, value in enumerate(values):
                yield self._marked.lines[(section, name, position)], name, str(value)

    def facts(self) -> Iterator[tuple[int, str, list[str], Told]]:
        """Line, name, questions and answer of each fact."""
        for name, value in self._mapping("facts").items():
            line = self._marked.lines[("facts", name)]
            if not isinstance(value, dict) or set(value) != _FACT_KEYS or not isinstance(value["ask"], list):
                raise self._wrong(line, f"'{name}' needs a list 'ask', and the texts 'say' and 'source'")
            yield (
                line,
                name,
                [str(ask) for ask in value["ask"]],
                Told(str(value["say"]), str(value["source"])),
            )

    def many(self, section: str) -> Iterator[tuple[int, str]]:
        """Line and text of a section that is a list of texts."""
        assert isinstance(self._value, dict)  # noqa: S101 - checked when it was read
        values = self._value.get(section) or []
        if not isinstance(values, list):
            raise self._wrong(self._marked.lines[(section,)], f"'{section}' needs a list")
        for position, value in enumerate(values):
            yield self._marked.lines[(section, position)], str(value)

    def _mapping(self, section: str) -> dict[str, yaml_marks.Value]:
        assert isinstance(self._value, dict)  # noqa: S101 - checked when it was read
        value = self._value.get(section) or {}
        if not isinstance(value, dict):
            raise self._wrong(self._marked.lines[(section,)], f"'{section}' needs names with values")
        return value

    def _wrong(self, line: int, problem: str) -> SkillInvalid:
        return SkillInvalid(f"{self.path}, line {line}: {problem}.", "Correct that line.")

    def wrong(self, line: int, error: Exception) -> SkillInvalid:
        return self._wrong(line, str(error))


class _Reader:
    """Collects the content of the files."""

    def __init__(self, skills: Collection[str], slots_of: Callable[[str], Slots]) -> None:
        self._skills = skills
        self._slots_of = slots_of
        self._sounds_like: dict[str, frozenset[str]] = {}
        self._rules: dict[str, Node] = {}
        self._before: list[Node] = []
        self._after: list[Node] = []
        self._by_file: list[list[Sentence]] = []
        self._facts: dict[str, Told] = {}

    def read(self, file: _File) -> None:
        for _, word, other in file.many_each("sounds_like"):
            self._sounds_like[word] = self._sounds_like.get(word, frozenset()) | {other.lower()}
        for line, name, text in file.one_each("rules"):
            self._rules[name] = self._node(file, line, text, _NO_SLOTS)
        self._before += [self._node(file, line, text, _NO_SLOTS) for line, text in file.many("before")]
        self._after += [self._node(file, line, text, _NO_SLOTS) for line, text in file.many("after")]
        sentences = [self._sentence(file, *entry) for entry in file.many_each("intents")]
        for line, name, questions, told in file.facts():
            if name in self._skills or name in self._facts:
                raise file.wrong(line, ValueError(f"the name '{name}' is already used"))
            self._facts[name] = told
            sentences += [Sentence(name, self._question(file, line, each), frozenset()) for each in questions]
        self._by_file.insert(0, sentences)

    def intents(self) -> Intents:
        sentences = tuple(sentence for of_file in self._by_file for sentence in of_file)
        return Intents(sentences, self._facts, OneOf(tuple(self._before)), OneOf(tuple(self._after)))

    def _question(self, file: _File, line: int, text: str) -> Node:
        node = self._node(file, line, text, _NO_SLOTS)
        if NONE in node.first():
            raise file.wrong(line, ValueError("this would match silence; make at least one word required"))
        return node

    def _sentence(self, file: _File, line: int, skill: str, text: str) -> Sentence:
        if skill not in self._skills:
            raise file.wrong(
                line, ValueError(f"there is no skill named '{skill}'{_near(skill, self._skills)}")
            )
        slots = self._slots_of(skill)
        node = self._node(file, line, text, slots)
        if missing := slots.required - node.fills():
            needed = " and ".join(f"{{{name}}}" for name in sorted(missing))
            raise file.wrong(line, ValueError(f"every sentence of '{skill}' needs {needed}"))
        if NONE in node.first():
            raise file.wrong(line, ValueError("this would match silence; make at least one word required"))
        return Sentence(skill, node, slots.free)

    def _node(self, file: _File, line: int, text: str, slots: Slots) -> Node:
        try:
            return template.parse(
                text,
                slots=slots.readers,
                rules=self._rules,
                sounds_like=self._sounds_like,
                free=slots.free,
            )
        except template.TemplateError as error:
            raise file.wrong(line, error) from error


_NO_SLOTS = Slots({}, frozenset(), frozenset())


def _near(name: str, known: Collection[str]) -> str:
    """Suggest the name that was probably meant."""
    near = difflib.get_close_matches(name, known, 1)
    return f" (did you mean '{near[0]}'?)" if near else ""

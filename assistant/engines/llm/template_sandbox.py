"""A sandbox for chat templates in which no template takes long or much memory, whatever it says.

Jinja's own sandbox keeps a template from files and from Python, but not from time and memory. Here its steps
are counted while it runs, what it writes and what it joins is measured before it is made, and only the
filters, methods and operators that chat templates need exist. Knows nothing of chats.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from jinja2 import BaseLoader, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

T = TypeVar("T")

MOST_STEPS = 300_000
"""Lines of compiled template; a conversation of a hundred turns takes a tenth."""
MOST_LETTERS = 2_000_000
"""Of any text that a template makes, and of all that it writes; prompts have 100,000 at most."""
_LETTERS_AN_ITEM = 200
"""A list item counts as this many letters."""
_MOST_CPU_S = 2.0
"""A step may work on a long text; slow boards take a tenth for a long chat."""
_MOST_SOURCE = 200_000
_MOST_DIGITS = 2**64
_MOST_ROUNDS = 10_000

_FILTERS = frozenset(
    (
        "abs",
        "capitalize",
        "count",
        "d",
        "default",
        "dictsort",
        "e",
        "escape",
        "first",
        "float",
        "int",
        "items",
        "join",
        "last",
        "length",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "replace",
        "reverse",
        "round",
        "safe",
        "select",
        "selectattr",
        "sort",
        "string",
        "strip",
        "sum",
        "title",
        "tojson",
        "trim",
        "unique",
        "upper",
        "indent",
    )
)
_METHODS = {
    str: frozenset(
        (
            "capitalize",
            "count",
            "endswith",
            "find",
            "index",
            "isalnum",
            "isalpha",
            "isdigit",
            "islower",
            "isspace",
            "isupper",
            "join",
            "lower",
            "lstrip",
            "removeprefix",
            "removesuffix",
            "replace",
            "rfind",
            "rsplit",
            "rstrip",
            "split",
            "splitlines",
            "startswith",
            "strip",
            "title",
            "upper",
        )
    ),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
}


class TooMuch(SecurityError):
    """The template wants more than any chat needs."""


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """The dialect of Jinja that Transformers has for chat templates, with limits."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            loader=BaseLoader(),
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_WholeReplies, loopcontrols],
            finalize=self._written,
        )
        self._left = MOST_LETTERS
        self.filters = {
            **{name: each for name, each in self.filters.items() if name in _FILTERS},
            "tojson": _to_json,
            "replace": _replaced,
            "join": _joined,
            "indent": _indented,
        }
        self.globals = {name: each for name, each in self.globals.items() if name in {"dict", "namespace"}}
        self.globals["range"] = _range
        self.globals[_CONCAT] = _concatenated

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > _MOST_SOURCE:
            raise TooMuch("it is too long")
        tree = super()._parse(source, name, filename)
        for parent in [tree, *tree.find_all(nodes.Node)]:
            _measure_concat(parent)
        return tree

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        for kind, allowed in _METHODS.items():
            if isinstance(obj, kind) and callable(value):
                return attr in allowed
        return super().is_safe_attribute(obj, attr, value)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as Jinja has it
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if isinstance(owner, str) and name == "replace":
            return _replaced(owner, *args)
        if isinstance(owner, str) and name == "join":
            return _joined(args[0], owner)
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> None:
        """A format can ask for any width: the method is refused like others that chats do not need."""

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**" or (operator == "%" and not numbers):
            raise TooMuch(f"no chat needs {operator} here")
        if numbers and max(abs(left), abs(right)) > _MOST_DIGITS:
            raise TooMuch("numbers without measure")
        if not numbers:
            sizes = [len(each) if hasattr(each, "__len__") else 1 for each in (left, right)]
            times = next((each for each in (left, right) if isinstance(each, int)), 1)
            whole = sum(sizes) if operator == "+" else max(sizes) * max(1, times)
            _fits(whole if isinstance(left, str) or isinstance(right, str) else whole * _LETTERS_AN_ITEM)
        return super().call_binop(context, operator, left, right)

    def _written(self, value: Any) -> Any:
        self._left -= len(value) if isinstance(value, str) else len(str(value))
        if self._left < 0:
            raise TooMuch("it writes without end")
        return value

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Limit the steps and letters of what this thread renders inside the block. Raises TooMuch."""
        self._left, left, before = MOST_LETTERS, MOST_STEPS, sys.gettrace()
        until_s = time.thread_time() + _MOST_CPU_S

        def step(_frame: FrameType, _event: str, _argument: object) -> Callable[..., Any]:
            nonlocal left
            left -= 1
            if left < 0 or time.thread_time() > until_s:
                raise TooMuch("it takes too many steps")
            return step

        sys.settrace(step)
        try:
            yield
        finally:
            sys.settrace(before)


_CONCAT = "_concatenated"


def _measure_concat(parent: nodes.Node) -> None:
    """Let ``a ~ b`` in it call ``_concatenated``, which measures first."""
    for name in parent.fields:
        value = getattr(parent, name, None)
        if isinstance(value, nodes.Concat):
            setattr(parent, name, _call_of(value))
        elif isinstance(value, list):
            value[:] = [_call_of(each) if isinstance(each, nodes.Concat) else each for each in value]


def _call_of(concat: nodes.Concat) -> nodes.Call:
    function = nodes.Name(_CONCAT, "load", lineno=concat.lineno)
    call = nodes.Call(function, list(concat.nodes), [], None, None, lineno=concat.lineno)
    for node in (function, call):
        node.environment = concat.environment
    return call


def _fits(letters: int) -> None:
    if letters > MOST_LETTERS:
        raise TooMuch("it makes a text without end")


def _range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > _MOST_ROUNDS:
        raise TooMuch("it counts without end")
    return made


def _concatenated(*parts: Any) -> str:
    texts = [str(part) for part in parts]
    _fits(sum(map(len, texts)))
    return "".join(texts)


def _replaced(said: Any, was: Any, becomes: Any, count: int | None = None) -> str:
    text, old, new = str(said), str(was), str(becomes)
    times = text.count(old) if count is None or count < 0 else min(text.count(old), count)
    _fits(len(text) + times * len(new))
    return text.replace(old, new, times)


def _joined(values: Iterable[Any], joint: Any = "", attribute: str | None = None) -> str:
    between, letters = str(joint), 0
    texts: list[str] = []
    for value in values:
        texts.append(str(value[attribute] if attribute is not None else value))
        letters += len(texts[-1]) + len(between)
        _fits(letters)
    return between.join(texts)


def _indented(text: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:  # noqa: FBT001, FBT002 - as Jinja has it
    text = str(text)
    _fits(len(width) if isinstance(width, str) else width)
    margin = width if isinstance(width, str) else " " * width
    lines = text.splitlines() or [""]
    _fits(len(text) + len(lines) * len(margin))
    told = [line if not line and not blank else margin + line for line in lines]
    return "\n".join(told if first else [lines[0], *told[1:]])


def _to_json(value: Any, **how: Any) -> str:
    if isinstance(how.get("indent"), int):
        how["indent"] = min(how["indent"], 16)
    return json.dumps(value, **{"ensure_ascii": False, **how})


class _WholeReplies(Extension):
    """Transformers marks what a model is trained on with ``{% generation %}``; here it is text like any."""

    tags = {"generation"}  # noqa: RUF012  as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)

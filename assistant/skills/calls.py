"""Skills as calls that a language model can write: their grammar, parser, and prompt.

::

    @set_timer(duration="10 minutes", name="pasta")

A call is one line of text. Its grammar (GBNF, as in llama.cpp) is generated from the signatures: everything
it allows can be parsed here. The values are the phrases that people say, parsed by the same ``slot_types`` as
a sentence's. Small models follow an example better than a rule, so each offered call has one; none of these
sentences is among those that ``assistant bench tools`` asks. Independent of models.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args, get_origin

from assistant.skills import slot_types
from assistant.skills.contract import GIVEN
from assistant.text.en.words import words

MARK = "@"
"""Begins a call. No spoken answer begins with it."""

_TEXT = "[a-zA-Z0-9] [a-zA-Z0-9' -]{0,38}"
"""A name or a thing. Its length is limited because a model that repeats itself would fill the context."""
_RULES = {
    "text": f'"\\"" {_TEXT} "\\""',
    "several": '"[" text (", " text){0,5} "]"',
    "whole": '"-"? ("0" | [1-9] [0-9]{0,4})',
    "number": 'whole ("." [0-9]{1,2})?',
    "duration": '"\\"" (seconds | minutes (" and " seconds)? | hours (" and " minutes)? | days) "\\""',
    "seconds": '[1-9] [0-9]{0,2} " seconds"',
    "minutes": '[1-9] [0-9]{0,2} " minutes"',
    "hours": '[1-9] [0-9]? " hours"',
    "days": '[1-9] [0-9]? " days"',
}
_RULE_OF: dict[object, str] = {
    str: "text",
    tuple[str, ...]: "several",
    int: "whole",
    float: "number",
    timedelta: "duration",
}
_MAX_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Call:
    """One skill as a call."""

    name: str
    about: str
    """What it does, in one sentence."""
    slots: Mapping[str, object]
    """Parameters that the model fills in, with their types."""
    required: frozenset[str]

    @property
    def pattern(self) -> str:
        """Its syntax, for the model to read."""
        filled = ", ".join(f"{name}={_shown(kind)}" for name, kind in self.slots.items())
        return f"{MARK}{self.name}({filled})"


_SHOWN: dict[object, str] = {
    str: '"..."',
    tuple[str, ...]: '["...", "..."]',
    int: "1",
    float: "1",
    timedelta: '"10 minutes"',
}


def _shown(kind: object) -> str:
    return _SHOWN[str] if slot_types.is_free_text(kind) else _SHOWN.get(kind, "...")


def call_of(function: Callable[..., object]) -> Call | None:
    """Turn a skill into a call; None if the grammar can't express a parameter's type."""
    parameters = inspect.signature(function, eval_str=True).parameters
    slots = {
        name: slot_types.without_none(parameter.annotation)
        for name, parameter in parameters.items()
        if name not in GIVEN
    }
    if not all(_value_rule(kind) for kind in slots.values()):
        return None
    required = frozenset(name for name in slots if parameters[name].default is inspect.Parameter.empty)
    about = (inspect.getdoc(function) or "").split("\n")[0]
    return Call(function.__name__, about, slots, required)


def grammar(calls: Sequence[Call]) -> str:
    """Return the GBNF of one of these calls. It is not recursive, so every call ends."""
    rules = {"root": " | ".join(f"call-{number}" for number in range(len(calls)))}
    for number, call in enumerate(calls):
        rules[f"call-{number}"] = f'"{MARK}{call.name}(" {_arguments(call)} ")"'
    return "\n".join(f"{name} ::= {rule}" for name, rule in {**rules, **_RULES}.items()) + "\n"


def read(text: str, calls: Mapping[str, Call]) -> tuple[str, dict[str, object]] | None:
    """Parse a call into name and arguments; None if it isn't one of these."""
    if not text.startswith(MARK) or len(text) > _MAX_CHARACTERS:
        return None
    try:
        node = ast.parse(text[len(MARK) :], mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
            return None
        call = calls[node.func.id]
        said = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
        values = {name: _value(call.slots[name], raw) for name, raw in said.items()}
    except (SyntaxError, ValueError, KeyError, TypeError, RecursionError, MemoryError):
        return None
    complete = call.required <= values.keys() and len(said) == len(node.keywords)
    return (call.name, values) if complete and None not in values.values() else None


def _arguments(call: Call) -> str:
    """Return the required arguments in order, then any of the others in order."""
    must = [_argument(name, kind) for name, kind in call.slots.items() if name in call.required]
    may = [_argument(name, kind) for name, kind in call.slots.items() if name not in call.required]
    if must:
        return " ".join([' ", " '.join(must), *(f'(", " {each})?' for each in may)])
    firsts = [
        " ".join([each, *(f'(", " {later})?' for later in may[place + 1 :])])
        for place, each in enumerate(may)
    ]
    return f"({' | '.join(firsts)})?" if firsts else '""'


def _argument(name: str, kind: object) -> str:
    return f'"{name}=" {_value_rule(kind)}'


def _value_rule(kind: object) -> str | None:
    """Return the grammar rule for a value of this type; a class provides its own as ``GRAMMAR``."""
    if kind in _RULE_OF or slot_types.is_free_text(kind):
        return _RULE_OF.get(kind, _RULE_OF[str])
    if get_origin(kind) is Literal:
        return "(" + " | ".join(json.dumps(json.dumps(str(choice))) for choice in get_args(kind)) + ")"
    own = getattr(kind, "GRAMMAR", None)
    return f'"\\"" ({own}) "\\""' if isinstance(own, str) else None


def _value(kind: Any, raw: Any) -> object | None:
    """Parse a written value; None if it doesn't have this type."""
    if slot_types.is_free_text(kind):  # text in the place of a name is a name, whatever its words
        return kind(raw) if isinstance(raw, str) and raw.strip() else None
    if kind in (int, float):
        is_number = isinstance(raw, int | float) and not isinstance(raw, bool)
        return kind(raw) if is_number and (kind is float or isinstance(raw, int)) else None
    if kind == tuple[str, ...]:
        return (
            tuple(raw) if isinstance(raw, list) and raw and all(_value(str, each) for each in raw) else None
        )
    reader = slot_types.reader(kind)
    return reader(words(raw)) if reader and isinstance(raw, str) else None


EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "set_timer": (
        ("The cake needs half an hour, let me know.", '@set_timer(duration="30 minutes", name="cake")'),
        ("Tell me when ninety seconds are over.", '@set_timer(duration="90 seconds")'),
    ),
    "timer_left": (("When is my cake done?", '@timer_left(name="cake")'),),
    "cancel_timer": (("I do not need that timer any more.", "@cancel_timer()"),),
    "set_alarm": (("Get me out of bed at eight tomorrow.", '@set_alarm(at="8 am tomorrow")'),),
    "cancel_alarm": (("Forget about waking me up.", "@cancel_alarm()"),),
    "remind_after": (
        (
            "In twenty minutes I must look after the soup.",
            '@remind_after(what="look after the soup", duration="20 minutes")',
        ),
    ),
    "remind_at": (
        ("Do not let me forget to phone Anna at five.", '@remind_at(what="phone Anna", at="5 pm")'),
    ),
    "add_to_list": (("We have run out of butter and rice.", '@add_to_list(items=["butter", "rice"])'),),
    "remove_from_list": (("I bought the butter.", '@remove_from_list(items=["butter"])'),),
    "read_list": (("What did I want to get at the shop?", "@read_list()"),),
    "add_note": (("Keep in mind: the key is under the mat.", '@add_note(note="the key is under the mat")'),),
    "tell_time": (("Is it late already?", "@tell_time()"),),
    "tell_date": (("Which day do we have?", "@tell_date()"),),
    "louder": (("I can hardly hear you.", "@louder()"),),
    "quieter": (("You are shouting.", "@quieter()"),),
    "flip_coin": (("Decide for us, heads or tails.", "@flip_coin()"),),
}
"""The built-in skills that are offered, with phrasings that no sentence covers."""

_PROMPT = (
    f"Some things you can do. To do one, answer with its line alone, filled in. "
    f"Every other answer is plain English and never begins with {MARK}."
)


def prompt(calls: Iterable[Call]) -> str:
    """Return paragraphs for a system prompt (``conversation.opening``), always the same for the same
    skills.
    """
    known = list(calls)
    lines = [f"{call.pattern}  {call.about}" for call in known]
    examples = [f"> {said}\n{call}" for each in known for said, call in EXAMPLES.get(each.name, ())]
    return "\n\n".join(["\n".join([_PROMPT, *lines]), *examples])

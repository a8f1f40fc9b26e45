"""No chat template takes long or much memory; those of real models are taken."""

from __future__ import annotations

import resource

import pytest

from assistant.core.errors import ModelCorrupt
from assistant.core.types import Message
from assistant.engines.llm.chat_template import ChatTemplate

CHAT = "{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}"


def doubled(step: str, begin: str = "'aaaaaaaaaa'") -> str:
    return f"{{% set ns = namespace(x={begin}) %}}{{% for i in range(60) %}}{step}{{% endfor %}}{CHAT}"


HOSTILE = [
    "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}{% for b in range(9999) | sort %}{% endfor %}{% endfor %}",
    "{% for i in range(9999) %}{% set x = range(9999) | list %}{% endfor %}" * 9,
    "{% for i in range(9999) %}{% if 'a' * 100000 ~ 'b' in 'a' * 1000000 %}{% endif %}{% endfor %}",
    doubled("{% set ns.x = ns.x | replace('a', 'aaaa') %}"),
    doubled("{% set ns.x = ns.x.replace('a', 'aaaa') %}"),
    doubled("{% set ns.x = ns.x ~ ns.x %}"),
    doubled("{% set ns.x = ns.x + ns.x %}"),
    doubled("{% set ns.x = ns.x + ns.x %}", "[1]"),
    doubled("{% set ns.x = ns.x * ns.x %}", "10"),
    doubled("{% set ns.x = [ns.x, ns.x] | join(ns.x) %}"),
    doubled("{% set ns.x = ns.x.join([ns.x, ns.x]) %}"),
    doubled("{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}"),
    "{{ lipsum(n=100000) }}",
    "{{ 'a' | indent(1000000000, true) }}",
    "{{ range(9999) | join('a' * 100000) }}",
    "{{ range(10 ** 9) | list }}",
    "{{ 'a' * 10000000000 }}",
    "{{ [1] * 1000000000 }}",
    "{{ 10 ** 100000000 }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a' | center(1000000000) }}",
    "{{ 'abc' | batch(1000000000, 'x') | list }}",
    "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ 1 }}" * 100_000,
]


@pytest.mark.parametrize("source", HOSTILE)
def test_a_hostile_template_is_refused_before_it_takes_anything(source: str) -> None:
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelCorrupt, match="chat template"):
        ChatTemplate(source, "<s>", "</s>")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 200_000


def test_what_chats_need_is_there() -> None:
    source = (
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
        "{{ '<' ~ m['role'].upper() + '>' + m.content.replace('b', 'b') | trim }}"
        "{{ loop.index % 2 }}{{ [m.content] | join(' ') | length }}{% endfor %}{{ ns.n }}"
    )
    chat = [Message("user", "abc"), Message("assistant", "de")]
    assert ChatTemplate(source, "", "").render(chat) == "<USER>abc13<ASSISTANT>de022"


def test_a_long_chat_is_no_hostile_one() -> None:
    source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    chat = [Message("user", "word " * 2000), Message("assistant", "word " * 200)] * 50
    assert len(ChatTemplate(source, "", "").render(chat)) > 500_000

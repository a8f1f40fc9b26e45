"""Chat templates come out of model files: they may build text, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.core.errors import EngineFailed, ModelCorrupt
from assistant.core.types import Message
from assistant.engines.llm.chat_template import ChatTemplate

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for message in messages %}[{{ message.role }}]{{ message.content | trim }}{% endfor %}"
)
LEAVES_SYSTEM_OUT = "{% for m in messages if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endfor %}"
CHAT = [
    Message("system", "Be brief."),
    Message("user", "Hello"),
    Message("assistant", "Hi."),
    Message("user", "Bye"),
]


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, begin="<s>", end="</s>")


def test_a_chat_becomes_the_models_own_format() -> None:
    assert template(CHATML).render(CHAT[:2]) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_prompt_begins_once_with_what_every_prompt_must_begin_with() -> None:
    plain = "{{ messages[-1]['content'] }}"
    for source in (plain, "{{ bos_token }}" + plain):
        assert ChatTemplate(source, "<s>", "</s>", first="<s>").render(CHAT[1:2]) == "<s>Hello"


def test_a_chat_that_goes_on_begins_with_the_one_before() -> None:
    chatml = template(CHATML)
    assert chatml.render(CHAT).startswith(chatml.render(CHAT[:2]) + "Hi.")


@pytest.mark.parametrize("source", [NO_SYSTEM, LEAVES_SYSTEM_OUT])
def test_a_model_without_system_role_reads_it_in_the_first_question(source: str) -> None:
    assert template(source).render(CHAT) == "[user]Be brief.\n\nHello[assistant]Hi.[user]Bye"


def test_models_are_asked_not_to_think_aloud() -> None:
    thinking = "{% if enable_thinking %}<think>{% endif %}" + CHATML
    assert "<think>" not in template(thinking).render(CHAT)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__.__base__.__subclasses__() }}",
        "{{ raise_exception.__globals__['os'].system('touch ESCAPED') }}",
        "{{ cycler.__init__.__globals__.os.system('touch ESCAPED') }}",
        "{{ lipsum.__globals__['os'].popen('touch ESCAPED').read() }}",
        "{% set x = messages.append(1) %}",
        "{% include 'secrets' %}",
        "{% for i in range(999999999) %}{{ i }}{% endfor %}",
        "{{ 1 / 0 }}",
        "{{ messages[99].content.nothing }}",
        "{% if %}",
        "{% generation %}",
        "{{ raise_exception('always') }}",
    ],
)
def test_a_hostile_or_broken_template_is_corrupt_and_cannot_escape(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelCorrupt, match="chat template"):
        template(source)
    assert list(tmp_path.iterdir()) == []


def test_what_a_message_says_is_not_run() -> None:
    assert "{{ 7 * 7 }}" in template(CHATML).render([Message("user", "{{ 7 * 7 }}")])


def test_a_chat_that_the_template_refuses_is_a_failure() -> None:
    picky = CHATML + "{% if messages | length > 2 %}{{ raise_exception('too many') }}{% endif %}"
    with pytest.raises(EngineFailed, match="chat template"):
        template(picky).render(CHAT)

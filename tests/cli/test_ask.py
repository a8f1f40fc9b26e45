"""A file of prompts: what is read, in which order it is told, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from assistant.app import engines as loading
from assistant.app import memory_fit as fit
from assistant.cli import _prompts
from assistant.cli.main import main
from assistant.core.errors import EngineFailed, PromptsUnreadable, PromptTooLong
from assistant.core.types import BatchReply, Message
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from tests.http_double import says, serving, status


def reply(number: int, text: str) -> BatchReply:
    return BatchReply(number, text, 0.0, 0.1, 0.2, 10, 3)


class Backwards:
    """Has the last answer first."""

    def answer_all(self, prompts: Sequence[Sequence[Message]], cancel: Cancel) -> Iterator[BatchReply]:
        for number in reversed(range(len(prompts))):
            yield reply(number, f"I heard {prompts[number][-1].content!r}.")

    def close(self) -> None:
        pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many were to be answered at once."""
    wanted: list[int] = []

    def load(_: Settings, at_once: int) -> Backwards:
        wanted.append(at_once)
        return Backwards()

    monkeypatch.setattr(loading, "load_batch", load)
    return wanted


def write(folder: Path, content: str | bytes) -> str:
    file = folder / "prompts.txt"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


def test_answers_come_in_the_order_of_the_prompts(
    asked: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "\ufeffOne?\n\n  Two?  \nThree?")
    assert main(["ask", "--file", file, "--batch", "2"]) == 0
    said = capsys.readouterr().out
    assert said == "> One?\nI heard 'One?'.\n\n> Two?\nI heard 'Two?'.\n\n> Three?\nI heard 'Three?'.\n\n"
    assert main(["ask", "--file", file, "--batch", "64", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3]
    assert [line["prompt"] for line in lines] == ["One?", "Two?", "Three?"]
    assert asked == [2, 3], "no more places than prompts"


def test_an_answer_is_told_as_soon_as_those_before_it_are_there() -> None:
    told: list[int] = []

    def replies() -> Iterator[BatchReply]:
        for number in (1, 0, 2):
            yield reply(number, "")
            told.append(-1)

    told.extend(each.number for each in _prompts.in_order(replies()))
    assert told == [-1, 0, 1, -1, 2, -1]


@pytest.mark.parametrize(
    ("content", "why"),
    [("", "contains no prompts"), ("\n \n", "contains no prompts"), (b"\xff\xfe1", "cannot be read")],
)
def test_a_file_without_prompts_is_refused(tmp_path: Path, content: str | bytes, why: str) -> None:
    with pytest.raises(PromptsUnreadable, match=why):
        _prompts.read(Path(write(tmp_path, content)))


def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--file", str(tmp_path / "none.txt")]) == 2
    assert "[prompts-unreadable]" in capsys.readouterr().err
    assert main(["ask", "--file", str(tmp_path)]) == 2


def test_a_file_that_is_too_long_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "a" * (_prompts.MAX_BYTES + 1))
    with pytest.raises(PromptsUnreadable, match="10 MB"):
        _prompts.read(Path(file))


@pytest.mark.parametrize("arguments", [[], ["Why?", "--file", "x"], ["Why?", "--batch", "0"]])
def test_what_makes_no_sense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ask", *arguments])
    assert ended.value.code == 2


class OneAtATime:
    """A language model of which nobody knows how to answer several at once."""

    def close(self) -> None:
        pass

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return len(messages)

    def stream(self, messages: Sequence[Message], _: Cancel) -> Iterator[str]:
        question = messages[-1].content
        if "long" in question:
            raise PromptTooLong("It is too long.", "Shorten it.")
        yield f"To {question} "
        if "fail" in question:
            raise EngineFailed("It failed.", "Ask again.")
        yield "I say yes. "


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT__LLM__ENGINE", "onnx")
    monkeypatch.setattr(fit, "require", lambda *_, **__: None)
    monkeypatch.setattr(loading, "load_llm", lambda _: OneAtATime())


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.parametrize("batch", [1, 2])
def test_an_engine_that_answers_one_at_a_time_answers_so(
    batch: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "--file", write(tmp_path, "One?\nTwo?"), "--batch", str(batch)]) == 0
    said = capsys.readouterr()
    assert said.out == "> One?\nTo One? I say yes.\n\n> Two?\nTo Two? I say yes.\n\n"
    assert ("answers one prompt at a time" in said.err) is (batch > 1)


@pytest.mark.usefixtures("one_at_a_time")
def test_a_prompt_without_an_answer_takes_no_other_answer_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "A long one?\nTwo?\nOne to fail at?")
    assert main(["ask", "--file", file, "--json"]) == 1
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line["reply"] for line in lines] == ["", "To Two? I say yes.", "To One to fail at?"]
    assert [line["error"] for line in lines] == ["It is too long.", None, "It failed."]
    assert "2 of 3 prompts were not answered" in said.err


def test_a_server_that_fails_at_one_of_them_is_asked_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(status("400 Bad Request"), says("Yes.")) as server:
        monkeypatch.setenv("ASSISTANT__LLM__ENGINE", "openai")
        monkeypatch.setenv("ASSISTANT__LLM__SERVER__URL", server.url)
        assert main(["ask", "--file", write(tmp_path, "One?\nTwo?")]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("> One?\n\n[Not answered: ")
    assert said.out.endswith("> Two?\nYes.\n\n")
    assert "1 of 2 prompts" in said.err


@pytest.mark.models
def test_real_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in (("MODEL", "smollm2-135m-instruct-q4_1"), ("MAX_TOKENS", "8"), ("PROMPT", "terse")):
        monkeypatch.setenv(f"ASSISTANT__LLM__{key}", value)
    file = write(tmp_path, "What is the capital of France?\nName a color.\nName a fruit.\n")
    assert main(["ask", "--file", file, "--batch", "2", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3]
    assert all(0 < line["tokens_generated"] <= 8 and line["reply"] for line in lines)

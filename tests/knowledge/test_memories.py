"""What people asked to be remembered: asked for again, forgotten, and there after a kill."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from assistant.knowledge import MemoryBook
from assistant.knowledge.recall import to_them
from assistant.skills import Skills

NOW = datetime(2026, 12, 1, 16, 0, tzinfo=timezone.utc)

Say = Callable[[str], str]


@pytest.fixture
def say(load: Callable[..., Skills]) -> Say:
    """What the assistant answers."""
    skills = load(None)

    def say(text: str) -> str:
        match = skills.match(text)
        return match.run().speech if match else ""

    return say


def test_what_was_told_is_found_again(say: Say) -> None:
    assert say("Remember that the spare key is at my neighbor's.") == (
        "I'll remember that the spare key is at your neighbor's."
    )
    say("remember that our guest wifi password is blue elephant")
    assert "at your neighbor's" in say("Where is the spare key?")
    assert "at your neighbor's" in say("do you remember where the spare key is")
    assert "blue elephant" in say("what's the guest wifi password")
    assert "blue elephant" in say("what is the wifi password")


@pytest.mark.parametrize(
    "question", ["what is a key", "where is Munich", "what is love", "what is the key to happiness"]
)
def test_other_questions_are_not_answered_with_it(say: Say, question: str) -> None:
    say("remember that the spare key is at my neighbor's")
    assert "neighbor" not in say(question)


def test_it_is_forgotten_on_request(say: Say) -> None:
    say("remember that the spare key is at my neighbor's")
    say("remember that the bin goes out on Tuesday")
    assert "spare key" in say("forget that the spare key is at my neighbor's")
    assert not say("where is the spare key")
    assert "Tuesday" in say("when does the bin go out")
    assert "Tuesday" in say("what do you remember?")
    assert "Tuesday" in say("forget that")
    assert say("what do you remember?") == "You haven't asked me to remember anything."


def test_what_it_never_heard_of_it_cannot_forget(say: Say) -> None:
    assert say("forget about the dentist") == "I don't remember anything about the dentist."


def test_the_newest_of_two_counts(say: Say) -> None:
    say("remember that the car is on the second floor")
    say("remember that the car is on the third floor")
    assert "third" in say("where is the car")


def test_remembering_waits_until_it_was_meant(load: Callable[..., Skills]) -> None:
    skills = load(None)
    match = skills.match("remember that the car is on the third floor")
    assert match is not None
    assert not match.only_answers
    assert match.ends_open


def test_what_was_remembered_survives_a_kill(tmp_path: Path) -> None:
    program = (
        "import sys, time; from datetime import datetime, timezone; from pathlib import Path;"
        "from assistant.knowledge import MemoryBook; book = MemoryBook(Path(sys.argv[1]));"
        "book.add('the key is under the mat', datetime.now(timezone.utc));"
        "print('told', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "memories.db")], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "told\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    book = MemoryBook(tmp_path / "memories.db")
    assert [memory.text for memory in book.all()] == ["the key is under the mat"]
    assert (tmp_path / "memories.db").stat().st_mode & 0o077 == 0
    book.close()


def test_the_same_words_are_kept_once(tmp_path: Path) -> None:
    book = MemoryBook(tmp_path / "memories.db")
    book.add("the key is under the mat", NOW)
    book.add("The key is under the mat", NOW)
    assert len(book.all()) == 1
    book.close()


@pytest.mark.parametrize(
    ("text", "told_at"),
    [("the bin", "garbage"), ("the bin", b"\xff"), ("the bin", 7), (b"\xff", "2026-12-01T16:00:00+00:00")],
)
def test_a_damaged_row_costs_itself_only(tmp_path: Path, text: object, told_at: object) -> None:
    path = tmp_path / "memories.db"
    book = MemoryBook(path)
    book.add("the key is under the mat", NOW)
    book.close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO memories (text, told_at) VALUES (?, ?)", (text, told_at))
    connection.close()
    for _ in range(2):
        book = MemoryBook(path)
        assert [memory.text for memory in book.all()] == ["the key is under the mat"]
        assert book.find(frozenset({"bin"})) is None
        book.close()


def test_it_is_said_back_to_whoever_told_it() -> None:
    assert to_them("I'm allergic to my own cat") == "you're allergic to your own cat"


def test_where_an_answer_comes_from_is_told(load: Callable[..., Skills], say: Say) -> None:
    assert say("how do you know that?") == "I haven't told you anything yet."
    assert "Jupiter" in say("what is the largest planet")
    assert say("how do you know that?") == "I have that from NASA."
    assert say("how do you know?") == "I have that from NASA."
    say("remember that the car is on the third floor")
    say("where is the car")
    assert "you, on December" in say("how do you know that?")
    say("what is two plus two")
    assert say("how do you know that?") == "I worked it out myself."
    load(None).model_answers()
    assert say("how do you know that?") == "From my language model, which can be wrong."

"""Own skills, own sentences and damaged files: each costs itself only."""

from __future__ import annotations

import os
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from assistant.core.errors import SkillInvalid
from assistant.runtime.database import Database
from assistant.skills import ListBook, SkillContext, Skills, TimerBook, load, user_skills
from assistant.skills.builtin.timers import list_timers, set_timer
from assistant.skills.timer_book import TooLong
from assistant.text import pattern
from assistant.text.en.durations import duration
from tests.conftest import CHECKOUT
from tests.skills.conftest import Time

ENGLISH = CHECKOUT / "config" / "intents" / "en.yaml"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def context(tmp_path: Path) -> SkillContext:
    return SkillContext(TimerBook(tmp_path / "timers.db"), ListBook(tmp_path / "lists.db"))


def loaded(own: Path, context: SkillContext) -> Skills:
    return load([ENGLISH], context, own)


@pytest.mark.parametrize(
    "code",
    ["raise KeyboardInterrupt", "raise GeneratorExit", "class E(BaseException): ...\nraise E", "exit(3)"],
)
def test_whatever_an_own_skill_raises_at_import_names_its_file(
    own: Path, context: SkillContext, code: str
) -> None:
    (own / "bad.py").write_text(code)
    with pytest.raises(SkillInvalid, match=r"bad\.py, line \d"):
        loaded(own, context)


def test_one_that_loops_at_import_is_named_and_ended(
    own: Path, context: SkillContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_skills, "LIMIT_S", 0.2)
    (own / "bad.py").write_text("while True:\n    pass")
    with pytest.raises(SkillInvalid, match=r"bad\.py.*more than 0\.2 s"):
        loaded(own, context)


def test_one_that_is_no_file_holds_nobody_up(own: Path, context: SkillContext) -> None:
    os.mkfifo(own / "bad.py")
    with pytest.raises(SkillInvalid, match=r"bad\.py is not a file"):
        loaded(own, context)


def test_bytecode_beside_a_skill_is_not_run(own: Path, context: SkillContext) -> None:
    (own / "good.py").write_text("def hum() -> str:\n    return 'good'\n")
    (own / "good.yaml").write_text("intents: {hum: ['hum a tune']}")
    cache = own / "__pycache__"
    cache.mkdir(mode=0o777)
    import importlib.util  # noqa: PLC0415
    import py_compile  # noqa: PLC0415

    evil = own.parent / "evil.py"
    evil.write_text("def hum() -> str:\n    return 'evil'\n")
    os.utime(evil, (1, 1))
    os.utime(own / "good.py", (1, 1))
    planted = importlib.util.cache_from_source(str(own / "good.py"))
    py_compile.compile(str(evil), planted, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    match = loaded(own, context).match("hum a tune")
    assert match is not None
    assert match.run().speech == "good"


def test_a_folder_above_that_others_may_write_to_is_refused(tmp_path: Path, context: SkillContext) -> None:
    shared = tmp_path / "shared"
    (shared / "own").mkdir(parents=True, mode=0o700)
    shared.chmod(0o777)
    with pytest.raises(SkillInvalid, match=r"Other users can write to .*shared"):
        loaded(shared / "own", context)
    shared.chmod(0o1777)
    assert loaded(shared / "own", context)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("while True: pass", "takes too long"),
        ("raise KeyboardInterrupt", "didn't work"),
        ("raise GeneratorExit", "didn't work"),
        ("exit(3)", "didn't work"),
    ],
)
def test_whatever_an_own_skill_does_the_assistant_goes_on(
    own: Path, context: SkillContext, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    monkeypatch.setattr(user_skills, "LIMIT_S", 0.2)
    (own / "bad.py").write_text(f"def hum() -> str:\n    {body}\n")
    (own / "bad.yaml").write_text("intents: {hum: ['hum a tune']}")
    skills = loaded(own, context)
    match = skills.match("hum a tune")
    assert match is not None
    assert said in match.run().speech
    assert skills.match("set a timer for ten minutes")


RULES = ", ".join(f"r{number}: '<r{number - 1}> <r{number - 1}>'" for number in range(1, 25))
DOUBLING = f"rules: {{r0: '[x]', {RULES}}}\nintents: {{hum: ['go <r24>']}}"


@pytest.mark.parametrize(
    ("sentences", "problem"),
    [
        (DOUBLING, r"line \d.*at most 1000"),
        (f"intents: {{hum: ['{'(' * 2000}a{')' * 2000}']}}", "more than 60 deep"),
        (f"intents: {{hum: ['{'a ' * 6000}']}}", "longer than"),
    ],
)
def test_sentences_without_measure_are_refused_by_line(
    own: Path, context: SkillContext, sentences: str, problem: str
) -> None:
    (own / "a.py").write_text("def hum() -> str:\n    return 'hm'\n")
    (own / "a.yaml").write_text(sentences)
    with pytest.raises(SkillInvalid, match=problem):
        loaded(own, context)


@pytest.mark.parametrize(
    ("sentence", "asked"),
    [
        ("go " + "[a] " * 30, "go " + "a " * 25 + "b"),
        ("go " + "(a|a a) " * 25, "go " + "a " * 40 + "b"),
        ("go " + "... " * 20 + "{note} end", "go " + "a " * 50),
        ("go {one} {two} {note} {three} {four}", "go " + "a " * 57),
    ],
)
def test_no_sentence_takes_longer_than_its_length_allows(
    own: Path, context: SkillContext, sentence: str, asked: str
) -> None:
    (own / "a.py").write_text(
        "def hum(note: str = '', one: str = '', two: str = '', three: str = '', four: str = '') -> str:\n"
        "    return 'hm'\n"
    )
    (own / "a.yaml").write_text(f"intents: {{hum: ['{sentence}']}}")
    skills = loaded(own, context)
    steps = 0
    value = pattern.Slot.values

    def counted(*arguments: object) -> object:
        nonlocal steps
        steps += 1
        return value(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pattern.Slot, "values", counted)
        skills.match(asked)
    assert steps < 6 * 60 * 8, "each slot once at each word"


def test_a_damaged_row_is_set_aside_said_once_and_the_others_stay(tmp_path: Path) -> None:
    book = TimerBook(tmp_path / "timers.db")
    set_timer(timedelta(hours=5), book)
    good = book.all()[0].left_s
    rows = [
        ("alarm", "seven", None, "2026-1;-01T07:00:00", "0123456", None, None),
        ("timer", "x", 1.0, None, "", "soon", None),
        ("timer", "x", 1.0, None, "", None, None),
        ("timer", "x", 1.0, None, "", float("inf"), None),
        ("timxr", "x", 1.0, None, "", 1.0, None),
        ("alarm", "x", None, "2026-01-01T07:00:00", "9", None, None),
        ("timer", b"\xff", 1.0, None, "", 1.0, None),
        ("timer", "x", 1e300, None, "", 1.0, None),
    ]
    with sqlite3.connect(tmp_path / "timers.db") as connection:
        connection.executemany(
            "INSERT INTO timers (kind, name, duration_s, local, every, due_utc_s, due_boot_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    assert [timer.name for timer in book.due()] == []
    assert book.next_due_s() == pytest.approx(good, abs=5)
    said = list_timers(book)
    assert said.startswith(f"{len(rows)} entries of my timers could not be read.")
    assert "five hour" in said or "4 hours" in said or "four hours" in said
    assert list_timers(book).startswith("You have")
    book.close()


@pytest.mark.parametrize(
    ("column", "value", "boot"),
    [
        ("due_boot_s", 1e12, "first boot"),
        ("due_boot_s", float("inf"), "first boot"),
        ("due_boot_s", None, "first boot"),
        ("due_utc_s", 1e12, "second boot"),
        ("due_utc_s", float("inf"), "second boot"),
        ("due_utc_s", -1.0, "second boot"),
        ("due_utc_s", None, "second boot"),
        ("local", "1969-12-31T07:00:00", "first boot"),
        ("local", "2200-01-01T07:00:00", "first boot"),
        ("local", "2025-11-24T07:00:00+01:00", "first boot"),
    ],
)
def test_a_time_that_no_clock_makes_possible_is_damage(
    tmp_path: Path, column: str, value: object, boot: str
) -> None:
    clocks = Time().clocks
    book = TimerBook(tmp_path / "timers.db", clocks("first boot"))
    book.count_down("timer", timedelta(minutes=10))
    book.close()
    with sqlite3.connect(tmp_path / "timers.db") as connection:
        connection.execute(f"UPDATE timers SET {column} = ?", (value,))  # noqa: S608
    connection.close()
    book = TimerBook(tmp_path / "timers.db", clocks(boot))
    assert book.all() == []
    assert book.damage() == "An entry of my timers could not be read."
    book.close()


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER t AFTER INSERT ON timers BEGIN DELETE FROM timers; END",
        "CREATE VIEW v AS SELECT * FROM timers",
        "ALTER TABLE timers ADD COLUMN g TEXT GENERATED ALWAYS AS (name) VIRTUAL",
        "CREATE TABLE other (a)",
        "ALTER TABLE timers RENAME TO timerr",
        "ALTER TABLE timers DROP COLUMN every",
    ],
)
def test_a_database_that_is_not_ours_is_set_aside_and_said(tmp_path: Path, planted: str) -> None:
    path = tmp_path / "timers.db"
    TimerBook(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(planted)
    connection.close()
    book = TimerBook(path)
    set_timer(timedelta(hours=5), book)
    assert len(book.all()) == 1
    assert list_timers(book).startswith("My timers were damaged")
    assert list(tmp_path.glob("timers.db.damaged"))
    book.close()


def test_a_new_database_is_no_damaged_one(tmp_path: Path) -> None:
    for _ in range(2):
        database = Database(tmp_path / "a.db", "CREATE TABLE IF NOT EXISTS a (b TEXT);")
        assert not database.was_damaged
        database.close()


def test_a_timer_beyond_all_measure_is_refused_with_the_longest(context: SkillContext) -> None:
    length = duration(["999999999999", "days"])
    assert length is not None
    with pytest.raises(TooLong, match="366 days"):
        set_timer(length, context.timers)
    set_timer(timedelta(days=366), context.timers)
    with pytest.raises(TooLong):
        context.timers.extend(context.timers.all()[0], timedelta(days=2))

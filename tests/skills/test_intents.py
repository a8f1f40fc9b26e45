"""Files of sentences: what they may say, and how mistakes in them are told."""

# ruff: noqa: E501  a table is read in lines

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assistant import skills as room
from assistant.core.errors import SkillInvalid
from assistant.skills import SkillContext, Skills
from assistant.skills.list_book import ListBook
from assistant.skills.timer_book import TimerBook
from tests.extensions import declared_as
from tests.skills.conftest import ENGLISH, Home

Load = Callable[..., Skills]


@pytest.fixture
def load(home: Home, tmp_path: Path) -> Load:
    """Load the built-in sentences and one more file with this text."""
    context = SkillContext(home.timers, home.lists)

    def load(text: str, own_folder: Path | None = None) -> Skills:
        file = tmp_path / "more.yaml"
        file.write_text(text, encoding="utf-8")
        return room.load([ENGLISH, file], context, own_folder)

    return load


def test_a_sentence_of_ones_own_for_a_skill_that_is_there(load: Load) -> None:
    skills = load("intents:\n  flip_coin:\n    - '(decide|make a decision) for <the> family'\n")
    match = skills.match("Make a decision for our family, please.")
    assert match is not None
    assert match.name == "flip_coin"


def test_of_two_files_the_later_wins(load: Load) -> None:
    skills = load("intents:\n  tell_date:\n    - 'what time is it'\n")
    match = skills.match("what time is it")
    assert match is not None
    assert match.name == "tell_date"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("intents:\n  flip_coin:\n    - 'flip (a coin'\n", "line 3: '(' isn't closed"),
        ("intents:\n  flip_coin:\n    - 'flip a) coin'\n", "line 3: ')' has no opening bracket"),
        ("intents:\n  flip_coin:\n    - 'coin[s]'\n", "line 3: words are matched whole: put a space in 'n['"),
        ("intents:\n  flip_coin:\n    - 'flip {side}'\n", "line 3: there is no slot named 'side'; available: none"),
        ("intents:\n  flip_coin:\n    - 'flip <teh> coin'\n", "line 3: there is no rule named 'teh'"),
        ("intents:\n  flip_coin:\n    - 'flip {a coin'\n", "line 3: a '{' or '<' has no name"),
        ("intents:\n  flip_coin:\n    - '[flip]'\n", "line 3: this would match silence"),
        ("intents:\n  flip_coin:\n    - ''\n", "line 3: a word is missing"),
        ("intents:\n  flip_coin:\n    - 'a || b'\n", "line 3: a word is missing"),
        ("intents:\n  flip_coins:\n    - 'flip'\n", "line 3: there is no skill named 'flip_coins' (did you mean 'flip_coin'?)"),
        ("intents:\n  set_timer:\n    - 'start cooking'\n", "line 3: every sentence of 'set_timer' needs {duration}"),
        ("intents:\n  set_timer:\n    - 'cook [{duration}]'\n", "needs {duration}"),
        ("intents:\n  flip_coin: flip\n", "line 2: 'flip_coin' needs a list"),
        ("intent:\n  flip_coin: []\n", "line 1: there is no key 'intent' (did you mean 'intents'?)"),
        ("rules:\n  one: [a]\n", "line 2: 'one' needs one text"),
        ("rules: [a]\n", "line 1: 'rules' needs names with values"),
        ("before: please\n", "line 1: 'before' needs a list"),
        ("- flip\n", "line 1: the file is not a mapping"),
        ("a: &x [1]\nb: *x\n", "line 2"),
        ("intents: {", "line 1"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_line(load: Load, text: str, problem: str) -> None:
    with pytest.raises(SkillInvalid) as caught:
        load(text)
    assert "more.yaml" in str(caught.value)
    assert problem in str(caught.value)


def test_a_file_that_cannot_be_read(home: Home, tmp_path: Path) -> None:
    context = SkillContext(home.timers, home.lists)
    with pytest.raises(SkillInvalid, match="cannot be read"):
        room.load([tmp_path / "none.yaml"], context)
    (tmp_path / "latin.yaml").write_bytes(b"intents: \xff")
    with pytest.raises(SkillInvalid, match="cannot be read"):
        room.load([tmp_path / "latin.yaml"], context)


# --- Skills of the owner's own ---

PLANTS = '''
"""What my plants want."""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from assistant.skills import Outcome, Stop


def water(plant: str, now: datetime, how: Literal["well", "sparingly"] = "well", times: int = 1) -> str:
    """Note that a plant was watered."""
    return f"{plant} watered {how}, {times} times, in {now.year}."


def rest(length: timedelta, share: float = 1.0) -> Outcome:
    """Leave me alone."""
    return Outcome(f"{length.total_seconds() * share:g}", Stop())


def wilt() -> str:
    """Fail."""
    raise ValueError("secret words")
'''

SENTENCES = """
intents:
  water:
    - "i watered <the> {plant} [{how}] [{times} times]"
  rest:
    - "leave me alone for {length} [times {share}]"
  wilt:
    - "wilt"
  tell_time:
    - "how late do we have it"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir(mode=0o700)
    (folder / "plants.py").write_text(PLANTS)
    (folder / "plants.yaml").write_text(SENTENCES)
    for file in folder.iterdir():
        file.chmod(0o600)
    return folder


@pytest.fixture
def with_own(home: Home, own: Path) -> Callable[[], Skills]:
    return lambda: room.load(
        [ENGLISH], SkillContext(home.timers, home.lists, clock=lambda: home.time.wall), own
    )


def test_a_skill_of_ones_own(with_own: Callable[[], Skills]) -> None:
    skills = with_own()
    match = skills.match("Hey, I watered the Ficus sparingly three times.")
    assert match is not None
    assert match.run().speech == "Ficus watered sparingly, 3 times, in 2025."
    rest = skills.match("leave me alone for half an hour times 0.5")
    assert rest is not None
    assert rest.run() == room.Outcome("900", room.Stop())
    assert skills.match("how late do we have it") is not None


def test_what_an_own_skill_raises_is_spoken_and_not_quoted(
    with_own: Callable[[], Skills], caplog: pytest.LogCaptureFixture
) -> None:
    match = with_own().match("wilt")
    assert match is not None
    assert match.run().speech == "Sorry, that didn't work."
    assert "error=ValueError" in caplog.text
    assert "plants.py:" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def water(plant: bytes) -> str: ...", "no words can fill 'plant' with type"),
        ("def water(plant) -> str: ...", "no words can fill 'plant'"),
        ("def water(plant: 'Ficus') -> str: ...", "its types cannot be read"),
        ("def water(*plant: str) -> str: ...", "no words can fill"),
        ("x = 1\nimport no_such_module", "line 2: ModuleNotFoundError"),
        ("def water(:", "line 1: SyntaxError"),
        ("raise SystemExit(3)", "line 1: SystemExit"),
        ("y = 1", "there is no skill named 'water'"),
    ],
)
def test_a_skill_that_cannot_work_is_told(
    with_own: Callable[[], Skills], own: Path, code: str, problem: str
) -> None:
    (own / "plants.py").write_text(code)
    with pytest.raises(SkillInvalid) as caught:
        with_own()
    assert problem in str(caught.value)


@pytest.mark.parametrize("what", [".", "plants.py", "plants.yaml"])
@pytest.mark.parametrize("mode", [0o666, 0o620, 0o722])
def test_what_others_could_have_written_is_not_run(
    with_own: Callable[[], Skills], own: Path, what: str, mode: int
) -> None:
    (own / what).chmod(mode | 0o100 if what == "." else mode)
    with pytest.raises(SkillInvalid, match="Other users can write to"):
        with_own()


def test_a_link_is_not_run(with_own: Callable[[], Skills], own: Path) -> None:
    (own / "plants.py").rename(own.parent / "elsewhere.py")
    (own / "plants.py").symlink_to(own.parent / "elsewhere.py")
    with pytest.raises(SkillInvalid, match="is a symbolic link"):
        with_own()


def test_a_folder_that_is_not_there(home: Home, tmp_path: Path) -> None:
    with pytest.raises(SkillInvalid, match="cannot be read"):
        room.load([ENGLISH], SkillContext(home.timers, home.lists), tmp_path / "none")


def test_the_default_context_reads_the_machines_clock(tmp_path: Path) -> None:
    timers, lists = TimerBook(tmp_path / "t.db"), ListBook(tmp_path / "l.db")
    skills = room.load([ENGLISH], SkillContext(timers, lists))
    for text in ("what time is it", "set a timer for a minute", "wake me up at seven", "turn it down"):
        match = skills.match(text)
        assert match is not None
        assert match.run().speech
    assert timers.due() == []
    assert 0 < (timers.next_due_s() or 0) <= 60
    timers.close()
    lists.close()


# ---- skills of other packages ------------------------------------------------------------------


def test_a_package_brings_skills_with_sentences_and_one_that_is_wrong_is_left_out(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "brought_dice.py").write_text(
        'def roll_two() -> str:\n    "Two dice."\n    return "Seven."\n'
    )
    (tmp_path / "brought_dice.yaml").write_text("intents: {roll_two: [roll two dice]}\n")
    (tmp_path / "brought_odd.py").write_text("def odd(what: complex) -> str:\n    return str(what)\n")
    (tmp_path / "brought_odd.yaml").write_text("intents: {odd: ['odd {what}']}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    declared_as(monkeypatch, "skills", dice="brought_dice", odd="brought_odd", gone="brought_nowhere")
    skills = room.load([ENGLISH], home.skills._context)
    found = skills.match("roll two dice")
    assert found is not None
    assert found.run().speech == "Seven."
    assert not found.only_answers, "nobody knows what a foreign skill does"
    assert skills.match("odd one") is None
    assert skills.match("what time is it") is not None
    for name in ("odd", "gone"):
        assert f"the skill '{name}' cannot be used" in caplog.text

"""Nothing that a stranger writes is obeyed by a terminal, looks like a line of ours, or tells a password."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.cli.main import main
from assistant.core.errors import ModelCorrupt
from assistant.runtime import logs
from assistant.runtime.harmless import HarmlessStream, harmless, one_line
from assistant.store.progress import Terminal

EVIL = "MIT\x1b]0;OWNED\x07\x1b[2J\x9b2J\u202e\u2028\nmine2  llm  a line of its own\r"


def is_harmless(text: str) -> bool:
    return all(letter in "\n\t" or letter.isprintable() or letter == "\u200d" for letter in text)


@given(st.text())
def test_whatever_it_is_nothing_is_obeyed_and_json_stays_json(text: str) -> None:
    assert not set(harmless(text)) & {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))}
    assert "\n" not in one_line(text)
    json.loads(harmless(json.dumps({"said": text}, ensure_ascii=False)))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://me:pw@box:80/a", "http://box:80/a"),
        ("see https://t@h/x?token=abc#f, please", "see https://h/x?... please"),
        ("https://h/x#access_token=abc", "https://h/x#..."),
        ("Is it http://h/x?", "Is it http://h/x?"),
        ("mail me@box", "mail me@box"),
    ],
)
def test_addresses_keep_their_place_only(address: str, shown: str) -> None:
    assert harmless(address) == shown


def test_a_name_that_no_encoding_has_is_printed_all_the_same() -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    print("caf\u00e9 \ud8ff", file=HarmlessStream(raw))
    assert raw.buffer.getvalue() == b"caf\\xe9 \\ud8ff\n"


@pytest.fixture
def voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stranger's voice with a card, and a home of our own to take it into."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "ASSISTANT__STORE__MODELS"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / EVIL.replace("/", "").replace("\r", "")
    folder.mkdir()
    (folder / "v.onnx").write_bytes(b"\x08\x08" + bytes(100))
    (folder / "v.onnx.json").write_text('{"audio":{"sample_rate":22050}}')
    (folder / "model-card.json").write_text(json.dumps({"licence": EVIL}))
    return folder


COMMANDS: list[Callable[[Path], list[str]]] = [
    lambda voice: ["models", "import", str(voice), "--as", "mine", "--kind", "tts"],
    lambda voice: ["models", "import", str(voice / "nothing\x1b[2J"), "--as", "mine", "--kind", "tts"],
    lambda _: ["models", "list"],
    lambda _: ["models", "list", "--json"],
    lambda _: ["models", "licences"],
    lambda _: ["models", "verify", "mine", "\x1b[2Jno\nmine2: every byte is right"],
    lambda _: ["models", "remove", "\x1b[2J"],
]


def test_no_command_prints_a_stranger_as_he_is(voice: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        main(command(voice))
        captured = capsys.readouterr()
        printed = captured.out + captured.err
        assert printed
        assert is_harmless(printed), command(voice)
        assert not any(line.startswith("mine2") for line in printed.splitlines()), printed


def test_progress_and_notes_stay_on_their_line() -> None:
    out = io.StringIO()
    Terminal(out).note(EVIL)
    assert is_harmless(out.getvalue())
    assert out.getvalue().count("\n") == 1


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("in_journal", [False, True])
def test_a_log_line_is_one_line(in_journal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if in_journal:
        monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    logs.set_up("debug")
    error = ModelCorrupt(EVIL, "Fetch it again from http://me:pw@box/x?token=abc.")
    logging.getLogger("assistant.x").error("source=%s problem=%s", Path(EVIL), error)
    written = log.getvalue()
    assert is_harmless(written)
    assert written.count("\n") == 1
    assert "pw" not in written
    assert "abc" not in written


def test_a_skill_that_raises_cannot_draw_either(tmp_path: Path) -> None:
    skills = tmp_path / "skills"
    skills.mkdir(mode=0o700)
    (skills / "a.py").write_text(f"raise ValueError({EVIL!r})")
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"skills: {{folder: '{skills}'}}\n")
    done = subprocess.run(
        [sys.executable, "-m", "assistant", "--config", str(settings), "ask", "what time is it"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    printed = (done.stdout + done.stderr).decode()
    assert "ValueError" in printed
    assert is_harmless(printed)
    assert not any(line.startswith("mine2") for line in printed.splitlines())

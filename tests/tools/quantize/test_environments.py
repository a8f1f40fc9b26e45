"""Environments of their own: what is pinned, where they lie, and that half of one is none."""

from __future__ import annotations

import hashlib
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from assistant.core.errors import DownloadFailed
from assistant.runtime import paths
from assistant.store.progress import Unwatched
from assistant.tools.quantize import environments
from tests.conftest import CHECKOUT
from tests.store.site import Heard

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


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where lists of pins are looked for; pip finds what lies beside them, and nothing else."""
    folder = tmp_path / "models" / "environments"
    folder.mkdir(parents=True)
    monkeypatch.setattr(paths, "shipped_folder", lambda _: folder.parent)
    monkeypatch.setattr(environments, "NEEDED_BYTES", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def wheel(folder: Path, name: str, version: str) -> str:
    """A package with nothing in it; its pin."""
    about = f"{name}-{version}.dist-info"
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return (
        f"{name.replace('_', '-')}=={version} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"
    )


@pytest.mark.parametrize("for_processors", [True, False])
def test_what_is_pinned_is_installed_once(lists: Path, *, for_processors: bool) -> None:
    """torch for processors where the index has it, else the whole one."""
    whole = wheel(lists, "torch", "1") + wheel(lists, "nvidia_x", "1") + wheel(lists, "other", "2")
    (lists / "x.txt").write_text(whole)
    (lists / "x-cpu.txt").write_text(wheel(lists, "torch", "1+cpu"))
    if not for_processors:
        (lists / "torch-1+cpu-py3-none-any.whl").unlink()
    watcher = Heard()
    python = environments.interpreter("x", watcher)
    listing = [str(python), "-m", "pip", "list", "--format=freeze", "--exclude=pip", "--exclude=setuptools"]
    there = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    assert there == (
        ["other==2", "torch==1+cpu"] if for_processors else ["nvidia_x==1", "other==2", "torch==1"]
    )
    done = {each.what: each.total_bytes for each in watcher.seen if each.done_bytes == each.total_bytes}
    assert ("Installing torch for processors" in done) == for_processors
    assert done["Fetching packages"] == len(there) - for_processors
    assert "Unpacking packages" in done
    assert environments.interpreter("x", watcher) == python
    assert len(watcher.notes) == 1


def test_what_cannot_be_installed_leaves_nothing(lists: Path, tmp_path: Path) -> None:
    pin = f"no-such-package-here==1 \\\n    --hash=sha256:{'0' * 64}\n"
    (lists / "x.txt").write_text(f"# a remark\n{pin}")
    with pytest.raises(DownloadFailed, match=r"could not be installed: .*no-such-package-here"):
        environments.interpreter("x", Unwatched())
    left = sorted(path.name for path in (tmp_path / "cache").rglob("x-*"))
    assert [name[-5:] for name in left] == [".lock"]

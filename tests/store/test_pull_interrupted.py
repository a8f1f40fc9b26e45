"""Pulls in another process: killed, side by side, on a disk that is full or may not be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assistant.core.errors import SettingsError, StorageFull
from tests.store.deliveries import (
    assert_absent,
    assert_installed,
    by_url,
    by_wheels,
    files_asked,
    ranges,
)
from tests.store.site import (
    Behaviour,
    Site,
    store_of,
    write_catalog,
)

PULL = """
    import resource
    import sys
    from pathlib import Path
    from assistant.core.errors import AssistantError
    from assistant.store import open_store
    limit = int(sys.argv[3]) or resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        open_store(Path(sys.argv[1]), Path(sys.argv[2])).pull(["small"])
    except AssistantError as error:
        sys.exit(f"{error.code}: {error}")
"""


def start_pull(models_dir: Path, catalog: Path, largest_file: int = 0) -> subprocess.Popen[str]:
    arguments = [str(models_dir), str(catalog), str(largest_file)]
    command = [sys.executable, "-c", textwrap.dedent(PULL), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, size: int, process: subprocess.Popen[str]) -> None:
    """Until the file at ``path`` has that many bytes, while the process is at work."""
    deadline = time.monotonic() + 60
    while not path.is_file() or path.stat().st_size < size:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_goes_on_later(site: Site, tmp_path: Path, how: signal.Signals) -> None:
    models_dir = tmp_path / "models"
    catalog = write_catalog(tmp_path / "catalog.yaml", small=by_url(site))
    site.always["/m.gguf"] = Behaviour(delay_s=0.1)
    part = models_dir / ".incoming" / "small" / "downloads" / "m.gguf.part"
    with start_pull(models_dir, catalog) as process:
        wait_for(part, 100_000, process)
        process.send_signal(how)
        process.communicate(timeout=30)
    assert process.returncode != 0
    assert_absent(models_dir)
    have = part.stat().st_size
    site.always.clear()
    with start_pull(models_dir, catalog) as process:
        assert process.communicate(timeout=60)[1] == ""
    assert_installed(models_dir)
    assert ranges(site) == [f"bytes={have}-"]


def test_killed_between_the_pieces_goes_on_later(site: Site, tmp_path: Path) -> None:
    models_dir = tmp_path / "models"
    catalog = write_catalog(tmp_path / "catalog.yaml", small=by_wheels(site))
    second = "/files/some_part_1-1.0.0-py3-none-any.whl"
    site.always[second] = Behaviour(delay_s=0.2)
    part = models_dir / ".incoming" / "small" / "downloads" / f"{Path(second).name}.part"
    with start_pull(models_dir, catalog) as process:
        wait_for(part, 60_000, process)
        process.kill()
        process.communicate(timeout=30)
    assert_absent(models_dir)
    site.always.clear()
    site.asked.clear()
    with start_pull(models_dir, catalog) as process:
        assert process.communicate(timeout=60)[1] == ""
    assert_installed(models_dir)
    assert files_asked(site) == [second, "/files/some_part_2-1.0.0-py3-none-any.whl"]
    assert ranges(site)[0].startswith("bytes=")


def test_two_pulls_at_once_fetch_it_once(site: Site, tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path / "catalog.yaml", small=by_url(site))
    site.always["/m.gguf"] = Behaviour(delay_s=0.05)
    with start_pull(tmp_path / "m", catalog) as one, start_pull(tmp_path / "m", catalog) as two:
        assert one.communicate(timeout=60)[1] == ""
        assert two.communicate(timeout=60)[1] == ""
    assert_installed(tmp_path / "m")
    assert files_asked(site).count("/m.gguf") == 1


def test_file_that_may_not_grow_is_a_full_disk(site: Site, tmp_path: Path) -> None:
    """As with a quota, or a file system whose files have a largest size."""
    catalog = write_catalog(tmp_path / "catalog.yaml", small=by_url(site))

    with start_pull(tmp_path / "m", catalog, largest_file=300_000) as process:
        said = process.communicate(timeout=60)[1]
    assert said.startswith("storage-full: ")
    assert "Traceback" not in said
    assert_absent(tmp_path / "m")
    assert not (tmp_path / "m" / ".incoming").exists()


@contextmanager
def small_disk(tmp_path: Path, options: str) -> Iterator[None]:
    """A file system of its own at ``disk`` below ``tmp_path``."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_disk_that_fills_up_while_downloading(site: Site, tmp_path: Path) -> None:
    """A disk of 24 MB that somebody else fills once the download has begun."""
    disk = tmp_path / "disk"
    filler = disk / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(65_536)):
                    pass
            except OSError:
                pass

    with small_disk(tmp_path, "size=24m"):
        store = store_of(disk / "models", small=by_url(site))
        site.always["/m.gguf"] = Behaviour(during=fill)
        with pytest.raises(StorageFull, match="is full"):
            store.pull(["small"])
        assert_absent(disk / "models")
        assert sum(path.stat().st_size for path in (disk / "models").rglob("*") if path.is_file()) == 0
        with pytest.raises(StorageFull, match="is free"):
            store.pull(["small"])
        filler.unlink()
        site.always.clear()
        store.pull(["small"])
        assert_installed(disk / "models")


def test_file_in_the_place_of_the_folder(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for models_dir in (tmp_path / "file", tmp_path / "file" / "models"):
        with pytest.raises(SettingsError, match="cannot be written"):
            store_of(models_dir, small=by_url(site)).pull(["small"])


def test_disk_that_may_not_be_written(site: Site, tmp_path: Path) -> None:
    with small_disk(tmp_path, "ro"), pytest.raises(SettingsError, match="cannot be written"):
        store_of(tmp_path / "disk" / "models", small=by_url(site)).pull(["small"])

"""Pages that were let go are not in memory, and hold the same when they come back."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from assistant.engines.llm.llama_cpp.model import drop_mapped_pages

MB = 1024 * 1024
STATUS = Path("/proc/self/smaps")


def resident_kb(path: Path) -> int:
    total, inside = 0, False
    for line in STATUS.read_text(encoding="utf-8").splitlines():
        if "-" in line.split(" ")[0]:
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.skipif(not STATUS.exists(), reason="needs /proc")
def test_pages_leave_and_return(tmp_path: Path) -> None:
    path = tmp_path / "model with a space.gguf"
    content = bytes(range(256)) * (8 * MB // 256)
    path.write_bytes(content)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == content
        assert resident_kb(path) > 7000
        drop_mapped_pages(path)
        assert resident_kb(path) < 1000
        assert mapped[:] == content


def test_a_page_that_was_written_to_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * MB)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        mapped[0] = ord("b")
        drop_mapped_pages(path)
        assert mapped[0] == ord("b")


def test_a_file_that_is_not_mapped_is_no_fault(tmp_path: Path) -> None:
    drop_mapped_pages(tmp_path / "nothing")

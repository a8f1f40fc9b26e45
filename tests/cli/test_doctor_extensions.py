"""The doctor lists what other packages add, and says which of them are broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_doctor import check
from tests.extensions import declared_as


def test_what_other_packages_add_is_told_and_what_is_broken_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared_as(monkeypatch, "skills", dice="random", broken="assistant.nowhere")
    broken, whole = check("extensions", tmp_path)
    assert (broken.ok, whole.ok) == (False, True)
    assert "the skill 'broken' cannot be used: No module named 'assistant.nowhere'" in broken.what
    assert "the skill 'dice'" in whole.what
    declared_as(monkeypatch, "skills")
    assert check("extensions", tmp_path) == [], "our own tools are none"

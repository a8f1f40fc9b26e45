"""Whatever another package does, the assistant goes on, and says whose fault it is."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from assistant.runtime import extensions
from tests.extensions import declared_as

NUMBER = 7


def test_what_an_entry_point_leads_to_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    declared_as(monkeypatch, "services", seven=f"{__name__}:NUMBER", this=__name__)
    assert extensions.found("services", int) == {"seven": 7}
    assert list(extensions.found("services", ModuleType)) == ["this"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise ValueError('a\\nb')", "a b"),
        ("import not_installed_anywhere", "No module named 'not_installed_anywhere'"),
        ("raise SystemExit", "SystemExit"),
        ("this is no Python", "invalid syntax"),
        ("THING = 'text'", "is not a int"),
        ("", "has no attribute 'THING'"),
    ],
)
def test_a_broken_package_is_one_sentence_with_its_name(
    body: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    module = f"broken_{abs(hash(body))}"
    (tmp_path / f"{module}.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    declared_as(monkeypatch, "engines", broken=f"{module}:THING", seven=f"{__name__}:NUMBER")
    for _ in range(2):
        assert extensions.found("engines", int) == {"seven": 7}
    (problem,) = [each.problem for each in extensions.look("engines", int) if each.problem]
    assert problem.startswith("the engine 'broken' cannot be used: ")
    assert told in problem
    assert "\n" not in problem
    assert len(caplog.records) == 1, "it is logged once"


def test_our_own_tools_are_told_from_extensions() -> None:
    ours = extensions.Extension("commands", "bench", "shelf-assistant 1.0", 1)
    theirs = extensions.Extension("commands", "bench", "shelf-assistant-more 1.0", 1)
    assert ours.is_ours
    assert not theirs.is_ours
    assert str(theirs) == "the command 'bench' of shelf-assistant-more 1.0"


def test_an_import_path_leads_to_what_it_names() -> None:
    assert extensions.imported("pathlib:Path") is Path
    with pytest.raises(AttributeError):
        extensions.imported("pathlib:Nowhere")

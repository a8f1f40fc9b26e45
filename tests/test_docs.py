"""The documentation is true: pictures come from the code, commands exist, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assistant.cli.main import main
from assistant.core.state import diagram

CHECKOUT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md")]


@pytest.mark.parametrize("name", ["README.md", "docs/architecture.md"])
def test_the_picture_of_the_states_is_the_table(name: str) -> None:
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    block = r"<!-- state diagram -->\n```mermaid\n(.*?)```\n<!-- /state diagram -->"
    drawn = re.search(block, text, re.DOTALL)
    assert drawn, "the document has no state diagram"
    assert drawn[1] == diagram(), "print(assistant.core.state.diagram()) and put it there"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every ``assistant ...`` in backticks or code blocks names a command that explains itself."""
    text = document.read_text(encoding="utf-8")
    for command in sorted(set(re.findall(r"(?:^|`|\$ |bin/)assistant ([a-z]+)\b", text, re.MULTILINE))):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        capsys.readouterr()
        assert ended.value.code == 0, f"assistant {command}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_settings_shown_are_settings(document: Path, tmp_path: Path) -> None:
    """Every YAML block of the user's documents is accepted, but for files only its reader has."""
    from assistant.runtime.yaml import read  # noqa: PLC0415
    from assistant.settings.schema import Settings  # noqa: PLC0415

    for block in re.findall(r"```yaml\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
        marked = read(block)
        assert not marked.faults
        Settings.model_validate(marked.value)

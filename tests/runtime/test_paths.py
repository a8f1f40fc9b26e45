"""What ships with the program, and where the person's files lie."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.core.errors import AssistantError
from assistant.runtime import paths
from tests.conftest import CHECKOUT


def test_a_checkout_uses_its_own_folders() -> None:
    assert paths.shipped_folder("config") == CHECKOUT / "config"
    assert paths.shipped_folder("models") == CHECKOUT / "models"


def test_an_installed_package_uses_the_copy_inside_it(tmp_path: Path) -> None:
    package = tmp_path / "site" / "assistant"
    (package / "_data" / "config").mkdir(parents=True)
    for name in ("__init__.py", "runtime/paths.py", "runtime/extensions.py", "core/errors.py"):
        (package / name).parent.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / "assistant" / name, package / name)
    ask = "from assistant.runtime import paths; print(paths.shipped_folder('config'))"
    answer = subprocess.run(
        [sys.executable, "-c", ask], cwd=package.parent, capture_output=True, text=True, check=True
    )
    assert Path(answer.stdout.strip()) == (package / "_data" / "config").resolve()


def test_an_incomplete_installation_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "assistant")
    with pytest.raises(AssistantError, match="installation is incomplete") as caught:
        paths.shipped_folder("models")
    assert caught.value.next_step


def test_profiles_are_named_after_their_files() -> None:
    devices = paths.shipped_files("devices")
    assert devices["raspberry-pi-4"] == CHECKOUT / "config" / "devices" / "raspberry-pi-4.yaml"


def test_a_person_without_xdg_variables_has_the_usual_folders() -> None:
    environ = {"HOME": "/home/ada"}
    assert paths.settings_files(environ) == (
        Path("/home/ada/.config/assistant/assistant.yaml"),
        Path("/etc/assistant/assistant.yaml"),
    )
    assert paths.models(environ=environ) == Path("/home/ada/.local/share/assistant/models")


def test_xdg_variables_move_the_folders_unless_they_are_relative() -> None:
    environ = {"HOME": "/home/ada", "XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "data"}
    assert paths.settings_files(environ)[0] == Path("/c/assistant/assistant.yaml")
    assert paths.models(environ=environ) == Path("/home/ada/.local/share/assistant/models")


def test_the_system_service_has_the_folder_that_systemd_made() -> None:
    environ = {"XDG_DATA_HOME": "/ignored", "STATE_DIRECTORY": "/var/lib/assistant:/var/lib/other"}
    assert paths.data(environ) == Path("/var/lib/assistant")
    assert paths.models(environ=environ) == Path("/var/lib/assistant/models")


def test_the_control_socket_is_where_only_its_owner_reaches() -> None:
    person = {"HOME": "/home/ada", "XDG_RUNTIME_DIR": "/run/user/1000"}
    assert paths.control(person) == Path("/run/user/1000/assistant/control")
    assert paths.controls(person)[1] == Path("/run/assistant/control")
    assert paths.control({"HOME": "/home/ada"}) == Path("/home/ada/.local/share/assistant/control")
    service = {"RUNTIME_DIRECTORY": "/run/assistant", "XDG_RUNTIME_DIR": "/run/user/0"}
    assert paths.control(service) == paths.SYSTEM_CONTROL


def test_no_home_at_all_still_gives_absolute_folders() -> None:
    assert paths.models(environ={}).is_absolute()

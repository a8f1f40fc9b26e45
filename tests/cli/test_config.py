"""`assistant config`, and the files that are written by it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import yaml

from assistant.board.recognise import recognise
from assistant.cli import config
from assistant.cli.checks import graphics
from assistant.settings import load as configuration
from assistant.settings.keys import keys
from assistant.settings.reference import in_yaml, json_schema, own, reference
from assistant.settings.schema import Settings
from tests.board.machines import SERVER_WITH_CARD
from tests.conftest import CHECKOUT
from tests.installation import install


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return install(tmp_path, monkeypatch)


def run(*words: str, file: Path | None = None) -> int:
    parser = argparse.ArgumentParser()
    config.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["config", *words])
    arguments.config = file
    status: int = arguments.run(arguments)
    return status


def test_the_reference_file_is_what_the_schema_says() -> None:
    written = (CHECKOUT / "config" / "assistant.yaml").read_text(encoding="utf-8")
    assert written == reference(), "run `assistant config show --reference > config/assistant.yaml`"


def test_the_schema_file_is_what_the_schema_says() -> None:
    written = (CHECKOUT / "config" / "assistant.schema.json").read_text(encoding="utf-8")
    assert written == json_schema(), "run `assistant config schema > config/assistant.schema.json`"


def test_the_reference_file_points_editors_at_the_schema() -> None:
    first = reference().splitlines()[0]
    assert first == "# yaml-language-server: $schema=./assistant.schema.json"


def test_the_reference_file_means_the_defaults_to_any_yaml_reader(home: Path) -> None:
    assert yaml.safe_load(reference()) == Settings().model_dump(mode="json")
    file = home / "reference.yaml"
    file.write_text(reference())
    assert configuration.load(file, {}, home / "root").settings == Settings()


@pytest.mark.parametrize("key", keys().values(), ids=lambda key: key.name)
def test_every_key_and_section_says_what_it_is_for(key: object) -> None:
    assert getattr(key, "about", "").endswith((".", ")"))


def test_the_file_to_begin_with_sets_nothing(home: Path) -> None:
    file = home / "own.yaml"
    file.write_text(own("/schema.json"))
    loaded = configuration.load(file, {}, home / "root")
    assert loaded.settings == Settings()
    assert {len(path) for path in loaded.origins} <= {1, 2}
    assert not any(path in loaded.origins for path, key in keys().items() if not key.is_section)


def test_taking_the_comment_mark_off_sets_that_key(home: Path) -> None:
    file = home / "own.yaml"
    file.write_text(own("/schema.json").replace("#top_k: 40", "top_k: 7"))
    assert configuration.load(file, {}, home / "root").settings.llm.top_k == 7


@pytest.mark.parametrize(
    ("value", "text"),
    [("off", "'off'"), (1.0, "1.0"), (None, "null"), ([], "[]"), ("a b", "a b"), (True, "true")],
)
def test_values_are_written_so_that_every_yaml_reader_agrees(value: object, text: str) -> None:
    assert in_yaml(value) == text


def test_show_says_where_each_value_comes_from(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "mine.yaml"
    file.write_text("device: small\nllm:\n  temperature: 0.2\n")
    monkeypatch.setenv("ASSISTANT__LOG__LEVEL", "debug")
    assert run("show", file=file) == 0
    shown = capsys.readouterr().out
    origins = {line.split(":")[0].strip(): line.partition("  # ")[2] for line in shown.splitlines()}
    assert origins["temperature"] == f"{file}:3"
    assert origins["context_tokens"].endswith("small.yaml:2")
    assert origins["level"] == "ASSISTANT__LOG__LEVEL"
    assert origins["top_p"] == "default"
    again = home / "again.yaml"
    again.write_text(shown)
    effective = configuration.load(file, {"ASSISTANT__LOG__LEVEL": "debug"}, home / "root").settings
    assert configuration.load(again, {}, home / "root").settings == effective


def test_check_is_content_with_no_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check") == 0
    assert "No mistakes found." in capsys.readouterr().out


def test_check_names_every_mistake_and_exits_2(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "mine.yaml"
    file.write_text("llm:\n  temprature: 0.2\n  top_p: 3\n")
    assert run("check", file=file) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.split(":")[1] for line in told.err.splitlines()] == ["2", "3"]


def test_check_names_models_that_do_not_exist(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "mine.yaml"
    file.write_text(
        "llm:\n  model: smollm2-135m-instruct-q4-1\ntts:\n  runtime: torch\n  model: tts_models/x\n"
    )
    assert run("check", file=file) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line
        == f"{file}:2: llm.model: unknown model 'smollm2-135m-instruct-q4-1'; did you mean \
'smollm2-135m-instruct-q4_1'?"
    )


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("schema") == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["properties"]["device"]["default"] == "auto"
    assert schema["additionalProperties"] is False


def test_template_points_at_the_installed_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "--template") == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert Path(first.partition("$schema=")[2]).is_file()


def test_check_says_what_the_machine_has_and_what_uses_its_graphics_card(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(config, "recognise", lambda: recognise(SERVER_WITH_CARD.lay_out(home / "server")))
    monkeypatch.setattr(graphics, "use", lambda _, gpus: (f"{gpus[0]}: used by llm", ""))
    assert run("check") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("This machine: 2 processors")
    assert lines[-1] == "GPU: NVIDIA H100 80GB HBM3: used by llm"

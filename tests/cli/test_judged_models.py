"""``assistant models choose`` and ``calibrate``, with models whose answers are scripted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from assistant.app import memory_fit, model_choice
from assistant.app.answers import asking, choosing
from assistant.app.answers.asking import Answered
from assistant.app.answers.judging import judge
from assistant.app.answers.questions import Question, read
from assistant.cli.main import main
from assistant.dialog.confidence import Evidence
from assistant.runtime.paths import shipped_folder
from assistant.settings.schema import Settings
from assistant.store import open_store
from assistant.store.catalog import ModelFile
from assistant.store.folder import write_record

SHIPPED = shipped_folder("models") / "questions"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two models of one's own: "wise" is right more often than "dull", and knows when."""
    folder = tmp_path / "models"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ASSISTANT__STORE__MODELS", str(folder))
    for name in ("wise", "dull"):
        (folder / name).mkdir(parents=True)
        (folder / name / "m.gguf").write_bytes(b"x")
        write_record(folder / name, "llm", "test", {"m.gguf": ModelFile(bytes=1, sha256="0" * 64)})

    def ask_all(
        settings: Settings, questions: Sequence[Question], progress: Callable[[str], None]
    ) -> list[Answered]:
        wise = settings.llm.model == "wise"
        answers = []
        for number, question in enumerate(questions):
            right = number % (3 if wise else 7) != 0 if wise else number % 7 == 0
            said = question.accepted[0] if right else "nonsense"
            verdict = judge(question, said)
            sure = (-0.1 if right else -3.0) - 0.01 * (number % 9) if wise else -1.0
            found = Evidence(sure, sure, sure)
            answers.append(
                Answered(
                    question,
                    "model",
                    said,
                    said,
                    "plain",
                    "other",
                    found,
                    0.9,
                    verdict,
                    verdict,
                    0.4,
                    9,
                    20.0,
                )
            )
        return answers

    plan = SimpleNamespace(fits=True, need=SimpleNamespace(needed=5e8))
    monkeypatch.setattr(asking, "ask_all", ask_all)
    monkeypatch.setattr(choosing, "ask_all", ask_all)
    monkeypatch.setattr(memory_fit, "plan", lambda *_, **__: plan)
    monkeypatch.setattr(memory_fit, "require", lambda *_, **__: None)
    return folder


def questions(tmp_path: Path, count: int) -> str:
    file = tmp_path / "questions.jsonl"
    lines = [json.dumps({"question": f"What is {n}?", "accepted": [f"answer{n}"]}) for n in range(count)]
    file.write_text("\n".join(lines))
    return str(file)


def test_the_truest_is_chosen_and_auto_takes_it(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "choose", "--questions", questions(tmp_path, 20)]) == 0
    out = capsys.readouterr().out
    assert "wise" in out.splitlines()[-1]
    kept = model_choice.read_kept()
    assert kept is not None
    assert kept.model == "wise"
    settings = Settings.model_validate({"store": {"models": models}})
    assert model_choice.choice(settings).model == "wise"
    assert model_choice.answers()["dull"] == "3 of 20, 17 false"


def test_calibration_is_kept_with_the_model(models: Path, tmp_path: Path) -> None:
    assert open_store(models).calibration("wise", 0) is None
    assert main(["models", "calibrate", "wise", "--questions", questions(tmp_path, 90)]) == 0
    found = open_store(models).calibration("wise", 0)
    assert found is not None
    assert found.questions == 90


def test_what_cannot_be_trusted_is_not_calibrated(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "calibrate", "dull", "--questions", questions(tmp_path, 90)]) != 0
    assert "Nothing tells" in capsys.readouterr().err
    assert open_store(models).calibration("dull", 0) is None


@pytest.mark.parametrize("name", ["everyday", "people"])
def test_the_shipped_questions_can_be_read(name: str) -> None:
    found = read(SHIPPED / f"{name}.jsonl")
    assert len({question.id for question in found}) == len(found) >= 60
    assert all(question.source for question in found)

"""What the doctor says of cores, memory and the model's disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.app import model_choice
from assistant.board import storage
from assistant.cli.checks import graphics
from assistant.settings.schema import Settings
from tests.board.machines import PI_4, SERVER_WITH_CARD
from tests.cli.test_doctor import check


def test_who_runs_where_is_told(tmp_path: Path) -> None:
    (finding,) = check("cores", PI_4.lay_out(tmp_path))
    assert finding.ok is True
    assert "cores 1-3 for the models, core 0 for listening" in finding.what


def test_more_threads_than_cores_are_too_many(tmp_path: Path) -> None:
    settings = Settings.model_validate({"llm": {"threads": 12}})
    (finding,) = check("cores", PI_4.lay_out(tmp_path), settings)
    assert finding.ok is None
    assert "llm.threads" in finding.next_step


@pytest.mark.parametrize(("bytes_per_s", "ok"), [(40e6, None), (300e6, True)])
@pytest.mark.parametrize("weights", ["a.gguf", "onnx/model.onnx_data"])
def test_a_slow_card_below_the_model_is_worth_knowing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str, bytes_per_s: float, ok: bool | None
) -> None:
    settings = Settings.model_validate({"llm": {"model": "mine"}, "store": {"models": tmp_path}})
    file = tmp_path / settings.llm.model / weights
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    file.with_name("config.json").write_bytes(b"{}")
    rates = {file: storage.Rate(bytes_per_s, direct=True)}
    monkeypatch.setattr(storage, "read_rate", rates.get)
    (finding,) = check("storage", tmp_path, settings)
    assert finding.ok is ok
    assert bool(finding.next_step) is (ok is None)


def test_what_cannot_be_measured_is_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate({"llm": {"model": "mine"}, "store": {"models": tmp_path}})
    (missing,) = check("storage", tmp_path, settings)
    assert "not installed" in missing.what
    (tmp_path / settings.llm.model).mkdir()
    (tmp_path / settings.llm.model / "model.onnx").write_bytes(b"weights")
    monkeypatch.setattr(storage, "read_rate", lambda _: None)
    (finding,) = check("storage", tmp_path, settings)
    assert (finding.ok, "not here" in finding.what) == (None, False)


@pytest.mark.models
@pytest.mark.parametrize(
    ("free_mb", "total_mb", "ok"), [(4000, 4000, True), (600, 4000, None), (600, 620, False)]
)
def test_the_memory_plan_is_shown(tmp_path: Path, free_mb: int, total_mb: int, ok: bool | None) -> None:
    (tmp_path / "proc").mkdir()
    meminfo = f"MemTotal: {total_mb * 1000} kB\nMemAvailable: {free_mb * 1000} kB\n"
    (tmp_path / "proc/meminfo").write_text(meminfo)
    settings = Settings.model_validate({"llm": {"model": model_choice.STAND_IN}})
    (finding,) = check("memory", tmp_path, settings)
    assert finding.ok is ok
    assert "2048 tokens" in finding.what
    assert bool(finding.next_step) is (ok is not True)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules go before those that are installed, in the doctor's child processes."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


FAKE_BUILDS = """
def llama_supports_gpu_offload(): return {llama}
def get_cuda_device_count(): return {cuda_devices}
def get_available_providers(): return {providers}
"""
"""What the engines' packages say where there is a graphics card."""
ON_PROCESSOR = ["AzureExecutionProvider", "CPUExecutionProvider"]
ON_CARD = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
NO_BUILD: dict[str, object] = {"llama": False, "cuda_devices": 0, "providers": ON_PROCESSOR}


@pytest.mark.parametrize(
    ("built", "settings", "said", "ok"),
    [
        ({}, {}, "built for the CPU only", True),
        ({"llama": True}, {}, "used by llm", True),
        (
            {"llama": True, "cuda_devices": 1, "providers": ON_CARD},
            {"stt": {"device": "auto"}},
            "used by stt, llm, tts",
            True,
        ),
        ({"cuda_devices": 1}, {}, "CTranslate2 could", None),
        ({"providers": ON_CARD}, {"tts": {"providers": "cpu"}}, "cuda, tensorrt could", None),
        (
            {"providers": ON_CARD},
            {"llm": {"engine": "onnx"}, "tts": {"providers": "cpu"}},
            "used by llm",
            True,
        ),
    ],
)
def test_what_uses_the_graphics_card_is_told(
    built: dict[str, object],
    settings: dict[str, object],
    said: str,
    ok: bool | None,
    packages: Path,
) -> None:
    for name in ("llama_cpp", "ctranslate2", "onnxruntime"):
        (packages / f"{name}.py").write_text(FAKE_BUILDS.format(**{**NO_BUILD, **built}))
    root = SERVER_WITH_CARD.lay_out(packages / "root")
    (finding,) = check("gpu", root, Settings.model_validate(settings))
    assert finding.what.startswith("NVIDIA H100 80GB HBM3: ")
    assert said in finding.what
    assert finding.ok is ok
    assert bool(finding.next_step) is (ok is None)


def test_without_a_graphics_card_no_engine_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(graphics, "child")
    (finding,) = check("gpu", PI_4.lay_out(tmp_path))
    assert finding.ok is True

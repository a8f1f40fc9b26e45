"""Nothing is loaded that was not asked for: no engine by the command line, and one only by its name."""

from __future__ import annotations

import subprocess
import sys

from assistant.engines.specs import SPECS
from tests.conftest import CHECKOUT

ENGINE_MODULES = {each.create.partition(":")[0] for each in SPECS}

HEAVY = {"ctranslate2", "faster_whisper", "huggingface_hub", "llama_cpp", "onnxruntime", "torch", "TTS"}
"""Packages that take long to import or much memory; each belongs to one engine or source."""


def _loaded_by(code: str) -> set[str]:
    """What is in ``sys.modules`` after running ``code`` in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_the_command_line_loads_no_engine() -> None:
    loaded = _loaded_by(
        "from assistant.cli import main\n"
        "for name in (*main._OWN, 'bench', 'quantize'): main._parser(main._common(), name)"
    )
    assert {"assistant.cli.main", "assistant.cli.run", "assistant.tools.quantize.command"} <= loaded
    assert not loaded & (ENGINE_MODULES | HEAVY | {"assistant.tools.quantize.making"})


def test_only_the_selected_engine_is_loaded() -> None:
    loaded = _loaded_by(
        "from assistant import engines; from assistant.settings.engines import VadSettings\n"
        "engines.load('vad', 'webrtc', settings=VadSettings(engine='webrtc')).close()"
    )
    assert loaded & ENGINE_MODULES == {"assistant.engines.vad.webrtc"}
    assert not loaded & HEAVY

"""Checks whether anything here computes on the GPU, and if not, whether it could.

That depends on the settings and on how the installed packages were built: llama.cpp uses a GPU on its own if
built for it, CTranslate2 and ONNX Runtime if the settings allow it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator

from assistant.board.graphics import gpus
from assistant.cli.checks.finding import Check, Finding, Patient
from assistant.cli.checks.software import child
from assistant.settings.engines import Provider
from assistant.settings.schema import Settings

_BUILT_FOR_ONE = """
def ask(module, question):
    try:
        return question(__import__(module))
    except Exception:
        return []
print(*ask("llama_cpp", lambda it: ["llama.cpp"] * it.llama_supports_gpu_offload()))
print(*ask("ctranslate2", lambda it: ["CTranslate2"] * (it.get_cuda_device_count() > 0)))
names = ask("onnxruntime", lambda it: it.get_available_providers())
there = [name.lower().removesuffix("executionprovider") for name in names]
print(*{"tensorrt", "cuda", "coreml"}.intersection(there))
"""

_PLACES: frozenset[Provider] = frozenset(("tensorrt", "cuda", "coreml"))
"""ONNX Runtime's GPU providers."""


def use(settings: Settings, names: Collection[str]) -> tuple[str, str]:
    """Return what the GPUs ``names`` are used for, and how they could be used, both as text for the user.

    Imports the engines' packages in a child process, but only if there is a GPU.
    """
    if not names:
        return "no usable GPU", ""
    able = set(child(sys.executable, "-c", _BUILT_FOR_ONE).stdout.split())
    users = _users(settings, able)
    known = f"{' and '.join(names)}: "
    if users:
        return f"{known}used by {', '.join(users)}", ""
    if not able:
        return f"{known}not used; the installed packages were built for the CPU only", ""
    step = "Set stt.device to auto, or llm.providers and tts.providers, to try it."
    return f"{known}not used; {', '.join(sorted(able))} could use it", step


def _users(settings: Settings, able: Collection[str]) -> list[str]:
    """Return those of the three engines that the settings put on a GPU, and that can use it."""
    local = settings.llm.needs_model and settings.llm.engine != "onnx"
    chosen: dict[str, Collection[str]] = {
        "stt": ["CTranslate2"] if settings.stt.device != "cpu" else [],
        "llm": ["llama.cpp"] if local else _places(settings.llm.providers, settings.llm.engine == "onnx"),
        "tts": _places(settings.tts.providers, settings.tts.runtime == "onnx"),
    }
    return [kind for kind, ways in chosen.items() if set(ways) & set(able)]


def _places(wanted: Collection[Provider], is_onnx: bool) -> Collection[Provider]:  # noqa: FBT001
    """Return where ONNX Runtime may run a network; no preference means anywhere."""
    return (wanted or _PLACES) if is_onnx else ()


def _gpu(patient: Patient) -> Iterator[Finding]:
    what, step = use(patient.settings, gpus(patient.root))
    yield Finding("gpu", ok=None if step else True, what=what, next_step=step)


CHECKS: dict[str, Check] = {"gpu": _gpu}

"""Does anything here compute on the graphics processor, and if not, could it?

What uses one is decided by the settings and by how the installed packages were built: llama.cpp takes
it by itself when it was built for it, CTranslate2 and ONNX Runtime where the settings let them.
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
"""Where ONNX Runtime computes on a graphics processor."""


def use(settings: Settings, names: Collection[str]) -> tuple[str, str]:
    """What the graphics processors ``names`` are used for, in words, and how they could be; both for people.

    Imports the engines' packages in a child process, where there is a graphics processor at all.
    """
    if not names:
        return "none that an engine could compute on", ""
    able = set(child(sys.executable, "-c", _BUILT_FOR_ONE).stdout.split())
    users = _users(settings, able)
    known = f"{' and '.join(names)}: "
    if users:
        return f"{known}used by {', '.join(users)}", ""
    if not able:
        return f"{known}nothing here uses it; what is installed was built for the processor only", ""
    step = "Set stt.device to auto, or llm.providers and tts.providers, to let them try."
    return f"{known}nothing here uses it; {', '.join(sorted(able))} could", step


def _users(settings: Settings, able: Collection[str]) -> list[str]:
    """Those of the three engines that the settings put on a graphics processor, and that can."""
    local = settings.llm.needs_model and settings.llm.engine != "onnx"
    chosen: dict[str, Collection[str]] = {
        "stt": ["CTranslate2"] if settings.stt.device != "cpu" else [],
        "llm": ["llama.cpp"] if local else _places(settings.llm.providers, settings.llm.engine == "onnx"),
        "tts": _places(settings.tts.providers, settings.tts.runtime == "onnx"),
    }
    return [kind for kind, ways in chosen.items() if set(ways) & set(able)]


def _places(wanted: Collection[Provider], is_onnx: bool) -> Collection[Provider]:  # noqa: FBT001
    """Where ONNX Runtime may put a network; none wanted is every place."""
    return (wanted or _PLACES) if is_onnx else ()


def _gpu(patient: Patient) -> Iterator[Finding]:
    what, step = use(patient.settings, gpus(patient.root))
    yield Finding("gpu", ok=None if step else True, what=what, next_step=step)


CHECKS: dict[str, Check] = {"gpu": _gpu}

"""Checks that Python, the packages, the engines and the programs they call are installed and start.

Compiled packages are imported in a child process: one built for another processor kills the importing
process, which must not be the doctor.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from types import ModuleType

from assistant import __version__
from assistant.audio.backends import Backend
from assistant.board.limits import text
from assistant.cli import Command
from assistant.cli.checks.finding import Check, Finding, Patient
from assistant.core.errors import EngineUnavailable
from assistant.runtime import extensions
from assistant.runtime.engine_spec import EngineSpec, spec
from assistant.services.host import Service
from assistant.skills.sentences import without_sentences
from assistant.text import Language

DISTRIBUTION = "shelf-assistant"

CHILD_TIMEOUT_S = 120
"""An import takes seconds; from a slow SD card, tens of them."""

FASTER_WITH = {"avx2": "AVX2", "asimddp": "DOTPROD"}
"""CPU feature in /proc/cpuinfo -> llama.cpp's name for a build that uses it."""


def _python(_patient: Patient) -> Iterator[Finding]:
    what = f"assistant {__version__} on Python {platform.python_version()}, {platform.platform(terse=True)}"
    if sys.maxsize < 2**32:
        step = "Install the 64-bit edition of the operating system."
        yield Finding(
            "python",
            ok=False,
            what=f"{what}: this is a 32-bit system, and the engines need 64 bits",
            next_step=step,
        )
    else:
        yield Finding("python", ok=True, what=what)


def _packages(_patient: Patient) -> Iterator[Finding]:
    """Check every required package, without extras."""
    try:
        wanted = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        step = "Run ./scripts/setup in the checkout, or install the package."
        yield Finding(
            "packages", ok=None, what="the program is running without being installed", next_step=step
        )
        return
    always = [requirement for requirement in wanted if "extra ==" not in requirement]
    versions = {name: _version(name) for name in sorted(re.split(r"[^\w.-]", line)[0] for line in always)}
    missing = [name for name, version in versions.items() if not version]
    if missing:
        what = f"not installed: {', '.join(missing)}"
        yield Finding("packages", ok=False, what=what, next_step=f"Run: pip install {' '.join(missing)}")
    here = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    yield Finding("packages", ok=True, what=here)


def _extensions(_patient: Patient) -> Iterator[Finding]:
    """Check extensions from other packages."""
    kinds: dict[extensions.Group, type[object]] = {
        "engines": EngineSpec,
        "skills": ModuleType,
        "languages": Language,
        "boards": ModuleType,
        "services": Service,
        "audio": Backend,
        "commands": Command,
    }
    for group, kind in kinds.items():
        for each in extensions.look(group, kind):
            if each.problem:
                step = "Update or uninstall that package. Everything else works without it."
                yield Finding("extension", ok=False, what=each.problem, next_step=step)
            elif not each.is_ours:
                yield Finding("extension", ok=True, what=str(each))


def _language(patient: Patient) -> Iterator[Finding]:
    """Whether skills understand the language that is spoken."""
    language = patient.settings.stt.language
    if note := without_sentences(language):
        step = "Set stt.language to en, or write your own sentences (docs/skills.md)."
        yield Finding("language", ok=None, what=note, next_step=step)
    else:
        yield Finding("language", ok=True, what=f"sentences for {language}")


def _version(package: str) -> str:
    """Return the version; empty if it isn't installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _engine(kind: str, patient: Patient) -> Iterator[Finding]:
    """Import the chosen engine's module."""
    if kind == "turn":  # selected by its model, and usually not used
        name = "smart_turn" if patient.settings.endpoint.turn_model else ""
    else:
        name = getattr(patient.settings, kind).engine
    if not name:
        return
    check = f"{kind} engine"
    module = spec(kind, name).create.partition(":")[0]
    done = child(sys.executable, "-c", f"import {module}")
    if done.returncode == 0:
        yield Finding(check, ok=True, what=f"{name} starts")
    elif done.returncode == -signal.SIGILL:
        what = f"{name} was built for a different processor: it crashes with an illegal instruction"
        yield Finding(check, ok=False, what=what, next_step="Run ./scripts/setup on this board.")
    else:
        last_line = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        key = "endpoint.turn_model" if kind == "turn" else f"{kind}.engine"
        step = f"Install what is missing, or change the settings ({key})."
        yield Finding(check, ok=False, what=f"{name} fails to start: {last_line}", next_step=step)


_LOAD_WAKE_WORDS = """
import sys
from assistant.core.errors import AssistantError
from assistant.engines import load
from assistant.settings.keys import whole
try:
    settings = whole().model_validate_json(sys.argv[1]).wake
    name = "open_wake_word" if settings.engine == "auto" else settings.engine
    load("wake", name, settings=settings)
except AssistantError as error:
    sys.exit(f"{error.problem} [{error.code}]")
"""


def _wake_word(patient: Patient) -> Iterator[Finding]:
    """Load the wake words, including custom files."""
    wake = patient.settings.wake
    if wake.engine == "none":
        return
    done = child(sys.executable, "-c", _LOAD_WAKE_WORDS, patient.settings.model_dump_json(include={"wake"}))
    last_line = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    if done.returncode == 0:
        words = ", ".join(word.phrase for word in wake.words)
        yield Finding("wake engine", ok=True, what=f"wake words: {words}")
    elif wake.engine == "auto" and EngineUnavailable.code in last_line:
        step = "To get a wake word, if this board supports it: ./scripts/setup run wake"
        what = "not available on this board: any speech wakes the assistant"
        yield Finding("wake engine", ok=None, what=what, next_step=step)
    else:
        step = "Correct wake.words, or set wake.engine to none, so that any speech wakes the assistant."
        yield Finding("wake engine", ok=False, what=last_line, next_step=step)


def _llama_build(patient: Patient) -> Iterator[Finding]:
    """Check that llama.cpp was compiled for this processor."""
    if patient.settings.llm.engine != "llama_cpp":
        return
    ask = "import llama_cpp; print(llama_cpp.__version__, llama_cpp.llama_print_system_info().decode())"
    done = child(sys.executable, "-c", ask)
    if done.returncode:
        yield Finding("llama.cpp", ok=None, what="it fails to start, see above")
        return
    can = text(patient.root / "proc/cpuinfo").split()
    unused = [
        built
        for ability, built in FASTER_WITH.items()
        if ability in can and f"{built} = 1" not in done.stdout
    ]
    what = " ".join(done.stdout.split()).removesuffix("|").strip()
    if unused:
        what = f"built without this processor's {', '.join(unused)}: {what}"
        yield Finding(
            "llama.cpp",
            ok=None,
            what=what,
            next_step="For much faster answers, run ./scripts/setup on this board.",
        )
    else:
        yield Finding("llama.cpp", ok=True, what=what)


def _espeak(patient: Patient) -> Iterator[Finding]:
    if "espeak-ng" not in spec("tts", patient.settings.tts.engine).programs:
        return
    program = shutil.which("espeak-ng")
    if program is None:
        step = "Install it. On Debian and its derivatives: sudo apt install espeak-ng"
        yield Finding("espeak-ng", ok=False, what="the voice needs this program", next_step=step)
        return
    done = child(program, "--version")
    if done.returncode:
        yield Finding("espeak-ng", ok=False, what="it fails to run", next_step="Reinstall it.")
    else:
        yield Finding(
            "espeak-ng", ok=True, what=done.stdout.strip().removeprefix("eSpeak NG text-to-speech: ")
        )


def child(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program; a timeout counts as failure."""
    try:
        return subprocess.run(  # noqa: S603  our own interpreter, or a program found on the PATH
            command, capture_output=True, text=True, errors="replace", timeout=CHILD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {CHILD_TIMEOUT_S} s")


CHECKS: dict[str, Check] = {
    "python": _python,
    "packages": _packages,
    "extensions": _extensions,
    "language": _language,
    "wake engine": _wake_word,
    **{f"{kind} engine": partial(_engine, kind) for kind in ("vad", "stt", "turn", "llm", "tts")},
    "llama.cpp": _llama_build,
    "espeak-ng": _espeak,
}

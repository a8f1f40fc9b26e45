"""Proof that a model does not end the program: it is loaded and used once in a child that may fail.

Libraries that load models are native code, and a damaged or hostile file ends the process inside them. So a
model is proven before it is loaded here: its files are hashed, and one that the catalog doesn't vouch for is
loaded and used in a confined child (``runtime.confined``). What was proven is remembered in the cache by the
files' sizes, inodes and times of change, so a normal start costs nothing more. A mark that is set while a
library loads, and stays when the process ends there, has everything proven anew at the next start.

``python -m assistant.app.proof`` is the child: it reads what to load from its input.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

from assistant import __version__
from assistant.core.errors import AssistantError, EngineUnavailable, ModelCorrupt, SettingsError
from assistant.runtime import confined, memory_file, paths
from assistant.runtime.engine_spec import spec
from assistant.runtime.json_file import facts
from assistant.settings.schema import Settings
from assistant.store import Store

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["stt", "llm", "tts"]

KINDS: tuple[Kind, ...] = ("llm", "stt", "tts")

_SPARE_BYTES = 2_500_000_000
"""Libraries, threads' stacks and buffers; a limit that stops a file which wants everything."""
_TIMES = 4
"""A model may take up to this multiple of its file size while loading: some formats are unpacked."""
_CPU_S, _CPU_S_PER_GB = 90, 180
"""A slow board loads its default model in a tenth of that."""
_WALL_TIMES = 3
"""Others may be busy on the same cores."""
_REPORT_BYTES = 65_536
_CONTEXT_TOKENS = 512

_marked: dict[str, int] = {}
"""What this process is loading, and how often it says so."""


def require(kind: Kind, settings: Settings, store: Store, folder: Path) -> None:
    """Prove the model of ``kind`` that the settings name, which is opened in ``folder``, if it is not proven.

    Raises ModelCorrupt when it is not what was verified, or ends the library that loads it.
    """
    section = getattr(settings, kind)
    name: str = section.model
    seen = _seen(store.models_dir / name, section.engine)
    doubted = _was_ended(kind, name)
    if not doubted and seen == _remembered(kind, name):
        return
    store.verify(name)  # reads and hashes every file
    if doubted or name not in store.catalog.models:
        _prove(kind, settings, folder)
    _remember(kind, name, seen)


def try_import(kind: Kind, settings: Settings, store: Store, name: str) -> str:
    """Prove a model that just came in; why it can't be used, if its engine says so.

    Raises ModelCorrupt, and takes it out of the store again, when it ends the program.
    """
    section = getattr(settings, kind).model_copy(update={"model": name})
    wanted = settings.model_copy(update={kind: section})
    try:
        with store.opened(name, kind) as folder:
            require(kind, wanted, store, folder)
    except _Ended:
        store.remove(name)
        raise
    except AssistantError as error:
        return error.problem
    return ""


def usable(settings: Settings, store: Store, kinds: tuple[Kind, ...] = KINDS) -> Settings:
    """The settings, with another model of the same kind in the place of each that is damaged.

    The last one that worked comes first, then others that are here, the largest first. Raises ModelCorrupt
    when there is none.
    """
    for kind in kinds:
        has_model = spec(kind, getattr(settings, kind).engine).needs_model
        if not has_model or (kind == "llm" and not settings.llm.needs_model):
            continue
        settings = _usable(kind, settings, store)
    return settings


def _usable(kind: Kind, settings: Settings, store: Store) -> Settings:
    chosen: str = getattr(settings, kind).model
    damage: ModelCorrupt | None = None
    for name in (chosen, *_stand_ins(kind, chosen, store)):
        section = getattr(settings, kind).model_copy(update={"model": name})
        candidate = settings.model_copy(update={kind: section})
        try:
            with store.opened(name, kind) as folder:
                require(kind, candidate, store, folder)
        except ModelCorrupt as error:
            damage = damage or error
            log.error("model=%s kind=%s problem=%s next_step=%s", name, kind, error.problem, error.next_step)
            continue
        except AssistantError:
            if name == chosen:
                return settings  # it is told where it is loaded
            continue
        if name != chosen:
            log.error("model=%s kind=%s stands_in_for=%s", name, kind, chosen)
        return candidate
    assert damage is not None  # noqa: S101 - the chosen one was tried
    raise damage


def _stand_ins(kind: Kind, chosen: str, store: Store) -> Iterator[str]:
    last = facts(_place(kind, "last")).get("name")
    here = [each for each in store.entries() if each.kind == kind and each.state == "installed"]
    ending = _endings(store.models_dir / chosen)
    fitting = [each for each in here if each.name != chosen and _endings(each.path) == ending]
    yield from (each.name for each in sorted(fitting, key=lambda each: (each.name != last, -each.size_bytes)))


def _endings(folder: Path) -> bool:
    """Whether it is a GGUF file: an engine loads one kind of file."""
    return any(folder.glob("*.gguf"))


@contextmanager
def marked(kind: str, name: str) -> Iterator[None]:
    """Record that a native library is loading or trying a model, so a crash there is recognized later."""
    place = _place(kind, "loading")
    _marked[kind] = _marked.get(kind, 0) + 1
    with suppress(OSError):
        _write(place, {"name": name, "process": _process(os.getpid())})
    try:
        yield
    finally:
        _marked[kind] -= 1
        if not _marked[kind]:
            with suppress(OSError):
                place.unlink()


def _was_ended(kind: str, name: str) -> bool:
    """Whether a process ended while it loaded this model."""
    mark = facts(_place(kind, "loading"))
    process = mark.get("process")
    if mark.get("name") != name or not isinstance(process, list) or len(process) != 2 or _marked.get(kind):
        return False
    return not isinstance(process[0], int) or _process(process[0]) != process


def _process(number: int) -> list[int | str]:
    """A process and when it began, as numbers are given again."""
    try:
        began = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        began = ""
    return [number, began]


def _seen(folder: Path, engine: str) -> dict[str, object]:
    """What tells that the files are those that were proven, without reading them."""
    files = {}
    for file in sorted(folder.iterdir()):
        status = file.stat()
        if not file.name.startswith("."):
            files[file.name] = [status.st_size, status.st_ino, status.st_ctime_ns]
    return {"files": files, "engine": engine, "version": __version__}


def _remembered(kind: str, name: str) -> Mapping[str, object]:
    return facts(_place(kind, name))


def _remember(kind: str, name: str, seen: Mapping[str, object]) -> None:
    with suppress(OSError):
        _write(_place(kind, name), seen)
        _write(_place(kind, "last"), {"name": name})
        if not _marked.get(kind):
            _place(kind, "loading").unlink(missing_ok=True)


def _place(kind: str, name: str) -> Path:
    return paths.cache() / "proofs" / f"{kind}-{name}.json"


def _write(place: Path, content: Mapping[str, object]) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file)
    new.replace(place)


class _Ended(ModelCorrupt):
    """The child did not end by itself."""


def _prove(kind: Kind, settings: Settings, folder: Path) -> None:
    section = getattr(settings, kind)
    size_bytes = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    cpu_s = _CPU_S + size_bytes * _CPU_S_PER_GB // 1_000_000_000
    order = {
        "kind": kind,
        "engine": _engine(kind, section.engine, folder),
        "folder": str(folder),
        "settings": section.model_dump(mode="json"),
        "memory_bytes": _SPARE_BYTES + _TIMES * size_bytes,
        "cpu_s": cpu_s,
    }
    log.info("model=%s kind=%s proof=begun", section.model, kind)
    again = "Fetch it again, or choose another model."
    with ExitStack() as stack:
        held = [memory_file.descriptor(file) for file in folder.iterdir() if memory_file.is_held(file)]
        child = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "assistant.app.proof"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=held,
                cwd="/",  # nothing that lies here is imported
            )
        )
        try:
            told, _ = child.communicate(json.dumps(order).encode(), timeout=_WALL_TIMES * cpu_s)
        except subprocess.TimeoutExpired:
            child.kill()
            raise _Ended(f"The model {section.model} took too long to load and use.", again) from None
    if child.returncode < 0:
        reason = signal.Signals(-child.returncode).name
        if reason in {"SIGXCPU", "SIGKILL"}:
            reason = "it takes too long, or too much memory"
        raise _Ended(f"The model {section.model} ends the program that loads it ({reason}).", again)
    if child.returncode:
        _tell(section.model, told[-_REPORT_BYTES:])
    log.info("model=%s kind=%s proof=held", section.model, kind)


def _engine(kind: Kind, chosen: str, folder: Path) -> str:
    """What loads the files: behind a server, the local model is loaded by its own kind of engine."""
    if kind != "llm" or chosen != "openai":
        return chosen
    return "llama_cpp" if _endings(folder) else "onnx"


def _tell(name: str, told: bytes) -> None:
    """Raise what the child ran into, unless it says nothing about the model."""
    try:
        report = json.loads(told.rpartition(b"\0")[2])
    except (ValueError, RecursionError):
        raise _Ended(f"The model {name} ends the program that loads it.", "Choose another model.") from None
    if report.get("is_of_model"):
        raise ModelCorrupt(str(report.get("problem")), str(report.get("next_step")))
    log.info("model=%s proof=none reason=%s", name, report.get("problem"))


def child(order: Mapping[str, Any]) -> None:
    """Load and use the model of ``order``, confined. Raises whatever happens."""
    from assistant import engines  # noqa: PLC0415 - the child alone needs them
    from assistant.core.types import Message, Sentence  # noqa: PLC0415
    from assistant.runtime.cancel import Cancel  # noqa: PLC0415

    kind, chosen = order["kind"], order["settings"]
    if kind == "llm":
        chosen |= {"context_tokens": _CONTEXT_TOKENS, "max_tokens": 4, "history_tokens": 0, "adapter": None}
    chosen |= {"device": "cpu"} if kind == "stt" else {"providers": ["cpu"]}  # it may open no other device
    section = type(getattr(Settings(), kind)).model_validate(chosen)
    confined.confine(memory_bytes=order["memory_bytes"], cpu_s=order["cpu_s"], programs=kind == "tts")
    what = {"settings": section, "model": Path(order["folder"]), "threads": 1}
    engine = engines.load(kind, order["engine"], **what)
    engine.warm_up()
    if kind == "llm":
        list(engine.stream([Message("system", "Be brief."), Message("user", "Hello")], Cancel()))
    elif kind == "tts":
        engine.synthesize(Sentence("Hello."), Cancel())
    engine.close()


def _main() -> int:
    out = os.dup(1)
    os.dup2(2, 1)  # libraries write what they like
    try:
        child(json.loads(sys.stdin.buffer.read()))
    except MemoryError:
        report = {"is_of_model": True, "problem": "The model wants more memory than any of its kind."}
    except AssistantError as error:
        report = {
            "is_of_model": not isinstance(error, EngineUnavailable | SettingsError),
            "problem": error.problem,
            "next_step": error.next_step,
        }
    except BaseException as error:  # noqa: BLE001 - libraries raise what is no Exception, too
        problem = f"The model can't be used: its library says {type(error).__name__}."
        report = {"is_of_model": True, "problem": problem}
    else:
        return 0
    report.setdefault("next_step", "Fetch it again, or choose another model.")
    os.write(out, b"\0" + json.dumps(report).encode())
    return 1


if __name__ == "__main__":
    status = _main()
    sys.stdout.flush()
    os._exit(status)  # what a library does while it ends is of no interest

"""Where ONNX Runtime may run a network here: TensorRT, CUDA, CoreML or CPU, in that order.

A provider that is missing, or fails to start, is skipped with a line in the log. TensorRT's results are kept,
since building an engine takes minutes. Independent of what the networks compute.
"""

from __future__ import annotations

import ctypes.util
import logging
import mmap
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnxruntime

from assistant.core.errors import EngineUnavailable, ModelCorrupt
from assistant.runtime import memory_file, paths
from assistant.settings.engines import Provider, TensorRtSettings

log = logging.getLogger(__name__)

NAMES: dict[Provider, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""In the order used by "auto"."""

SILENT = 4
"""Log severity "fatal": errors are raised, and an interruption is not an error."""

ON_CARD = ("tensorrt", "cuda")
"""Providers that use a GPU's own memory."""

Lengths = Callable[[str], tuple[int, int, int]]
"""Input -> minimum, usual and maximum length of its variable axes. The batch size is one."""


@dataclass(frozen=True, slots=True)
class Place:
    """A provider with its options."""

    provider: Provider
    options: dict[str, Any] = field(default_factory=dict)


def choose(wanted: Sequence[Provider], tensorrt: TensorRtSettings, *, network: str) -> list[Place]:
    """Return those of ``wanted`` that this machine has, in order, ending with the CPU; empty means "auto".

    ``network`` is its name in the log.
    """
    available = onnxruntime.get_available_providers()
    names: list[Provider] = []
    for name in wanted or NAMES:
        if not (reason := _why_not(name, available)):
            names.append(name)
        elif wanted or NAMES[name] in available:  # "auto" covers only this build's providers
            level = logging.WARNING if wanted else logging.INFO
            log.log(level, "provider=%s network=%s skipped=yes reason=%r", name, network, reason)
    if "cpu" not in names:
        names.append("cpu")  # what the others cannot compute must run somewhere
    return [Place(name, _tensorrt(tensorrt) if name == "tensorrt" else {}) for name in names]


def open_session(
    file: Path, options: Any, places: Sequence[Place], *, network: str, lengths: Lengths | None = None
) -> tuple[Any, Provider]:
    """Open the network in ``file``; returns the session and where most of it runs. Raises ModelCorrupt if
    none works.

    A provider that fails to start is skipped. ``lengths`` are what TensorRT prepares for; without them it
    rebuilds whenever a longer input arrives.
    """
    held = memory_file.is_held(file)
    rest = [replace(place, options=_kept_off_disk(place.options, held)) for place in places]
    if any(place.provider in ON_CARD for place in rest):
        _find_cuda()
    with _beside(file, options) if held else nullcontext(file) as source:
        if lengths is not None:
            rest = [prepared for place in rest for prepared in _prepared(place, source, options, lengths)]
        while True:
            try:
                session = _session(source, options, rest)
                break
            except Exception as error:  # ONNX Runtime's exceptions have no common base class
                failed = next((place for place in rest if place.provider != "cpu"), None)
                if failed is None:
                    raise ModelCorrupt(
                        f"The network {file.name} cannot be loaded: {first_line(error)}.",
                        f"Fetch it again with: assistant models pull {file.parent.name}",
                    ) from error
                rest.remove(failed)
                again = any(place.provider == failed.provider for place in rest)
                _tell(failed.provider, network, "shapes=none" if again else "skipped=yes", error)
    started = session.get_providers()
    running = []
    for name in dict.fromkeys(place.provider for place in rest):
        if NAMES[name] in started:
            running.append(name)
        else:
            _tell(name, network, "skipped=yes", None)
    log.info("network=%s runs_on=%s", network, ",".join(running))
    return session, running[0]


def _session(source: Path | bytes, options: Any, places: Sequence[Place]) -> Any:
    """Open a session. Raises any error of ONNX Runtime. Of several places with one provider, the first
    counts.
    """
    providers: dict[str, dict[str, Any]] = {}
    for place in places:
        providers.setdefault(NAMES[place.provider], place.options)
    # Its own fallback prints, and omits the error that TensorRT raises.
    return onnxruntime.InferenceSession(source, options, providers=list(providers.items()), enable_fallback=0)


def _prepared(place: Place, source: Path | bytes, options: Any, lengths: Lengths) -> Iterator[Place]:
    """Yield TensorRT with the shapes of every variable input (all or none must be given), then ``place``."""
    if place.provider == "tensorrt":
        level = options.graph_optimization_level
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            inputs = _session(source, options, [Place("cpu")]).get_inputs()
        except Exception:  # noqa: BLE001  What only a card can run has its shapes from what comes.
            inputs = []
        options.graph_optimization_level = level
        open_ended = [each for each in inputs if not all(isinstance(size, int) for size in each.shape)]
        profiles = {
            f"trt_profile_{which}_shapes": ",".join(
                f"{each.name}:{_shape(each.shape, lengths(each.name)[at])}" for each in open_ended
            )
            for at, which in enumerate(("min", "opt", "max"))
        }
        if open_ended:
            yield replace(place, options={**place.options, **profiles})
    yield place


def _shape(shape: Sequence[object], length: int) -> str:
    """Format like 1x3x128x64."""
    sizes = [size if isinstance(size, int) else length if at else 1 for at, size in enumerate(shape)]
    return "x".join(map(str, sizes))


@cache
def _find_cuda() -> None:
    """Load CUDA from its pip packages, where the loader doesn't look for it."""
    onnxruntime.set_default_logger_severity(SILENT)  # failures get a line of our own
    if find_spec("nvidia") is not None:
        with redirect_stdout(sys.stderr):
            onnxruntime.preload_dlls()


def _tell(provider: Provider, network: str, done: str, error: Exception | None) -> None:
    """Log that a provider failed to start: with what its library is missing, or else with its own message."""
    reason = _missing(provider) or (first_line(error) if error else "it did not start")
    log.warning("provider=%s network=%s %s reason=%r", provider, network, done, reason)


def _missing(provider: Provider) -> str:
    """Return what a provider's library needs but cannot find; empty if that isn't the problem."""
    library = Path(onnxruntime.__file__).parent / "capi" / f"libonnxruntime_providers_{provider}.so"
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        if library.is_file() and "cannot open shared object" in str(error):
            return str(error)
    return ""


@contextmanager
def _beside(file: Path, options: Any) -> Iterator[bytes]:
    """Load a network into memory, and register in ``options`` the weights stored in other files.

    ONNX Runtime doesn't follow links to those itself. It copies them while opening the session.
    """
    others = [
        each
        for each in file.parent.iterdir()
        if each != file and each.name.startswith(file.stem) and each.stat().st_size
    ]
    with ExitStack() as stack:
        opened = [stack.enter_context(each.open("rb")) for each in others]
        maps = [stack.enter_context(mmap.mmap(each.fileno(), 0, access=mmap.ACCESS_READ)) for each in opened]
        if maps and not hasattr(options, "add_external_initializers_from_files_in_memory"):
            raise EngineUnavailable(
                f"ONNX Runtime {onnxruntime.__version__} cannot open encrypted "
                "weights stored outside the network file.",
                "Decrypt the model, or use a newer ONNX Runtime.",
            )
        if maps:
            options.add_external_initializers_from_files_in_memory(
                [each.name for each in others], maps, [len(each) for each in maps]
            )
        yield file.read_bytes()


def _kept_off_disk(options: dict[str, Any], held: bool) -> dict[str, Any]:  # noqa: FBT001
    """Remove the options that would save TensorRT's results for an encrypted network."""
    return {key: value for key, value in options.items() if not (held and "cache" in key)}


def first_line(error: Exception) -> str:
    """Return the first line of ONNX Runtime's message, without the period."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _why_not(name: Provider, available: Sequence[str]) -> str:
    """Return why it isn't available on this machine; empty if it is."""
    if NAMES[name] not in available:
        return f"this build of ONNX Runtime has only {', '.join(available)}"
    if name == "tensorrt" and not _has_tensorrt():  # a CUDA build always lists it
        return "TensorRT's libraries (nvinfer) are not installed"
    return ""


def _has_tensorrt() -> bool:
    return bool(ctypes.util.find_library("nvinfer")) or find_spec("tensorrt_libs") is not None


def _tensorrt(settings: TensorRtSettings) -> dict[str, Any]:
    folder = paths.cache() / "tensorrt"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": settings.fp16,
        "trt_int8_enable": settings.int8,
    }

"""Where ONNX Runtime may run a network here: TensorRT, CUDA, CoreML or the processor, in order.

One that is not there, or is there and does not start, is skipped with one line in the log. TensorRT keeps
what it built, since building an engine takes minutes. Knows nothing of what the networks compute.
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
"""In the order of "auto"."""

SILENT = 4
"""Log severity "fatal": what goes wrong is raised, and an interruption is no fault."""

ON_CARD = ("tensorrt", "cuda")
"""What these compute lies in the memory of a graphics card."""

Lengths = Callable[[str], tuple[int, int, int]]
"""Input -> least, usual and greatest length of its axes that have no fixed one. Batches are of one."""


@dataclass(frozen=True, slots=True)
class Place:
    """A provider with its options."""

    provider: Provider
    options: dict[str, Any] = field(default_factory=dict)


def choose(wanted: Sequence[Provider], tensorrt: TensorRtSettings, *, network: str) -> list[Place]:
    """Those of ``wanted`` that this machine has, in order, the processor last; none wanted means "auto".

    ``network`` is how the log calls it.
    """
    available = onnxruntime.get_available_providers()
    names: list[Provider] = []
    for name in wanted or NAMES:
        if not (reason := _why_not(name, available)):
            names.append(name)
        elif wanted or NAMES[name] in available:  # "auto" does not mean what other builds have
            level = logging.WARNING if wanted else logging.INFO
            log.log(level, "provider=%s network=%s skipped=yes reason=%r", name, network, reason)
    if "cpu" not in names:
        names.append("cpu")  # what the others cannot compute must run somewhere
    return [Place(name, _tensorrt(tensorrt) if name == "tensorrt" else {}) for name in names]


def open_session(
    file: Path, options: Any, places: Sequence[Place], *, network: str, lengths: Lengths | None = None
) -> tuple[Any, Provider]:
    """The network in ``file`` and where most of it runs. Raises ModelCorrupt when no place can run it.

    A place that does not start is skipped. ``lengths`` are what TensorRT prepares for: otherwise it builds
    anew whenever a longer one comes.
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
            except Exception as error:  # ONNX Runtime's exceptions share no class of their own.
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
    """Raises whatever ONNX Runtime does. Of several places with one provider the first counts."""
    providers: dict[str, dict[str, Any]] = {}
    for place in places:
        providers.setdefault(NAMES[place.provider], place.options)
    # Its own way back prints, and leaves out the error that TensorRT raises.
    return onnxruntime.InferenceSession(source, options, providers=list(providers.items()), enable_fallback=0)


def _prepared(place: Place, source: Path | bytes, options: Any, lengths: Lengths) -> Iterator[Place]:
    """TensorRT with the shapes of every input that has no fixed one (all or none must be), then ``place``."""
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
    """Such as 1x3x128x64."""
    sizes = [size if isinstance(size, int) else length if at else 1 for at, size in enumerate(shape)]
    return "x".join(map(str, sizes))


@cache
def _find_cuda() -> None:
    """Load CUDA from its pip packages, where the loader does not look for it."""
    onnxruntime.set_default_logger_severity(SILENT)  # what does not start has a line of ours
    if find_spec("nvidia") is not None:
        with redirect_stdout(sys.stderr):
            onnxruntime.preload_dlls()


def _tell(provider: Provider, network: str, done: str, error: Exception | None) -> None:
    """Warn that a provider did not start, with what its own library lacks, or else what it said."""
    reason = _missing(provider) or (first_line(error) if error else "it did not start")
    log.warning("provider=%s network=%s %s reason=%r", provider, network, done, reason)


def _missing(provider: Provider) -> str:
    """What a provider's own library wants and does not find; empty when that is not the matter."""
    library = Path(onnxruntime.__file__).parent / "capi" / f"libonnxruntime_providers_{provider}.so"
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        if library.is_file() and "cannot open shared object" in str(error):
            return str(error)
    return ""


@contextmanager
def _beside(file: Path, options: Any) -> Iterator[bytes]:
    """The network of a file in memory; ``options`` learn of the weights that lie in files beside it.

    ONNX Runtime follows no link to those by itself. It copies them while it opens the session.
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
                f"ONNX Runtime {onnxruntime.__version__} cannot open encrypted weights beside a network.",
                "Decrypt the model, or use a newer ONNX Runtime.",
            )
        if maps:
            options.add_external_initializers_from_files_in_memory(
                [each.name for each in others], maps, [len(each) for each in maps]
            )
        yield file.read_bytes()


def _kept_off_disk(options: dict[str, Any], held: bool) -> dict[str, Any]:  # noqa: FBT001
    """Nothing that TensorRT makes of an encrypted network is kept."""
    return {key: value for key, value in options.items() if not (held and "cache" in key)}


def first_line(error: Exception) -> str:
    """What ONNX Runtime says first, without its full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _why_not(name: Provider, available: Sequence[str]) -> str:
    """Why it is not on this machine; empty when it is."""
    if NAMES[name] not in available:
        return f"this build of ONNX Runtime has {', '.join(available)} only"
    if name == "tensorrt" and not _has_tensorrt():  # a build for CUDA names it in any case
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

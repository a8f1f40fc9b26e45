"""Where ONNX Runtime may run a network here: TensorRT, CUDA, CoreML or the processor, in order.

One that was asked for and is not there is skipped with one line in the log. TensorRT keeps what it
built, since building an engine takes minutes. Knows nothing of what the networks compute.
"""

from __future__ import annotations

import ctypes.util
import logging
import mmap
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnxruntime

from assistant import memory_file, paths
from assistant.errors import AssistantError, EngineUnavailable, ModelCorrupt
from assistant.settings_engines import Provider, TensorRtSettings

log = logging.getLogger(__name__)

NAMES: dict[Provider, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""In the order of "auto"."""

ON_CARD = ("tensorrt", "cuda")
"""What these compute lies in the memory of a graphics card."""

Lengths = Mapping[str, tuple[Sequence[int], Sequence[int], Sequence[int]]]
"""Input -> its least, usual and greatest shape."""


@dataclass(frozen=True, slots=True)
class Place:
    """A provider with its options."""

    provider: Provider
    options: dict[str, Any] = field(default_factory=dict)


def choose(
    wanted: Sequence[Provider], tensorrt: TensorRtSettings, lengths: Lengths, *, network: str
) -> list[Place]:
    """Those of ``wanted`` that this machine has, in order, the processor last; none wanted means "auto".

    ``lengths`` are the shapes that TensorRT prepares for; ``network`` is how the log calls it.
    """
    there = _there(onnxruntime.get_available_providers())
    for name in wanted:
        if name not in there:
            log.warning("provider=%s network=%s skipped=yes reason=%r", name, network, _why_not(name))
    names = [name for name in (wanted or NAMES) if name in there]
    if "cpu" not in names:
        names.append("cpu")  # what the others cannot compute must run somewhere
    log.info("network=%s runs_on=%s", network, ",".join(names))
    return [Place(name, _tensorrt(tensorrt, lengths) if name == "tensorrt" else {}) for name in names]


def open_session(file: Path, options: Any, places: Sequence[Place]) -> tuple[Any, Provider]:
    """The network in ``file`` and where most of it runs. Raises ModelCorrupt when no place can run it.

    A provider that is there but does not start (its libraries do not fit) is skipped by ONNX Runtime.
    """
    held = memory_file.is_held(file)
    providers = [(NAMES[place.provider], _kept_off_disk(place.options, held)) for place in places]
    try:
        with _beside(file, options) if held else nullcontext(file) as network:
            session = onnxruntime.InferenceSession(network, options, providers=providers)
    except AssistantError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions share no class of their own.
        raise ModelCorrupt(
            f"The network {file.name} cannot be loaded: {first_line(error)}.",
            f"Fetch it again with: assistant models pull {file.parent.name}",
        ) from error
    running = set(session.get_providers())
    for place in places:
        if NAMES[place.provider] not in running:
            log.warning(
                "provider=%s network=%s skipped=yes reason='it did not start'", place.provider, file.stem
            )
    return session, next(place.provider for place in places if NAMES[place.provider] in running)


@contextmanager
def _beside(file: Path, options: Any) -> Iterator[bytes]:
    """The network of a file in memory; ``options`` learn of the weights that lie in files beside it.

    ONNX Runtime follows no link to those by itself. It copies them while it opens the session.
    """
    others = [each for each in file.parent.iterdir() if each != file and each.name.startswith(file.stem)]
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


def _there(available: Collection[str]) -> set[Provider]:
    there = {name for name, full in NAMES.items() if full in available}
    if "tensorrt" in there and not _has_tensorrt():
        there.remove("tensorrt")  # ONNX Runtime for CUDA names it whether or not its libraries are here
    return there


def _has_tensorrt() -> bool:
    return bool(ctypes.util.find_library("nvinfer")) or find_spec("tensorrt_libs") is not None


def _why_not(name: Provider) -> str:
    if name == "tensorrt" and NAMES[name] in onnxruntime.get_available_providers():
        return "TensorRT's libraries (nvinfer) are not installed"
    return f"this build of ONNX Runtime has {', '.join(onnxruntime.get_available_providers())} only"


def _tensorrt(settings: TensorRtSettings, lengths: Lengths) -> dict[str, Any]:
    folder = paths.cache() / "tensorrt"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    profiles = {
        f"trt_profile_{name}_shapes": ",".join(
            f"{key}:{'x'.join(map(str, shapes[at]))}" for key, shapes in lengths.items()
        )
        for at, name in enumerate(("min", "opt", "max"))
    }
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": settings.fp16,
        "trt_int8_enable": settings.int8,
        **(profiles if lengths else {}),
    }

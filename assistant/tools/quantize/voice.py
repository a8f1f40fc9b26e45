"""Makes a voice that works without torch from a Coqui VITS voice: a folder or one of Coqui's names.

Coqui's library downloads it and exports the network in a separate process (``voice_process``): torch takes
seconds to load and crashes on some boards' CPUs, so it is never loaded in this process, and Ctrl-C kills the
child. ``voice_weights`` shrinks the decoder, and ``voice_gate`` checks the result. Of the training's
config.json, only what synthesis needs is kept, because it names folders of other computers.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import onnxruntime

from assistant.core.errors import DownloadFailed, EngineUnavailable, ModelCorrupt, ModelMissing, SettingsError
from assistant.store import Store, licences
from assistant.store.disk import writing
from assistant.store.own import check_name
from assistant.store.progress import Watcher, timed
from assistant.tools.quantize import card, voice_gate
from assistant.tools.quantize.checkpoint import declared_licence, read_json
from assistant.tools.quantize.record import checksum
from assistant.tools.quantize.request import Request
from assistant.tools.quantize.workspace import install, last_line, plan, refuse, stem_of, workspace

SHRUNK: dict[str, Literal["", "fp16", "int8"]] = {"onnx": "", "onnx-fp16": "fp16", "onnx-int8": "int8"}
"""Format -> how the decoder's weights are stored."""

CHECKPOINTS = ("model_file.pth", "model_file.pth.tar", "model.pth", "checkpoint.pth", "best_model.pth")
SPEAKERS = ("speaker_ids.json", "speakers.json", "speaker_ids.pth", "speakers.pth")
COQUI_NAME = re.compile(r"tts_models/[\w-]+/[\w-]+/[\w.-]+")

KEPT = (
    *("model", "use_phonemes", "phonemizer", "phoneme_language", "text_cleaner"),
    *("enable_eos_bos_chars", "add_blank", "speakers"),
)
KEPT_ARGS = ("inference_noise_scale", "length_scale", "inference_noise_scale_dp", "num_speakers")


def make(request: Request, store: Store, watcher: Watcher) -> dict[str, Any]:
    """Run the whole process; returns the voice's card with its ``path``. On any error, the store is
    unchanged.

    Raises SettingsError, ModelMissing, LicenceNotAccepted, ModelCorrupt, ModelRefused, DownloadFailed,
    EngineUnavailable without the extra, StorageFull, EngineFailed.
    """
    if request.format not in SHRUNK:
        raise SettingsError(
            f"A voice cannot be converted to {request.format[:40]!r}.", f"Available: {', '.join(SHRUNK)}."
        )
    if request.name:
        check_name(store.catalog, request.name)
    folder, coqui_name = _found(request.source)
    require_packages()
    agree = licences.agreement(store.models_dir, accept=request.accept_licence)
    licence = licence_of(coqui_name) or declared_licence(folder)
    agree(request.source, licence)
    stem = stem_of(coqui_name.removeprefix("tts_models/").replace("/", "-") or str(folder))
    name = request.name or f"{stem}-{request.format}"
    check_name(store.catalog, name)
    checkpoint = _checkpoint(folder)
    if checkpoint is None:
        folder = fetch(coqui_name, watcher)
        licence = licence or declared_licence(folder)
        agree(request.source, licence)
        checkpoint = _checkpoint(folder)
    if checkpoint is None:
        raise _missing(str(folder))
    size_bytes = checkpoint.stat().st_size
    with workspace(store.models_dir, watcher) as work_dir:
        plan(2 * size_bytes, 3 * size_bytes, work_dir, watcher)
        made = work_dir / "made" / name
        made.mkdir(parents=True)
        onnx, probes = made / f"{name}.onnx", work_dir / "probes.npz"
        speakers = _one_of(folder, SPEAKERS)
        job = {
            "config": str(folder / "config.json"),
            "checkpoint": str(checkpoint),
            "speakers": str(speakers) if speakers else "",
            "onnx": str(onnx),
            "probes": str(probes),
            "threads": request.threads,
        }
        answer = export(job, watcher)
        with writing(store.models_dir):
            _describe(made, read_json(folder / "config.json"), answer)
            full_bytes = onnx.stat().st_size
            if kind := SHRUNK[request.format]:
                from assistant.tools.quantize.voice_weights import shrink  # noqa: PLC0415  needs the package onnx

                shrink(onnx, kind)
        voice_gate.check_symbols(made, answer["symbols"])
        with timed("Listening to it", watcher):
            spoken = voice_gate.listen(made, probes, request.threads)
        doubts = voice_gate.doubts(spoken, request.format)
        refuse(doubts, f"The voice {name} was not installed", force=request.force)
        options: dict[str, str | bool] = {"to": request.format, "as": request.name, "force": request.force}
        about = card.stamped(
            {
                "name": name,
                "kind": "tts",
                "format": request.format,
                "command": card.command("voice", request.source, options=options),
                "source": request.source,
                "source_sha256": checksum([checkpoint], watcher),
                "licence": licence,
                "source_bytes": size_bytes,
                "bytes": onnx.stat().st_size,
                "fp32_bytes": full_bytes,
                "speakers": len(answer["speakers"]),
                "symbols": len(answer["symbols"]),
                "correlation": round(spoken.correlation, 6),
                "largest_difference": float(f"{spoken.largest_difference:.3g}"),
                "sentence_s": round(spoken.seconds, 2),
                "speaking_s": round(spoken.speaking_s, 2),
                "memory_mb": spoken.memory_mb,
                "forced": doubts,
            },
            f"coqui-tts {answer['versions']['coqui-tts']}, onnxruntime {onnxruntime.__version__}",
            answer["versions"],
        )
        place = install(store, "tts", made, about, watcher)
    return {**about, "path": str(place)}


def _found(source: str) -> tuple[Path, str]:
    """Return the voice's folder, and its Coqui name if it has one, in which case it may not be downloaded
    yet.
    """
    home = os.environ.get("TTS_HOME") or os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    kept = Path(home, "tts", source.replace("/", "--")).expanduser()
    for folder in (Path(source).expanduser(), kept):
        if _checkpoint(folder):
            names = (
                source,
                "/".join(folder.resolve().name.split("--", 3)),
            )  # Coqui's library names its folders this way.
            return folder, next((each for each in names if COQUI_NAME.fullmatch(each)), "")
    if COQUI_NAME.fullmatch(source):
        return kept, source
    raise _missing(source)


def _missing(source: str) -> ModelMissing:
    return ModelMissing(
        f"There is no Coqui voice in {source}: it needs a config.json and one of {', '.join(CHECKPOINTS)}.",
        "Specify its folder, or one of Coqui's names, such as tts_models/en/ljspeech/vits.",
    )


def _checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of the voice in ``folder``; None if there is none."""
    return _one_of(folder, CHECKPOINTS) if (folder / "config.json").is_file() else None


def _one_of(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _describe(made: Path, config: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Write what the engine needs: the voice's config, symbols, and speakers."""
    arguments, audio = config.get("model_args") or {}, config.get("audio") or {}
    said = {key: config[key] for key in KEPT if config.get(key) is not None}
    said["characters"] = answer["characters"]
    said["audio"] = {"sample_rate": audio.get("sample_rate", 22_050)}
    said["model_args"] = {key: arguments[key] for key in KEPT_ARGS if arguments.get(key) is not None}
    said["model_args"]["num_speakers"] = answer["num_speakers"]
    _save(made / "config.json", said)
    _save(made / "phonemes.json", answer["symbols"])
    if answer["speakers"]:
        _save(made / "speaker_ids.json", answer["speakers"])


def _save(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


CATALOGUE = ".models.json"

NEEDED = ("TTS", "torch", "torchaudio", "onnx")


def require_packages() -> None:
    """Raises EngineUnavailable without the extra."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise EngineUnavailable(
            f"Exporting a Coqui voice needs the Python package '{missing[0]}', which is not installed.",
            "Install the assistant with the `coqui` and `prepare` extras "
            "(`scripts/setup run coqui prepare`; with torch for a PC, that takes "
            "5 GB).",
        )


def licence_of(name: str) -> str:
    """Return the license of the named voice from Coqui's own list; empty without one."""
    package = find_spec("TTS")
    said: Any = None
    for folder in (package and package.submodule_search_locations) or ():
        with contextlib.suppress(OSError, ValueError):
            said = json.loads((Path(folder) / CATALOGUE).read_bytes())
    for key in [*name.split("/"), "license"]:
        said = said.get(key) if isinstance(said, dict) else None
    return str(said or "")


def fetch(name: str, watcher: Watcher) -> Path:
    """Return the folder to which Coqui's library downloaded the named voice. Raises DownloadFailed."""
    watcher.note(f"Requesting {name} from Coqui's library.")
    with timed(f"Fetching {name}", watcher):
        answer = _asked({"name": name})
    if why := answer.get("failed"):
        raise DownloadFailed(
            f"{name} is not on this computer and could not be downloaded: {why}.",
            "Check the network, or download it elsewhere and specify its folder here.",
        )
    return Path(answer["folder"])


def export(job: Mapping[str, Any], watcher: Watcher) -> dict[str, Any]:
    """Run ``job`` (paths ``config``, ``checkpoint``, ``speakers``, ``onnx``, and ``probes``, and
    ``threads``).

    Returns the voice's tokenizer and speakers. Raises ModelCorrupt.
    """
    watcher.note("Coqui's library is writing the network. For a full-size voice, this takes minutes.")
    with timed("Writing the network", watcher):
        answer = _asked(job)
    if why := answer.get("failed"):
        raise ModelCorrupt(
            f"The voice in {Path(job['config']).parent} cannot be exported: {why}.",
            "Check that its files are complete, and that it is a Coqui TTS VITS model.",
        )
    return answer


def _asked(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the child's answer; the child is killed if this is interrupted."""
    command = [sys.executable, "-m", "assistant.tools.quantize.voice_process"]
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile() as complaints:
        child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=complaints, text=True)  # noqa: S603
        try:
            said, _ = child.communicate(json.dumps(dict(job)))
        finally:
            child.kill()
            child.wait()
        try:
            answer = json.loads(said)
        except ValueError:
            answer = {"failed": last_line(complaints)}
    if not isinstance(answer, dict):
        answer = {"failed": "its answer makes no sense"}
    failed = answer.get("failed")
    return {"failed": str(failed).rstrip(".")} if failed else answer

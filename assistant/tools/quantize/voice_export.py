"""Has Coqui's library fetch a voice or write it as ONNX, in a process of its own (``voice_process``).

torch takes seconds to load and some boards' processors end on it, so it never is in this process; what
the child says is all that this module knows of Coqui. Ctrl-C kills it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from assistant.core.errors import DownloadFailed, EngineUnavailable, ModelCorrupt
from assistant.store.progress import Watcher, timed
from assistant.tools.quantize.workspace import last_line

CATALOGUE = ".models.json"

NEEDED = ("TTS", "torch", "torchaudio", "onnx")


def require_packages() -> None:
    """Raises EngineUnavailable without the extra."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise EngineUnavailable(
            f"Exporting a Coqui voice needs the Python package '{missing[0]}', which is not installed.",
            "Install the assistant with the extras `coqui` and `prepare` (`scripts/setup run coqui prepare`; "
            "with torch for a PC that takes 5 GB).",
        )


def licence_of(name: str) -> str:
    """Of the voice of that name, by the list that comes with Coqui's library; empty where it has none."""
    package = find_spec("TTS")
    said: Any = None
    for folder in (package and package.submodule_search_locations) or ():
        with contextlib.suppress(OSError, ValueError):
            said = json.loads((Path(folder) / CATALOGUE).read_bytes())
    for key in [*name.split("/"), "license"]:
        said = said.get(key) if isinstance(said, dict) else None
    return str(said or "")


def fetch(name: str, watcher: Watcher) -> Path:
    """Where Coqui's library has put the voice of that name. Raises DownloadFailed."""
    watcher.note(f"Asking Coqui's library for {name}.")
    with timed(f"Fetching {name}", watcher):
        answer = _asked({"name": name})
    if why := answer.get("failed"):
        raise DownloadFailed(
            f"{name} is not on this computer and could not be fetched: {why}.",
            "Check the network, or fetch it where there is one and name its folder here.",
        )
    return Path(answer["folder"])


def export(job: Mapping[str, Any], watcher: Watcher) -> dict[str, Any]:
    """Do ``job`` (paths ``config``, ``checkpoint``, ``speakers``, ``onnx`` and ``probes``, and ``threads``).

    What the voice's tokenizer and speakers are. Raises ModelCorrupt.
    """
    watcher.note("Coqui's library writes the network; with a whole voice that takes minutes.")
    with timed("Writing the network", watcher):
        answer = _asked(job)
    if why := answer.get("failed"):
        raise ModelCorrupt(
            f"The voice in {Path(job['config']).parent} cannot be exported: {why}.",
            "Check that its files are whole; it must be a VITS model of Coqui TTS.",
        )
    return answer


def _asked(job: Mapping[str, Any]) -> dict[str, Any]:
    """What the child answers; it is gone when this ends, however it ends."""
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

"""A Hugging Face checkpoint (config.json, safetensors, tokenizer) becomes a GGUF file of 16 bits.

The converter is llama.cpp's own, taken from the source package of the llama-cpp-python that is
pinned here (``converter``), and run in a child process with an environment of its own. A checkpoint is
data from strangers: one that wants to run code of its own, or hides its weights in pickles, is refused.
So is one whose weights were packed in a way that the converter does not unpack.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from assistant.core.errors import EngineFailed, ModelCorrupt
from assistant.runtime.json_file import MAX_BYTES, read_object
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize import environments, workshop
from assistant.tools.quantize.children import last_line
from assistant.tools.quantize.converter import SCRIPT, unpacked
from assistant.tools.quantize.safetensors import counted

POLL_S = 0.2

DTYPES = ("float32", "float16", "bfloat16")

UNPACKED = ("gptq", "compressed-tensors", "fp8", "bitnet", "modelopt", "mxfp4")
"""Values of ``quant_method`` that the converter knows (``dequant_model`` of its base.py and gpt_oss.py)."""


def convert(folder: Path, to: Path, watcher: Watcher) -> None:
    """Convert the checkpoint in ``folder`` to the file ``to``; nothing is left of that on any error.

    Raises ModelCorrupt, EngineUnavailable, StorageFull, DownloadFailed (of the converter), EngineFailed.
    """
    dtype = check(folder)
    size_bytes = 2 * weights_of(folder)
    workshop.plan(size_bytes, size_bytes, to.parent, watcher)
    environments.plan("torch", watcher)
    script = unpacked(watcher) / SCRIPT
    python = environments.interpreter("torch", watcher)
    kind = "bf16" if dtype == "bfloat16" else "f16"
    command = [str(python), str(script), str(folder), "--outfile", str(to), "--outtype", kind]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(  # noqa: S603  a list of words; the folder is one of them
            command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            _wait(child, to, Meter(f"Converting {folder.name}", size_bytes, watcher))
            if child.returncode != 0:
                raise EngineFailed(
                    f"The checkpoint in {folder} could not be converted: {last_line(said)}.",
                    "Check that its files are whole, and that llama.cpp knows its architecture.",
                )
        except BaseException:
            child.kill()
            child.wait()
            to.unlink(missing_ok=True)
            raise


def check(folder: Path) -> str:
    """The checkpoint's number format, "float32", "float16" or "bfloat16". Raises ModelCorrupt."""
    config = read_json(folder / "config.json")
    if not config.get("architectures"):
        raise _refused(folder, "its config.json names no architecture")
    if list(folder.glob("*.py")) or any(
        "auto_map" in read_json(file) for file in folder.glob("*config.json")
    ):
        raise _refused(folder, "it wants to run code of its own, and only data are accepted")
    if not list(folder.glob("*.safetensors")):
        raise _refused(
            folder, "its weights are not in the safetensors format, the only one that is safe to read"
        )
    if not [
        name for name in ("tokenizer.json", "tokenizer.model", "vocab.json") if (folder / name).is_file()
    ]:
        raise _refused(folder, "it has no tokenizer")
    packing = config.get("quantization_config")
    if packing and _method(packing) not in UNPACKED:
        raise _refused(
            folder,
            f"its weights were packed by {_method(packing) or 'a method without a name'}, "
            "and cannot be unpacked here",
            "Name the checkpoint of 16 or 32 bits that it was made from.",
        )
    dtype = str(config.get("dtype", config.get("torch_dtype", "float32")))
    return dtype if dtype in DTYPES else "float32"


def weights_of(folder: Path) -> int:
    """How many there are at most, also of those that are packed into integers. Raises ModelCorrupt."""
    method = _method(read_json(folder / "config.json").get("quantization_config"))
    packed = {"I32": 8, "U8": 4 if method == "bitnet" else 1}
    return sum(count * packed.get(dtype, 1) for dtype, count in counted(folder).items())


def _method(packing: object) -> str:
    """Who packed the weights; empty when that is not said."""
    return str(packing.get("quant_method") or "")[:40] if isinstance(packing, dict) else ""


def _refused(folder: Path, why: str, next_step: str = "Choose another checkpoint.") -> ModelCorrupt:
    return ModelCorrupt(f"The checkpoint in {folder} is not used: {why}.", next_step)


def read_json(file: Path, most_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """As ``read_object``. Raises ModelCorrupt."""
    try:
        return read_object(file, most_bytes)
    except (OSError, ValueError):
        raise _refused(file.parent, f"its {file.name} cannot be read") from None


def _wait(child: subprocess.Popen[bytes], to: Path, meter: Meter) -> None:
    """Until the child has ended; the file that grows says how far it is."""
    seen = 0
    while child.poll() is None:
        time.sleep(POLL_S)
        size = to.stat().st_size if to.exists() else 0
        meter.add(size - seen)
        seen = size

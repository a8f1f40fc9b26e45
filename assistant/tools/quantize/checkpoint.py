"""Finds a Hugging Face checkpoint (config.json, safetensors, tokenizer), checks it, and converts it to GGUF.

A checkpoint is a local folder, or a name on Hugging Face, which ``huggingface_hub`` downloads, resumes, and
verifies. Only safetensors weights and their metadata are downloaded. They stay in the data folder, so that
the next format needs no network. A checkpoint is untrusted data: it is refused if it needs to run its own
code, if its weights are pickled, or if they are packed in a way that the converter doesn't support. The
converter is llama.cpp's own, taken from the source package of the pinned llama-cpp-python (``converter``),
and runs in a child process with its own environment. For checkpoints written here, this module writes the
files other than the weights.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.core.errors import AssistantError, DownloadFailed, EngineFailed, ModelCorrupt, ModelMissing
from assistant.runtime import paths
from assistant.runtime.json_file import MAX_BYTES, read_object
from assistant.store.disk import require
from assistant.store.formats.gguf import GgufHeader
from assistant.store.kinds import MAX_LICENCE_LETTERS
from assistant.store.licences import Agree, terms
from assistant.store.progress import Meter, Watcher, megabytes
from assistant.tools.quantize import environments
from assistant.tools.quantize.converter import SCRIPT, unpacked
from assistant.tools.quantize.onnx_shape import Shape
from assistant.tools.quantize.onnx_tokenizer import mark, tokenizer
from assistant.tools.quantize.safetensors import counted
from assistant.tools.quantize.workspace import last_line, plan

POLL_S = 0.2

DTYPES = ("float32", "float16", "bfloat16")

UNPACKED = ("gptq", "compressed-tensors", "fp8", "bitnet", "modelopt", "mxfp4")
"""Values of ``quant_method`` that the converter supports (``dequant_model`` in its base.py and
gpt_oss.py).
"""


def convert(folder: Path, to: Path, watcher: Watcher) -> None:
    """Convert the checkpoint in ``folder`` to the file ``to``, which is removed on any error.

    Raises ModelCorrupt, EngineUnavailable, StorageFull, DownloadFailed (of the converter), EngineFailed.
    """
    dtype = check_checkpoint(folder)
    size_bytes = 2 * weights_of(folder)
    plan(size_bytes, size_bytes, to.parent, watcher)
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
                    f"The checkpoint in {folder} cannot be converted: {last_line(said)}.",
                    "Check that its files are complete, and that llama.cpp supports its architecture.",
                )
        except BaseException:
            child.kill()
            child.wait()
            to.unlink(missing_ok=True)
            raise


def check_checkpoint(folder: Path) -> str:
    """Return the checkpoint's number format: "float32", "float16", or "bfloat16". Raises ModelCorrupt."""
    config = read_json(folder / "config.json")
    if not config.get("architectures"):
        raise _refused(folder, "its config.json names no architecture")
    if list(folder.glob("*.py")) or any(
        "auto_map" in read_json(file) for file in folder.glob("*config.json")
    ):
        raise _refused(folder, "it requires running its own code, but only data is accepted")
    if not list(folder.glob("*.safetensors")):
        raise _refused(folder, "its weights are not in the safetensors format, the only safe one")
    if not [
        name for name in ("tokenizer.json", "tokenizer.model", "vocab.json") if (folder / name).is_file()
    ]:
        raise _refused(folder, "it has no tokenizer")
    packing = config.get("quantization_config")
    if packing and _method(packing) not in UNPACKED:
        raise _refused(
            folder,
            f"its weights were packed with {_method(packing) or 'an unnamed method'}, which isn't supported",
            "Use the 16-bit or 32-bit checkpoint it was made from.",
        )
    dtype = str(config.get("dtype", config.get("torch_dtype", "float32")))
    return dtype if dtype in DTYPES else "float32"


def weights_of(folder: Path) -> int:
    """Return an upper bound on the number of weights, including those packed into integers. Raises
    ModelCorrupt.
    """
    method = _method(read_json(folder / "config.json").get("quantization_config"))
    packed = {"I32": 8, "U8": 4 if method == "bitnet" else 1}
    return sum(count * packed.get(dtype, 1) for dtype, count in counted(folder).items())


def _method(packing: object) -> str:
    """Return the name of the packing method; empty if not stated."""
    return str(packing.get("quant_method") or "")[:40] if isinstance(packing, dict) else ""


def _refused(folder: Path, why: str, next_step: str = "Choose a different checkpoint.") -> ModelCorrupt:
    return ModelCorrupt(f"The checkpoint in {folder} cannot be used: {why}.", next_step)


def read_json(file: Path, most_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read a JSON object as ``read_object`` does. Raises ModelCorrupt."""
    try:
        return read_object(file, most_bytes)
    except (OSError, ValueError):
        raise _refused(file.parent, f"its {file.name} cannot be read") from None


def _wait(child: subprocess.Popen[bytes], to: Path, meter: Meter) -> None:
    """Wait until the child has ended; progress is the size of the growing file."""
    seen = 0
    while child.poll() is None:
        time.sleep(POLL_S)
        size = to.stat().st_size if to.exists() else 0
        meter.add(size - seen)
        seen = size


HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
WANTED = ("*.safetensors", "*.json", "*.model", "*.jinja", "README.md", "LICENSE*", "vocab.txt", "merges.txt")
LICENCE = re.compile(r"^license(?:_name)?:\s*['\"]?([A-Za-z0-9][\w.+-]*)", re.MULTILINE)
README_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder with a checkpoint, and its origin."""

    folder: Path
    named: str
    revision: str
    """The commit on the hub; empty for a folder."""
    licence: str
    """As stated in its README; empty if not stated."""


def find_checkpoint(named: str, watcher: Watcher, agree: Agree) -> Checkpoint:
    """Find the checkpoint in a folder, or download it by name from Hugging Face if ``agree`` accepts.

    Raises ModelMissing if it is neither, LicenceNotAccepted, DownloadFailed, StorageFull.
    """
    folder = Path(named).expanduser()
    if folder.is_dir():
        agree(named, declared_licence(folder))
        return Checkpoint(folder, named, "", declared_licence(folder))
    if not HUB_NAME.fullmatch(named):
        raise ModelMissing(
            f"There is no folder named {named}.",
            "Specify a checkpoint's folder, or its name on Hugging Face (maker/model).",
        )
    folder = paths.data() / "checkpoints" / named.replace("/", "--")
    revision = _fetch(named, folder, watcher, agree)
    agree(named, declared_licence(folder))
    return Checkpoint(folder, named, revision, declared_licence(folder))


def declared_licence(folder: Path) -> str:
    """Return the license in the README's metadata, or the title of a known license file."""
    return _named_in_readme(folder) or _title_of_licence(folder)


def _title_of_licence(folder: Path) -> str:
    """Return the first line of its LICENSE file, if it has conditions."""
    for file in sorted(folder.glob("LICEN[SC]E*")):
        with contextlib.suppress(OSError), file.open("rb") as opened:
            lines = opened.read(README_BYTES).decode("utf-8", "replace").split("\n")
            title = " ".join(next((line for line in lines if line.strip()), "").split())
            if terms(title):
                return title[:MAX_LICENCE_LETTERS]
    return ""


def _named_in_readme(folder: Path) -> str:
    try:
        with (folder / "README.md").open("rb") as file:
            head = file.read(README_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    if not head.startswith("---"):
        return ""
    names = LICENCE.findall(head.split("\n---", 1)[0])
    return next((name for name in names if name != "other"), "")


def _fetch(named: str, folder: Path, watcher: Watcher, agree: Agree) -> str:
    """Download the checkpoint into ``folder``, except files that are already there. Returns the commit."""
    by_hand = (
        f"Check the network, or copy the folder (`hf download {named} --local-dir FOLDER`) and specify that."
    )
    done = folder / ".fetched"
    if done.is_file():
        return done.read_text(encoding="utf-8").strip()
    try:
        hub: Any = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise DownloadFailed(
            f"{named} is not on this computer, and the Python package 'huggingface_hub' is not installed.",
            "Install the assistant with the `hub` extra, or specify the checkpoint's folder.",
        ) from error
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        facts = hub.HfApi().model_info(named, files_metadata=True, timeout=30)
        agree(named, _named_by_hub(facts))
        files = [each for each in facts.siblings if any(Path(each.rfilename).match(end) for end in WANTED)]
        size_bytes = sum(each.size or 0 for each in files)
        require(size_bytes, paths.data())
        watcher.note(f"Downloading {named}: {megabytes(size_bytes)} in {len(files)} files to {folder}.")
        hub.snapshot_download(
            named,
            revision=facts.sha,
            local_dir=folder,
            allow_patterns=[each.rfilename for each in files],
            max_workers=2,
        )
    except AssistantError:
        raise
    except Exception as error:  # The package and its dependencies raise arbitrary exceptions.
        raise DownloadFailed(
            f"{named} is not on this computer and could not be downloaded: {_first_line(error)}.", by_hand
        ) from error
    done.write_text(str(facts.sha), encoding="utf-8")
    return str(facts.sha)


def _named_by_hub(facts: Any) -> str:
    """Return the license from the hub's metadata; empty if not stated."""
    names = [getattr(facts.card_data, key, None) for key in ("license", "license_name")]
    return next((str(name) for name in names if name and name != "other"), "")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")


def write_tokenizer(header: GgufHeader, folder: Path) -> None:
    """Write the tokenizer files. Raises ModelCorrupt for an unsupported vocabulary, OSError."""
    save_json(folder / "tokenizer.json", tokenizer(header.metadata))
    marks = {f"{name}_token": found[1] for name in ("bos", "eos") if (found := mark(header.metadata, name))}
    # This class reads any tokenizer.json; others construct a tokenizer of their own.
    save_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **marks})
    template = str(header.metadata.get("tokenizer.chat_template"))
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def config_of(header: GgufHeader, shape: Shape, kind: str) -> dict[str, Any]:
    """Return the part of config.json that all networks share; ``kind`` is the class that implements it."""
    marks = {
        f"{name}_token_id": found[0] for name in ("bos", "eos") if (found := mark(header.metadata, name))
    }
    return {
        "architectures": [kind],
        "model_type": shape.architecture,
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "head_dim": shape.head_width,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.rope_base,
        **marks,
    }


def save_json(file: Path, content: dict[str, Any]) -> None:
    """Write ``content`` as JSON. Raises OSError."""
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

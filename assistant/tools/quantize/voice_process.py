"""The child process of ``voice``: reads one job as JSON from stdin, and writes the result as a line of JSON.

Only this process imports torch and Coqui's library (the extra ``coqui``), which take seconds and gigabytes.
It loads the checkpoint, exports it with Coqui's own ``Vits.export_onnx``, and synthesizes a few symbol
sequences in torch for comparison: without random noise, every sample must be the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

PROBES = (8, 21, 60, 150)
"""Lengths of the test sequences."""


class _NotUsable(Exception):
    """The message is a clause that says what is wrong with the voice."""


def main() -> int:
    """Run the job. Returns 1 on failure; the last line then gives the reason."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent handles Ctrl-C.
    os.umask(0o077)
    said, job = os.dup(1), json.load(sys.stdin)
    os.dup2(2, 1)  # Keeps the libraries' output out of the answer.
    warnings.simplefilter("ignore")
    try:
        answer = _fetch(job["name"]) if "name" in job else _export(job)
    except _NotUsable as why:
        answer = {"failed": str(why)}
    except Exception as error:  # noqa: BLE001  torch and Coqui raise whatever comes up
        lines = str(error).strip().splitlines() or [""]
        answer = {"failed": f"{type(error).__name__}: {lines[0][:200]}"}
    with contextlib.suppress(BrokenPipeError), os.fdopen(said, "w") as out:
        out.write(json.dumps(answer) + "\n")
    return 1 if "failed" in answer else 0


def _fetch(name: str) -> dict[str, Any]:
    """Let Coqui's library download the named model into its own store."""
    from TTS.utils.manage import ModelManager  # noqa: PLC0415  seconds

    model, config, _ = ModelManager(progress_bar=False).download_model(name)
    folder = Path(config or model)
    return {"folder": str(folder if folder.is_dir() else folder.parent)}


def _export(job: dict[str, Any]) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415  as above
    import torch  # noqa: PLC0415
    from TTS.config import load_config  # noqa: PLC0415
    from TTS.tts.models.vits import Vits  # noqa: PLC0415

    torch.set_num_threads(job["threads"])
    config = load_config(job["config"])
    if config.model != "vits":
        raise _NotUsable(f"it is a model of kind {config.model!r}, but only VITS voices can be exported")
    # The training wrote paths of another computer; a table of speakers is next to the model.
    for key in ("language_ids_file", "d_vector_file", "speaker_encoder_model_path"):
        config.model_args[key] = None
    config.model_args.use_speaker_encoder_as_loss = False
    config.model_args.speakers_file = config.speakers_file = job["speakers"] or None
    model = Vits(config)
    model.load_checkpoint(config, job["checkpoint"], eval=True, strict=True)
    if model.language_manager.num_languages > 0 and model.embedded_language_dim > 0:
        raise _NotUsable("it speaks several languages, and the engine cannot select one")
    if model.args.use_d_vector_file:
        raise _NotUsable("it needs a speaker vector with each sentence, which the engine doesn't have")
    bad = [name for name, weight in model.state_dict().items() if not bool(torch.isfinite(weight).all())]
    if bad:
        raise _NotUsable(f"its tensor {bad[0]!r:.80} contains NaN or infinity")
    zero = [
        name
        for name, weight in model.named_parameters()
        if name.startswith(_HEARD)
        and "flows." not in name
        and name.endswith("weight")
        and weight.ndim > 2
        and not bool(weight.any())
    ]
    if zero:
        raise _NotUsable(f"its tensor {zero[0]!r:.80} contains only zeros")
    model.export_onnx(job["onnx"], verbose=False)
    symbols = model.tokenizer.characters
    table = {symbols.id_to_char(number): number for number in range(symbols.num_chars)}
    sequences, waves = _spoken(model, symbols.num_chars)
    arrays = {f"ids{number}": each for number, each in enumerate(sequences)}
    arrays |= {f"wave{number}": each for number, each in enumerate(waves)}
    np.savez(job["probes"], **arrays)
    speakers = dict(model.speaker_manager.name_to_id) if model.speaker_manager else {}
    return {
        "characters": model.config.characters.to_dict(),
        "symbols": table,
        "speakers": {str(name): int(number) for name, number in speakers.items()},
        "num_speakers": int(model.num_speakers),
        "versions": _versions(),
    }


_HEARD = ("text_encoder", "duration_predictor", "waveform_decoder")
"""The modules used for synthesis, in a model that also contains training modules. Flows start as zeros by
design, and the audio is compared anyway.
"""


def _spoken(model: Any, count: int) -> tuple[list[Any], list[Any]]:
    """Return symbol sequences, always the same for a table of that size, and their audio without noise."""
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    random = np.random.default_rng(1)
    model.inference_noise_scale = model.inference_noise_scale_dp = 0.0
    model.length_scale = 1.0
    sequences, waves = [], []
    for length in PROBES:
        ids = random.integers(0, count, (1, length))
        aux = {
            "x_lengths": torch.tensor([length]),
            "d_vectors": None,
            "language_ids": None,
            "durations": None,
        }
        aux["speaker_ids"] = torch.tensor([0]) if model.num_speakers > 0 else None
        with torch.inference_mode():
            wave = model.inference(torch.from_numpy(ids), aux_input=aux)["model_outputs"]
        sequences.append(ids)
        waves.append(wave.numpy().ravel())
    return sequences, waves


def _versions() -> dict[str, str]:
    from importlib.metadata import version  # noqa: PLC0415

    return {name: version(name) for name in ("coqui-tts", "torch", "onnx")}


if __name__ == "__main__":
    sys.exit(main())

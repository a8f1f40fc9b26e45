"""Makes a tiny Coqui VITS voice of random weights, with Coqui's own config.

Run in a process of its own, which has the extra ``coqui``: ``python -m ... FOLDER [SPEAKER ...]``.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any


def main(folder: Path, speakers: list[str]) -> None:
    torch: Any = importlib.import_module("torch")
    configs: Any = importlib.import_module("TTS.tts.configs.vits_config")
    vits: Any = importlib.import_module("TTS.tts.models.vits")
    torch.manual_seed(1)
    arguments = configs.VitsArgs(
        hidden_channels=16,
        hidden_channels_ffn_text_encoder=32,
        num_layers_text_encoder=2,
        num_layers_posterior_encoder=2,
        num_layers_flow=2,
        upsample_initial_channel_decoder=32,
        init_discriminator=False,  # only training needs it, and it has 190 MB
        use_speaker_embedding=bool(speakers),
        speaker_embedding_channels=8 if speakers else 0,
    )
    config = configs.VitsConfig(
        model_args=arguments,
        use_phonemes=True,
        phonemizer="espeak",
        phoneme_language="en-us",
        text_cleaner="phoneme_cleaners",
        output_path="/home/somebody/training",
        speakers=speakers or None,
    )
    model = vits.Vits(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # A voice that was trained has no zeros left where training begins with them.
            if not weight.any():
                weight.normal_(std=0.05)
            assert "nan" not in name
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_json(str(folder / "config.json"))
    torch.save({"model": model.state_dict()}, folder / "model_file.pth")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

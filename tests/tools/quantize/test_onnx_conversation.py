"""A recorded question to the whole appliance with its language model on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.store import Store
from assistant.store.progress import Unwatched
from assistant.tools.quantize import making
from assistant.tools.quantize.request import Request
from tests.app.test_real_conversation import conversation
from tests.conftest import Clip
from tests.tools.quantize.conftest import NAME, REAL

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("few_dialogues")]


def test_it_answers_aloud(store: Store, shared_audio: list[Clip], tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the package that writes ONNX is not installed")
    for model in REAL.parent.iterdir():
        if model.is_dir() and not (store.models_dir / model.name).exists():
            (store.models_dir / model.name).symlink_to(model)
    request = Request(source=NAME, format="onnx-int8", name="mine", imatrix=False, threads=1)
    making.make(request, store, Unwatched())
    (clip,) = [clip for clip in shared_audio if clip.path.stem == "seine"]
    talk = conversation(
        [clip.path],
        tmp_path,
        llm={"engine": "onnx", "model": "mine"},
        store={"models": str(store.models_dir)},
    )
    (report,) = talk.reports
    assert report.error is None
    assert report.reply
    assert len(talk.spoken[0]) > 8000, "half a second at least"

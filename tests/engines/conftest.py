"""SmolLM2 in the formats that the language model engines read."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from assistant.app import engines as loading
from assistant.core.types import Message
from assistant.engines import load
from assistant.engines.llm.chat import ChatLlm
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings
from assistant.settings.schema import Settings
from assistant.store.formats.gguf import read_header
from assistant.store.progress import Unwatched
from assistant.tools.quantize.building import build
from assistant.tools.quantize.dialogues import Texts, shipped
from assistant.tools.quantize.inputs import Inputs
from assistant.tools.quantize.recipe import FORMATS, Recipe
from assistant.tools.quantize.source import Source

SMOLLM2 = Path("~/.local/share/assistant/models/smollm2-135m-instruct-q4_1").expanduser()
SYSTEM = Message("system", "You are a helpful assistant. You answer in one short sentence.")
FRANCE = [SYSTEM, Message("user", "What is the capital of France?")]


def settings(**changes: Any) -> LlmSettings:
    return LlmSettings.model_validate({"temperature": 0, "max_tokens": 40, **changes})


def ask(llm: ChatLlm, messages: list[Message]) -> str:
    return "".join(llm.stream(messages, Cancel()))


def said(settings: Settings) -> str:
    """The answer of the model that ``settings`` name to one question."""
    llm = loading.load_llm(settings)
    try:
        return "".join(llm.stream([FRANCE[-1]], Cancel()))
    finally:
        llm.close()


def made(source: Path, folder: Path, chosen: str) -> Path:
    """The GGUF file ``source`` in another format, in ``folder``."""
    folder.mkdir()
    model = Source(source.name, source.parent, source, read_header(source), "smollm2", "", 0)
    inputs = Inputs(model, shipped("calibration.txt"), Texts((), ()), 1, folder.parent, Unwatched())
    build(Recipe(FORMATS[chosen], imatrix=False), inputs, folder / "model.gguf")
    return folder


@pytest.fixture(scope="session")
def smollm2_f16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model's GGUF file of 16 bits."""
    source = next(SMOLLM2.glob("*.gguf"))
    return made(source, tmp_path_factory.mktemp("f16") / "smollm2", "f16")


@pytest.fixture(scope="session")
def smollm2_onnx(smollm2_f16: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a folder with the model in one of the formats of ONNX, once."""
    pytest.importorskip("onnx", reason="the package that writes ONNX is not installed")

    @cache
    def in_format(chosen: str) -> Path:
        return made(smollm2_f16 / "model.gguf", tmp_path_factory.mktemp("onnx") / "smollm2", chosen)

    return in_format


Make: TypeAlias = "Callable[..., ChatLlm]"


@pytest.fixture(scope="module", params=["llama_cpp", "onnx-fp32", "onnx-int4"])
def make(request: pytest.FixtureRequest) -> Make:
    """Creates an engine with other settings than usual."""
    engine = request.param.split("-")[0]
    folder: Path = (
        SMOLLM2 if engine == "llama_cpp" else request.getfixturevalue("smollm2_onnx")(request.param)
    )

    def create(**changes: Any) -> ChatLlm:
        llm: ChatLlm = load(
            "llm", engine, settings=settings(engine=engine, **changes), model=folder, threads=1
        )
        return llm

    return create

"""What is llama.cpp's own of the language model engine; the rest is in test_llm_contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.engines import load
from assistant.engines.llm.llama_cpp.engine import LlamaCppLlm
from tests.engines.conftest import FRANCE, SMOLLM2, ask, settings
from tests.gguf_writer import Value, gguf

needs_model = pytest.mark.models


def create(folder: Path = SMOLLM2, **changes: Any) -> LlamaCppLlm:
    engine: LlamaCppLlm = load("llm", "llama_cpp", settings=settings(**changes), model=folder, threads=1)
    return engine


@needs_model
def test_a_state_that_llama_cpp_refuses_is_read_anew() -> None:
    llm = create()
    ask(llm, FRANCE)
    assert not llm._context.restore(b"no state at all" * 100, [1, 2, 3])
    assert "Paris" in ask(llm, FRANCE)
    assert llm.usage.tokens_reused == 0
    llm.close()


@needs_model
@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_a_truncated_model_is_corrupt(tmp_path: Path, share: float) -> None:
    model = next(SMOLLM2.glob("*.gguf")).read_bytes()
    (tmp_path / "model.gguf").write_bytes(model[: int(len(model) * share)])
    with pytest.raises(ModelCorrupt, match=r"model\.gguf"):
        create(tmp_path)


@pytest.mark.parametrize("architecture", ["toy", "llama"])
def test_a_model_that_llama_cpp_cannot_load_is_corrupt_and_quiet(
    tmp_path: Path, architecture: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    metadata: dict[str, Value] = {"general.architecture": architecture, f"{architecture}.block_count": 2}
    content = gguf({**metadata, "tokenizer.chat_template": template}, {"weight": (8,)})
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"llama\.cpp cannot load"):
        create(tmp_path)
    assert capfd.readouterr() == ("", "")
    assert "llama_cpp=" in caplog.text


def test_no_model_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        create(tmp_path)

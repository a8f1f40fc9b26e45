"""The engines in this repository, one ``EngineSpec`` each. This imports none of them."""

from __future__ import annotations

from assistant.runtime.engine_spec import EngineSpec

_HERE = "assistant.engines"

SPECS = (
    EngineSpec(
        "wake",
        "open_wake_word",
        create=f"{_HERE}.wake.open_wake_word:create",
        needs_model=False,
        packages=("pyopen-wakeword", "pymicro-wakeword"),
    ),
    EngineSpec(
        "wake", "scripted", create=f"{_HERE}.scripted:ScriptedWake", needs_model=False, is_scripted=True
    ),
    EngineSpec(
        "vad",
        "webrtc",
        create=f"{_HERE}.vad.webrtc:create",
        needs_model=False,
        packages=("webrtcvad-wheels",),
    ),
    EngineSpec(
        "vad",
        "silero",
        create=f"{_HERE}.vad.silero:create",
        needs_model=False,
        packages=("faster-whisper", "onnxruntime"),
    ),
    EngineSpec(
        "vad", "scripted", create=f"{_HERE}.scripted:ScriptedVad", needs_model=False, is_scripted=True
    ),
    EngineSpec(
        "stt",
        "faster_whisper",
        create=f"{_HERE}.stt.whisper:create",
        packages=("faster-whisper", "ctranslate2"),
    ),
    EngineSpec(
        "stt", "scripted", create=f"{_HERE}.scripted:ScriptedStt", needs_model=False, is_scripted=True
    ),
    EngineSpec("turn", "smart_turn", create=f"{_HERE}.turn.smart_turn:create", packages=("onnxruntime",)),
    EngineSpec(
        "llm",
        "llama_cpp",
        create=f"{_HERE}.llm.llama_cpp.engine:create",
        create_batch=f"{_HERE}.llm.llama_cpp.batch:create_batch",
        offers=("CallingLlm", "AdaptableLlm", "FrugalLlm"),
        packages=("llama-cpp-python",),
    ),
    EngineSpec(
        "llm",
        "onnx",
        create=f"{_HERE}.llm.onnx.engine:create",
        offers=("CallingLlm", "FrugalLlm"),
        packages=("onnxruntime", "tokenizers"),
    ),
    EngineSpec(
        "llm",
        "openai",
        create=f"{_HERE}.llm.openai.engine:create",
        create_batch=f"{_HERE}.llm.openai.engine:create_batch",
        offers=("FrugalLlm",),
    ),
    EngineSpec(
        "llm",
        "scripted",
        create=f"{_HERE}.scripted:ScriptedLlm",
        offers=("CallingLlm", "FrugalLlm"),
        needs_model=False,
        is_scripted=True,
    ),
    EngineSpec(
        "tts",
        "coqui",
        create=f"{_HERE}.tts.coqui:create",
        packages=("onnxruntime",),
        programs=("espeak-ng",),
    ),
    EngineSpec(
        "tts",
        "scripted",
        create=f"{_HERE}.scripted:ScriptedTts",
        offers=("KeepingTts",),
        needs_model=False,
        is_scripted=True,
    ),
)

"""Checks that the models are intact, and that there are a microphone and a speaker."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from assistant.app import adapter as adapters
from assistant.audio import Kind, lines, portaudio
from assistant.cli.checks.finding import Check, Finding, Patient
from assistant.core.types import Message
from assistant.engines.llm.llama_cpp.gguf import check_adapter, find_model
from assistant.engines.llm.openai.server import Server
from assistant.runtime import credentials
from assistant.runtime.cancel import Cancel
from assistant.runtime.engine_spec import spec


def _model(kind: Literal["stt", "turn", "llm", "tts"], patient: Patient) -> Iterator[Finding]:
    """Check a model. Raises ModelError if it cannot be loaded."""
    settings = patient.settings
    name = settings.endpoint.turn_model if kind == "turn" else getattr(settings, kind).model
    if name is None:
        return
    check = f"{kind} model"
    if kind == "llm" and not patient.settings.llm.needs_model:
        yield Finding(check, ok=None, what="not needed: llm.server.fallback is off")
        return
    if kind == "tts" and patient.settings.tts.runtime == "torch":
        yield Finding(check, ok=None, what=f"{name}: managed by Coqui's own library")
        return
    if kind != "turn" and not spec(kind, getattr(settings, kind).engine).needs_model:
        yield Finding(check, ok=None, what=f"not needed: {getattr(settings, kind).engine} has its own")
        return
    store = patient.store()
    place = store.place(name, kind)
    store.try_key(name)
    if patient.hash_models:
        store.verify(name, patient.watcher)
    encrypted = ", encrypted, and the key is correct" if store.sealed(name) else ""
    right = "hashes" if patient.hash_models else "sizes"
    yield Finding(check, ok=True, what=f"{name} in {place}, {right} correct{encrypted}")
    if kind == "llm" and patient.settings.llm.adapter:
        yield _adapter(patient, place)


def _adapter(patient: Patient, place: Path) -> Finding:
    """Check the adapter. Raises ModelError if it doesn't fit the model in ``place``."""
    settings = patient.settings.llm
    if patient.store().sealed(
        settings.model
    ):  # only its header: the whole model might not fit in memory twice
        header = patient.store().header(settings.model)
        shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    else:
        model = find_model(place)
        header, shapes = model.header, dict(model.shapes)
    with adapters.opened(patient.settings) as adapter:
        assert adapter is not None  # noqa: S101 - the settings name one
        check_adapter(adapter, header.architecture, shapes)
    what = f"{settings.adapter} fits the model; scale {settings.adapter_scale:g}"
    return Finding("llm adapter", ok=True, what=what)


def _server(patient: Patient) -> Iterator[Finding]:
    """Check that the language model's server answers. Raises EngineError or SettingsError if not."""
    settings = patient.settings.llm
    if settings.engine != "openai":
        return
    key = credentials.read(settings.server.key, settings.server.key_file, "llm-key")
    messages = [Message("user", "Say hello.")]
    word = next(Server(settings, key).stream(messages, Cancel()), None)
    what = f"{settings.server.url} {'answers' if word else 'has nothing to say'}"
    yield Finding("llm server", ok=word is not None, what=what, next_step="Check llm.server.model.")


def _device(kind: Kind, patient: Patient) -> Iterator[Finding]:
    """Check a device. Raises DeviceUnavailable for a missing one that the settings name, DeviceStuck."""
    named = getattr(patient.settings.audio, kind)
    noun = {"input": "microphone", "output": "speaker"}[kind]
    found = lines.devices()
    if named is None and not any(device.channels(kind) for device in found):
        step = "Plug one in, or close the program that is using it. `assistant converse` works without one."
        yield Finding(noun, ok=None, what="none is available", next_step=step)
        return
    device = portaudio.find(kind, named)
    why = "chosen in the settings" if named else "system default"
    yield Finding(noun, ok=True, what=f"{device.name} at {device.sample_rate_hz} Hz, {why}")


CHECKS: dict[str, Check] = {
    "stt model": partial(_model, "stt"),
    "turn model": partial(_model, "turn"),
    "llm model": partial(_model, "llm"),
    "tts model": partial(_model, "tts"),
    "llm server": _server,
    "microphone": partial(_device, "input"),
    "speaker": partial(_device, "output"),
}

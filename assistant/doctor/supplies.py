"""Are the models whole, and are there a microphone and a speaker?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

from assistant.audio import portaudio
from assistant.doctor.finding import Check, Finding, Patient


def _model(kind: Literal["stt", "llm", "tts"], patient: Patient) -> Iterator[Finding]:
    """Raises ModelError for one that cannot be loaded."""
    name = getattr(patient.settings, kind).model
    check = f"{kind} model"
    if kind == "tts" and patient.settings.tts.runtime == "torch":
        yield Finding(check, ok=None, what=f"{name}: Coqui keeps its models itself")
        return
    store = patient.store()
    place = store.path(name, kind)
    if patient.hash_models:
        store.verify(name, patient.watcher)
    yield Finding(
        check, ok=True, what=f"{name} in {place}, {'hashes' if patient.hash_models else 'sizes'} right"
    )


def _device(kind: portaudio.Kind, patient: Patient) -> Iterator[Finding]:
    """Raises DeviceUnavailable for one that the settings name and that is not there."""
    named = getattr(patient.settings.audio, kind)
    noun = {"input": "microphone", "output": "speaker"}[kind]
    if named is None and not any(device.channels(kind) for device in portaudio.devices()):
        step = "Plug one in, or end the program that holds it. `assistant converse` works without."
        yield Finding(noun, ok=None, what="there is none that is free", next_step=step)
        return
    device = portaudio.find(kind, named)
    why = "chosen in the settings" if named else "the system's default"
    yield Finding(noun, ok=True, what=f"{device.name} at {device.sample_rate_hz} Hz, {why}")


CHECKS: dict[str, Check] = {
    "stt model": partial(_model, "stt"),
    "llm model": partial(_model, "llm"),
    "tts model": partial(_model, "tts"),
    "microphone": partial(_device, "input"),
    "speaker": partial(_device, "output"),
}

"""A sound backend: a microphone in a silent room, and a speaker that nobody hears."""

from assistant.audio.backends import Backend, Devices
from assistant.audio.scripted import ScriptedMicrophone, ScriptedSpeaker
from assistant.settings.schema import AudioSettings


def create(settings: AudioSettings) -> Devices:
    return Devices(ScriptedMicrophone(), ScriptedSpeaker())


BACKEND = Backend("shelf_example.silence:create")

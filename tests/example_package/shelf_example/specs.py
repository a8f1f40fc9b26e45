"""The engines of this package, described. Nothing heavy is imported here."""

from assistant.runtime.engine_spec import EngineSpec
from assistant.settings.section import Section


class KnocksSettings(Section):
    """A recognizer that counts knocks."""

    meanings: tuple[str, ...] = ("what time is it", "roll two dice")
    """What one knock means, what two mean, and so on."""


KNOCKS = EngineSpec(
    "stt", "knocks", create="shelf_example.knocks:create", settings=KnocksSettings, needs_model=False
)
BEEPS = EngineSpec("tts", "beeps", create="shelf_example.beeps:create", needs_model=False)

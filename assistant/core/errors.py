"""The exception tree. Every error has one sentence, a stable code, and the next step.

::

    AssistantError
    |- SettingsError          settings-invalid       a settings file has a mistake
    |- IllegalEvent           state-illegal-event    the state table has no such transition
    |- ModelError
    |  |- ModelUnknown        model-unknown          the catalog has no model with that name
    |  |- ModelMissing        model-missing          in the catalog, but not on this disk
    |  |- ModelCorrupt        model-corrupt          on this disk, but it doesn't match the catalog
    |  |- ModelRefused        model-refused          it was measured and isn't good enough
    |  |- ModelTooBig         model-too-big          it doesn't fit in this machine's memory
    |  |- ModelLocked         model-locked           it is encrypted, and the key is missing or wrong
    |  |- LicenceNotAccepted  licence-not-accepted   its license has conditions that you haven't accepted
    |  `- DownloadFailed      download-failed        no source could deliver it
    |- StorageFull            storage-full           there isn't enough disk space
    |- StateUnavailable       state-unavailable      timers and lists can't be read or saved
    |- SkillInvalid           skill-invalid          a skill or its sentences have a mistake
    |- PromptsUnreadable      prompts-unreadable     a prompt file can't be read or has no prompts
    |- ControlError
    |  |- NotRunning          not-running            no assistant answers on the control socket
    |  |- AlreadyRunning      already-running        another assistant is using the control socket
    |  |- OrderInvalid        order-invalid          the control socket received an unknown command
    |  `- OrderRefused        order-refused          the command can't be carried out right now
    |- PanelUnavailable       panel-unavailable      the button or the LED can't be used
    |- AudioError
    |  |- AudioFileInvalid    audio-file-invalid     not a sound file, or it can't be read or written
    |  |- DeviceUnavailable   audio-unavailable      no such device, or another program is using it
    |  |- DeviceLost          audio-lost             the device was disconnected
    |  `- DeviceStuck         audio-stuck            the device's driver doesn't respond
    `- EngineError
       |- EngineUnavailable   engine-unavailable     its package is missing or doesn't support this board
       |- EngineFailed        engine-failed          it raised an error or returned nothing usable
       |- EngineTimeout       engine-timeout         it didn't answer within its time limit
       `- PromptTooLong       prompt-too-long        the prompt doesn't fit in the model's context

Codes never change once released: scripts and log searches rely on them.
"""

from __future__ import annotations

from typing import ClassVar


class AssistantError(Exception):
    """An error that is reported to the user.

    ``problem`` is one sentence that says what is wrong; ``next_step`` is one that says what to do.
    """

    code: ClassVar[str] = "assistant-error"
    exit_status: ClassVar[int] = 1

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem, next_step)
        self.problem = problem
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.problem} [{self.code}] {self.next_step}"


class SettingsError(AssistantError):
    code = "settings-invalid"
    exit_status = 2


class IllegalEvent(AssistantError):
    code = "state-illegal-event"


class ModelError(AssistantError):
    code = "model-error"


class ModelUnknown(ModelError):
    code = "model-unknown"
    exit_status = 2


class ModelMissing(ModelError):
    code = "model-missing"


class ModelCorrupt(ModelError):
    code = "model-corrupt"


class ModelRefused(ModelError):
    code = "model-refused"


class ModelTooBig(ModelError):
    code = "model-too-big"


class ModelLocked(ModelError):
    code = "model-locked"


class LicenceNotAccepted(ModelError):
    code = "licence-not-accepted"


class DownloadFailed(ModelError):
    code = "download-failed"


class StorageFull(AssistantError):
    code = "storage-full"


class StateUnavailable(AssistantError):
    code = "state-unavailable"


class SkillInvalid(AssistantError):
    code = "skill-invalid"
    exit_status = 2


class PromptsUnreadable(AssistantError):
    code = "prompts-unreadable"
    exit_status = 2


class ControlError(AssistantError):
    code = "control-error"


class NotRunning(ControlError):
    code = "not-running"


class AlreadyRunning(ControlError):
    code = "already-running"


class OrderInvalid(ControlError):
    code = "order-invalid"
    exit_status = 2


class OrderRefused(ControlError):
    code = "order-refused"


class PanelUnavailable(AssistantError):
    code = "panel-unavailable"


class AudioError(AssistantError):
    code = "audio-error"


class AudioFileInvalid(AudioError):
    code = "audio-file-invalid"


class DeviceUnavailable(AudioError):
    code = "audio-unavailable"


class DeviceLost(AudioError):
    code = "audio-lost"


class DeviceStuck(AudioError):
    code = "audio-stuck"


class EngineError(AssistantError):
    code = "engine-error"


class EngineUnavailable(EngineError):
    code = "engine-unavailable"


class EngineFailed(EngineError):
    code = "engine-failed"


class EmptyAnswer(EngineFailed):
    """The language model returned an empty answer."""

    def __init__(self) -> None:
        super().__init__(
            "The language model returned an empty answer.",
            "Try a different model or prompt (llm.model, llm.prompt).",
        )


class EngineTimeout(EngineError):
    code = "engine-timeout"


class PromptTooLong(EngineError):
    code = "prompt-too-long"

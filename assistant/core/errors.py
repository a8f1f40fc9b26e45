"""One exception tree. Every error is a sentence, a stable code and the next step.

::

    AssistantError
    |- SettingsError          settings-invalid       a settings file says something impossible
    |- IllegalEvent           state-illegal-event    the state table has no such transition
    |- ModelError
    |  |- ModelUnknown        model-unknown          the catalogue has no model of that name
    |  |- ModelMissing        model-missing          known, but not on this disk
    |  |- ModelCorrupt        model-corrupt          on this disk, but not what the catalogue promises
    |  |- ModelRefused        model-refused          it was measured, and it is not good enough
    |  |- ModelTooBig         model-too-big          it does not fit into the memory here
    |  |- ModelLocked         model-locked           it is encrypted, and the key is missing or another one
    |  |- LicenceNotAccepted  licence-not-accepted   its licence has conditions that nobody here agreed to
    |  `- DownloadFailed      download-failed        no source could deliver it
    |- StorageFull            storage-full           the disk cannot hold it
    |- StateUnavailable       state-unavailable      where timers and lists are kept cannot be used
    |- SkillInvalid           skill-invalid          a skill or its sentences are written wrongly
    |- PromptsUnreadable      prompts-unreadable     a file of prompts cannot be read, or holds none
    |- ControlError
    |  |- NotRunning          not-running            no assistant answers on the control socket
    |  |- AlreadyRunning      already-running        another one holds the control socket
    |  |- OrderInvalid        order-invalid          what was written to the control socket is no order
    |  `- OrderRefused        order-refused          an order that cannot be carried out now
    |- PanelUnavailable       panel-unavailable      the button or the lamp cannot be used
    |- AudioError
    |  |- AudioFileInvalid    audio-file-invalid     not a sound file, or one that cannot be read or written
    |  |- DeviceUnavailable   audio-unavailable      no such device, or somebody else holds it
    |  |- DeviceLost          audio-lost             it was there and went away
    |  `- DeviceStuck         audio-stuck            its driver does not answer
    `- EngineError
       |- EngineUnavailable   engine-unavailable     its package is not installed, or not for this board
       |- EngineFailed        engine-failed          it raised, or gave nothing usable
       |- EngineTimeout       engine-timeout         it did not answer within its budget
       `- PromptTooLong       prompt-too-long        the question does not fit the model's context

Codes never change once released: scripts and log searches rely on them.
"""

from __future__ import annotations

from typing import ClassVar


class AssistantError(Exception):
    """A fault that a person can be told about.

    ``problem`` is one sentence saying what is wrong; ``next_step`` one saying what to do.
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
    """Of a language model that had nothing to say."""

    def __init__(self) -> None:
        super().__init__("The answer was empty.", "Try another model or prompt (llm.model, llm.prompt).")


class EngineTimeout(EngineError):
    code = "engine-timeout"


class PromptTooLong(EngineError):
    code = "prompt-too-long"

"""Saves the speech of failed turns as sound files, if the owner has turned that on.

They help to find out why: which words were taken for noise, what made an engine fail. Old ones are deleted,
and the oldest ones if all together are too large; nothing else in the folder is touched.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from assistant.core.errors import AssistantError
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.dialog.report import Report
from assistant.settings.schema import PrivacySettings

log = logging.getLogger(__name__)

_OURS = re.compile(r"\d{8}T\d{6}Z-turn\d+-[\w-]+\.wav")


class Recordings:
    """Saves recordings in ``folder``, as ``settings`` allow and while it ``has_room``; ``write`` writes a
    file.
    """

    def __init__(
        self,
        folder: Path,
        settings: Callable[[], PrivacySettings],
        write: Callable[[Path, Pcm16, int], None],
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._write = write
        self._now = now
        self._has_room = has_room

    def keep(self, report: Report) -> None:
        """Save the speech of this turn if it failed. Never raises."""
        reason = report.error or (report.refused and "refused")
        if not self._settings().record_failed_turns or not reason or report.pcm is None:
            return
        if not self._has_room():
            log.warning("turn=%d recorded=no reason=disk-full", report.number)
            return
        name = f"{self._now():%Y%m%dT%H%M%SZ}-turn{report.number}-{reason}.wav"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(self._folder / name, report.pcm, SAMPLE_RATE_HZ)
        except (AssistantError, OSError) as error:
            log.warning("turn=%d recorded=no problem=%s", report.number, error)
        self.prune()

    def prune(self) -> None:
        """Delete recordings that are too old or exceed the limit. Never raises."""
        settings = self._settings()
        room_bytes = settings.recordings_mb * 1_000_000 if settings.record_failed_turns else 0
        oldest_s = self._now().timestamp() - settings.recordings_days * 86_400
        try:
            files = [file for file in self._folder.glob("*.wav") if _OURS.fullmatch(file.name)]
            for file in sorted(files, key=lambda file: file.name, reverse=True):
                found = file.stat()
                room_bytes -= found.st_size
                if room_bytes < 0 or found.st_mtime < oldest_s:
                    file.unlink()
        except OSError as error:
            log.warning("recordings=unpruned problem=%s", error)

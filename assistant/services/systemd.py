"""Reports to systemd: ready, status, still alive, stopping (sd_notify(3)).

Knows the protocol, a few lines in a datagram, but not the meaning of what is reported. Without systemd,
nothing is sent.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)


class Notifier:
    """Sends to the socket in ``NOTIFY_SOCKET``."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environ)
        """systemd restarts the service after this many seconds without WATCHDOG=1; None means never."""

    def tell(self, *assignments: str) -> None:
        """Send assignments such as "READY=1". Never waits and never raises."""
        if not self._address:
            return
        message = "\n".join(assignment.replace("\n", " ") for assignment in assignments)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(0)
                channel.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError as error:
            log.warning("systemd=unreachable reason=%s", error)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Return the watchdog interval, if it is meant for this process (sd_watchdog_enabled(3))."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    for_us = environ.get("WATCHDOG_PID") in {None, "", str(os.getpid())}
    if not for_us or not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / 1_000_000

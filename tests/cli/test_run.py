"""What `assistant run` says before it listens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_log_begins_with_the_board_and_why_it_is_this_one(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "ASSISTANT__STORE__MODELS": str(tmp_path),
    }
    command = [sys.executable, "-c", "from assistant.cli.main import main; raise SystemExit(main(['run']))"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    first = done.stderr.splitlines()[0]
    assert "profile=" in first
    assert "reason='recognized: " in first or 'reason="recognized: ' in first
    assert "processors (" in first
    assert done.returncode, "there are no models"

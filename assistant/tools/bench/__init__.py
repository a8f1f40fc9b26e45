"""``assistant bench``: how long a turn takes and where the time goes, measured and not believed.

Each module measures one thing and returns a ``Result``: a text for people and one document for
programs. They know the assistant from outside, as ``app`` puts it together. ``lib`` holds what the benches
share, ``room`` the rooms they measure in; the sentences that they speak are in ``models/sentences``.
"""

from assistant.cli import Command

COMMAND = Command("bench", "measure speed and accuracy on this machine", "assistant.tools.bench.command")

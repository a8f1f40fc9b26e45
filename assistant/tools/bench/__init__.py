"""``assistant bench``: measures how long a turn takes and where the time goes.

Each module measures one thing and returns a ``Result``: a text for people and a document for programs. The
benches use the assistant from outside, as ``app`` assembles it. ``lib`` holds the code that benches share and
``room`` the rooms in which they measure; the sentences they speak are in ``models/sentences``.
"""

from assistant.cli import Command

COMMAND = Command("bench", "measure speed and accuracy on this machine", "assistant.tools.bench.command")

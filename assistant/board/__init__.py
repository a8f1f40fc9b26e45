"""The hardware: which board this is, which cores and how much memory the assistant may use.

Everything is read from /proc and /sys below a root folder, so tests can simulate any board.
"""

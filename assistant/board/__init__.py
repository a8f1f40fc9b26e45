"""The hardware this runs on: which board it is, which cores and how much memory we may use.

Everything is read from /proc and /sys below a root folder, so that tests can lay out any board.
"""

"""Threads, time, files, logs and HTTP: what any program needs, independent of speech."""

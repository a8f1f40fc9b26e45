"""What a program needs whatever it does: threads, time, files, logs, HTTP."""

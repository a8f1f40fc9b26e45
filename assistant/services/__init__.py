"""Services that let other programs reach the assistant. Each is optional and has its own file.

What a service is and what it is given is in ``host``.
"""

"""Services that let other programs reach the assistant. Each is optional and has its own file.

A service knows its protocol and its clients, and passes requests to a callable that it is given, so none of
them knows the loop.
"""

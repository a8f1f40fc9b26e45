"""How other programs reach the assistant. Each service is optional and a file of its own.

A service knows its protocol and who is connected; what is asked of it goes to a callable that it
is given, so none of them knows the loop.
"""

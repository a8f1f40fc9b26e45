"""An offline voice assistant for a small board on a shelf.

Data goes one way: frames -> utterance -> transcript -> tokens -> sentences -> audio.
Read ``types``, ``events`` and ``state`` first, then ``turn`` and ``loop``.
"""

__version__ = "0.1.0"

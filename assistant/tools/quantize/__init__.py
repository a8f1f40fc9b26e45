"""Quantizes and converts language models, measures what that cost, and installs what is sound.

Nothing here runs on the appliance: only ``assistant quantize`` imports it. ``making`` is the whole way
of one model and ``comparing`` several side by side, with a ``picture``. On the way: ``source`` finds
the model (a ``checkpoint`` is converted by llama.cpp's ``converter``, a ``lora`` adapter worked in),
``workshop`` gives a place to work, ``groundwork`` finds out what the ``methods`` want to know, ``building``
makes a file of one of the ``formats``, and ``gate`` decides by its ``loss`` on ``dialogues``, which a
``probe`` reads. What needs torch runs in one of the ``environments``.
"""

from assistant.cli import Command

COMMAND = Command(
    "quantize",
    "make a smaller or larger file of a language model, measure it, and install it",
    "assistant.tools.quantize.command",
)

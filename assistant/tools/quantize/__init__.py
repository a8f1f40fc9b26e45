"""Quantizes and converts models, measures what that cost, and installs what is sound.

Nothing here runs on the appliance: only ``assistant quantize`` imports it. A ``request`` says what to make.
Of language models ``making`` is the whole way of one and ``comparing`` several side by side, with a
``picture``. On the way: ``source`` finds the model (a ``checkpoint`` is converted by llama.cpp's
``converter``, a ``lora`` adapter worked in), ``workspace`` gives a place to work, ``inputs`` are what a
``recipe`` needs, ``building`` makes a file by the recipe, ``trial`` talks with it, and ``gate`` decides by
the ``loss`` that ``scorers`` find on ``dialogues``. A ``record`` of all this becomes the model's ``card``.
``whisper``, ``voice`` and ``lora`` make models of other kinds. What needs torch runs in one of the
``environments``.
"""

from assistant.cli import Command

COMMAND = Command(
    "quantize",
    "convert a language model to another format, measure the loss, and install it",
    "assistant.tools.quantize.command",
)

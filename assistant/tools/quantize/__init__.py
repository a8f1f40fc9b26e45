"""Quantizes and converts models, measures the loss, and installs the models that pass.

None of this runs on the appliance: only ``assistant quantize`` imports it. A ``request`` says what to make.
For language models, ``making`` runs the whole process for one model, and ``comparing`` for several side by
side, with a ``picture``. Along the way, ``source`` finds the model (a ``checkpoint`` is converted by
llama.cpp's ``converter``; a ``lora`` adapter is merged), ``workspace`` provides disk space, ``inputs`` are
what a ``recipe`` needs, ``building`` makes a file by the recipe, ``trial`` talks to it, and ``gate`` decides
by the ``loss`` that ``scorers`` measure on ``dialogues``. A ``record`` of all this becomes the model's
``card``. ``whisper``, ``voice``, and ``lora`` make other kinds of models. Code that needs torch runs in one
of the ``environments``.
"""

from assistant.cli import Command

COMMAND = Command(
    "quantize",
    "convert a language model to another format, measure the loss, and install it",
    "assistant.tools.quantize.command",
)

"""Quantizes and converts language models, measures what that cost, and installs what is sound.

Nothing here runs on the appliance: only ``assistant quantize`` imports it. Room by room: ``types``
says which number formats there are, ``dialogues`` what models are measured on, ``loss`` what one
loses against another, ``importance`` which weights matter, ``quantizer`` makes the file, ``gate``
decides, ``install`` puts it into the store.
"""

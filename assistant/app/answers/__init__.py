"""Questions with known answers: asks them as a person would, judges the replies, and draws conclusions.

``questions`` reads a set, ``asking`` asks it, ``judging`` tells right from wrong, ``calibrating`` learns how
far a model can be trusted, and ``choosing`` finds the model that suits this machine.
"""

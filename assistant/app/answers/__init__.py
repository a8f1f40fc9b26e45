"""Questions with their right answers: asked as a person would, judged, and what follows for a model.

``questions`` reads a set, ``asking`` asks it, ``judging`` tells right from wrong, ``calibrating`` learns how
far a model can be trusted, ``choosing`` which model suits this machine.
"""

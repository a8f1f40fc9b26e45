"""Assembles the parts according to the settings, and keeps them running."""

"""Puts the parts together as the settings say, and keeps them running."""

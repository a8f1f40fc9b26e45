"""Builds the knowledge tables: one SQLite file from packages that maintain such facts.

``scripts/knowledge`` runs it. The appliance itself needs none of these packages.
"""

"""Makes the knowledge tables: one SQLite file out of packages that keep such facts well.

``scripts/knowledge`` runs it. None of these packages is needed by the appliance itself.
"""

"""The settings: schema, layers, and error messages."""

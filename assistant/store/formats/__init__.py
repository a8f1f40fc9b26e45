"""Parsers for model file headers. They treat every file as hostile input."""

"""Language models. The conversation works the same on every runtime."""

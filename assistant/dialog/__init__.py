"""The conversation: what is heard, whose turn it is, and what is said."""

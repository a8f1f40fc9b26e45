"""Words and how they are written. What belongs to one language is in a folder of its name."""

"""End-of-turn detection by sound."""

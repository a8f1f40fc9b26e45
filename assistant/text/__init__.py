"""Text as written and as spoken. Each language has its own folder."""

"""Built-in skills, one module per topic."""

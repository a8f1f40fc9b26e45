"""What the benches share: measuring and tables, the machine, recordings, and what became of each turn."""

"""Code that benches share: measuring and tables, the machine, recordings, and the record of each turn."""

"""Tools that never run on the appliance: benches, and the preparation of models."""

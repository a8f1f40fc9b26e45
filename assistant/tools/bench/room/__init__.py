"""Rooms for benches: a simulated one, and sound devices with an echo between them."""

"""Rooms that benches measure in: a simulated one, and sound devices with an echo between them."""

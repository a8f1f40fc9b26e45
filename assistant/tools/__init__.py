"""What never runs on the appliance: measuring it, and making models for it."""

"""Language models. The conversation is the same whatever computes it."""

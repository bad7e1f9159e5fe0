"""What int8 does to a model, and what mends it."""

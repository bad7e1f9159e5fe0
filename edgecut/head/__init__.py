"""The output side of a model."""

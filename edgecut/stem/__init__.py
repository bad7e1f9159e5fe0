"""The input side of a model."""

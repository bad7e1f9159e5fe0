"""A model to a file; the only room that knows converters."""

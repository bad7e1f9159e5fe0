"""A Keras model as a flat list of calls; the only room that knows Keras nodes."""

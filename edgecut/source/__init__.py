"""A file or a name to the model that it holds: Keras 3 and Keras 2 files, folders, models by name."""

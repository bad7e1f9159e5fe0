"""A Keras model as a flat list of calls; the only room that knows Keras nodes."""

import os

# TensorFlow reads this once, when it is first imported: its start-up chatter is not a user's concern.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

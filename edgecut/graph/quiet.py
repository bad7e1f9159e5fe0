"""TensorFlow's import, without its chatter."""

from __future__ import annotations

import logging
import os
import sys

from edgecut.errors import RequestError
from edgecut.streams import caught_output


def import_keras_quietly() -> None:
    """Import keras and tensorflow; what they print at start-up is not a user's concern.

    Raises RequestError if Keras is configured for another backend than TensorFlow.
    """
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise RequestError(f"KERAS_BACKEND is {backend!r}, and edgecut needs 'tensorflow'; unset it")
    if "tensorflow" in sys.modules:
        return
    with caught_output():
        import keras
        import tensorflow  # noqa: F401  its own import prints, so it happens here
    logging.getLogger("tensorflow").addFilter(_says_something)
    found = keras.backend.backend()
    if found != "tensorflow":
        raise RequestError(f"Keras runs on {found!r}, and edgecut needs 'tensorflow'; set KERAS_BACKEND=tensorflow")


def _says_something(record: logging.LogRecord) -> bool:
    # Each pass over images is a function of its own, which TensorFlow takes for one that is traced again and again.
    # What AutoGraph can't rewrite, because it is plain or the folder of temporary files is full, runs as it is.
    message = record.getMessage()
    return "tf.function retracing" not in message and "AutoGraph could not transform" not in message

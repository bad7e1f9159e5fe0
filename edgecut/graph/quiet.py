"""TensorFlow's import, without its chatter."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edgecut.errors import RequestError
from edgecut.memory import check_room
from edgecut.streams import caught_output
from edgecut.whole import uninterrupted

# What TensorFlow's threads take comes with the first model that runs: more than half as much again as the import.
_SMALL_MODEL = """
import keras
import tensorflow
layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(2)]
keras.Sequential(layers).predict(tensorflow.zeros((4, 8, 8, 3)), verbose=0)
"""
_SPARE_BYTES = 256 * 2**20  # threads allocate in another order each time


def import_keras_quietly() -> None:
    """Import keras and tensorflow; what they print at start-up is not a user's concern.

    Raises RequestError if Keras is configured for another backend than TensorFlow, StepError if the limit of this
    process's address space has no room for it.
    """
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise RequestError(f"KERAS_BACKEND is {backend!r}, and edgecut needs 'tensorflow'; unset it")
    if "tensorflow" in sys.modules:
        return
    check_room("TensorFlow", _SMALL_MODEL, spare_bytes=_SPARE_BYTES)
    # Native code that is torn out of its own start dies of SIGSEGV, there or at the process's end.
    with uninterrupted(), caught_output(), _uncollected():
        import keras
        import tensorflow  # noqa: F401  its own import prints, so it happens here
    logging.getLogger("tensorflow").addFilter(_says_something)
    found = keras.backend.backend()
    if found != "tensorflow":
        raise RequestError(f"Keras runs on {found!r}, and edgecut needs 'tensorflow'; set KERAS_BACKEND=tensorflow")


@contextmanager
def _uncollected() -> Iterator[None]:
    """What is imported within it stays for good: looking for garbage in it took a fifth of the import's time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


def _says_something(record: logging.LogRecord) -> bool:
    # Each pass over images is a function of its own, which TensorFlow takes for one that is traced again and again.
    # What AutoGraph can't rewrite, because it is plain or the folder of temporary files is full, runs as it is.
    message = record.getMessage()
    return "tf.function retracing" not in message and "AutoGraph could not transform" not in message

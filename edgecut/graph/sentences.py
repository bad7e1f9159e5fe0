"""Keras's pages of error text, one line of it."""

from __future__ import annotations

import re
import sys

import keras  # noqa: F401  which imports TensorFlow where that is its backend

_TENSORFLOW = sys.modules.get("tensorflow")
OpError: type[Exception] = RuntimeError if _TENSORFLOW is None else _TENSORFLOW.errors.OpError
"""What TensorFlow's operators raise."""
LOADING_FAULTS = (
    ValueError,
    TypeError,
    KeyError,
    OSError,
    AttributeError,
    RuntimeError,
    EOFError,
    ImportError,
    OpError,
)
"""What Keras raises for a file that it can't load."""
LAYER_FAULTS = (ValueError, TypeError, RuntimeError, OpError)
"""What a layer raises on what it can't take; of a shape that it stores (Normalization's mean), TensorFlow does."""


def telling_line(error: BaseException) -> str:
    """The line that says what is wrong; Keras puts the call's name in front and the arguments behind it."""
    # Without colours and TensorFlow's names of its operators.
    text = re.sub(r"\x1b\[[0-9;]*m|\{\{.*?\}\} | \[Op:.*", "", str(error))
    text = text.rpartition("Exception encountered: ")[2]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return re.split(r" Received| Full object config", (telling or lines or [type(error).__name__])[0])[0].rstrip(".")

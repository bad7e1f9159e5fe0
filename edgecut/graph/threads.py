"""How many threads share an operator of TensorFlow: the last bits of what is trained depend on it, and on no core.

The gradient of a convolution is a sum over a batch, which each thread adds up a part of. Measured on two cores with
TensorFlow 2.21: pools of 1, 2, 4 and 8 threads train four different models, and each the same one on one core as on
two. What isn't trained has the same bytes with any number.
"""

from __future__ import annotations

import os
import sys

THREADS = 8
"""What the commands use, whatever the machine has; a smaller one shares its cores among them."""

_VARIABLE = "TF_NUM_INTRAOP_THREADS"


def hold_threads() -> None:
    """Let TensorFlow use THREADS in this process; nothing where it has been imported already."""
    if "tensorflow" not in sys.modules:
        os.environ[_VARIABLE] = str(THREADS)


def release_threads() -> None:
    """Let TensorFlow use as many as it finds cores, for a command that trains nothing; as hold_threads else.

    With THREADS on two cores a forward pass of MobileNetV1 takes a sixth more CPU than with two, and single small
    operators a half: they wait for each other.
    """
    if "tensorflow" not in sys.modules:
        os.environ.pop(_VARIABLE, None)


def threads() -> int:
    """How many there are: as the environment says, else as many as the process may use cores."""
    named = os.environ.get(_VARIABLE, "")
    if named.isdigit() and int(named):
        return int(named)
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1

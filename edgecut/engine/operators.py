"""The operators that are written as C, each with the function that binds it to a kernel and to rows."""

from __future__ import annotations

from collections.abc import Callable

from edgecut.engine.kernels import activation, convolution, dense, elementwise, movement, pooling, reduction
from edgecut.engine.lowered import Lowered, Model
from edgecut.tflite.flatbuffer import Operator

OPERATORS: dict[str, Callable[[Model, Operator], Lowered]] = {
    "ADD": elementwise.add,
    "AVERAGE_POOL_2D": pooling.average_pool_2d,
    "CONV_2D": convolution.conv_2d,
    "DEPTHWISE_CONV_2D": convolution.depthwise_conv_2d,
    "FULLY_CONNECTED": dense.fully_connected,
    "MAX_POOL_2D": pooling.max_pool_2d,
    "MEAN": reduction.mean,
    "MUL": elementwise.mul,
    "PAD": movement.pad,
    "PADV2": movement.pad,
    "SOFTMAX": activation.softmax,
    "SUB": elementwise.sub,
    "SUM": reduction.total,
}

# Operators that give the same bytes another shape: no kernel, no copy.
RENAMES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})

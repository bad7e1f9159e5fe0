"""MAX_POOL_2D and AVERAGE_POOL_2D in int8."""

from __future__ import annotations

from edgecut.engine.kernels.convolution import geometry, grid_fields, windows
from edgecut.engine.lowered import Call, Lowered, Model, option, row_view, window_rows
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator


def max_pool_2d(model: Model, op: Operator) -> Lowered:
    """The largest value under each window."""
    return _pool(model, op, "max_pool_row")


def average_pool_2d(model: Model, op: Operator) -> Lowered:
    """The mean under each window, of the values that aren't padding."""
    return _pool(model, op, "average_pool_row")


def _pool(model: Model, op: Operator, kernel: str) -> Lowered:
    data, output = model.activation(op.inputs[0]), model.output(op)
    taps = (option(op, "filterHeight", 0), option(op, "filterWidth", 0))
    y, x = windows(op, data, output, taps)
    if (data.shape[0], data.shape[3]) != (output.shape[0], output.shape[3]):
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    if (data.scales, data.zero_points) != (output.scales, output.zero_points):
        raise Refused("has another scale or zero point behind it than before it")
    fields = geometry(y, x)
    del fields["dilation_y"]
    limits = grid_fields(op, data, output)
    call = Call(kernel, fields | {"depth": data.shape[3], "low": limits["low"], "high": limits["high"]})
    reads = (window_rows(op.inputs[0], row_view(data), y, data.shape[0]),)
    return Lowered(call, reads, op.outputs[0], row_view(output))

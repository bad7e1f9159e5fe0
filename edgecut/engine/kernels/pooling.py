"""MAX_POOL_2D and AVERAGE_POOL_2D in int8."""

from __future__ import annotations

from edgecut.engine.kernels.convolution import activation_limits, geometry, windows
from edgecut.engine.kernels.sums import pays, summed
from edgecut.engine.lowered import Call, Lowered, Model, Window, option, row_view, window_rows
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator, Tensor


def max_pool_2d(model: Model, op: Operator) -> Lowered:
    """The largest value under each window."""
    return _pool(model, op, "max_pool_row")


def average_pool_2d(model: Model, op: Operator) -> Lowered | tuple[Lowered, ...]:
    """The mean under each window, of the values that aren't padding; one window of all is a sum of rows."""
    data, output, y, x = _windows(model, op)
    everything = all(axis.out_size == 1 and axis.in_size <= axis.size - axis.pad for axis in (y, x))
    if not everything or not pays(model, op.inputs[0], data.shape[3]):
        return _pool(model, op, "average_pool_row")
    low, high = activation_limits(op, output)
    end = {"multiplier": 0, "shift": 0, "out_zero": 0, "divisor": y.in_size * x.in_size, "low": low, "high": high}
    return summed(model, op, (False, True), 0, end)


def _pool(model: Model, op: Operator, kernel: str) -> Lowered:
    data, output, y, x = _windows(model, op)
    fields = geometry(y, x)
    del fields["dilation_y"]
    low, high = activation_limits(op, output)
    call = Call(kernel, fields | {"depth": data.shape[3], "low": low, "high": high})
    reads = (window_rows(op.inputs[0], row_view(data), y, data.shape[0]),)
    return Lowered(call, reads, op.outputs[0], row_view(output))


def _windows(model: Model, op: Operator) -> tuple[Tensor, Tensor, Window, Window]:
    """(input, output, the windows along rows and columns) of a pooling, which keeps the grid."""
    data, output = model.activation(op.inputs[0]), model.output(op)
    y, x = windows(op, data, output, (option(op, "filterHeight", 0), option(op, "filterWidth", 0)))
    if (data.shape[0], data.shape[3]) != (output.shape[0], output.shape[3]):
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    if (data.scales, data.zero_points) != (output.scales, output.zero_points):
        raise Refused("has another scale or zero point behind it than before it")
    return data, output, y, x

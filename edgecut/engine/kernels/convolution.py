"""CONV_2D and DEPTHWISE_CONV_2D in int8: rows under a window that moves down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecut.engine.lowered import Call, Lowered, Model, Value, Window, option, row_view, window, window_rows
from edgecut.engine.quantization import (
    Multiplier,
    activation_range,
    channel_multipliers,
    constant_outputs,
    folded_bias,
    sums_are_small,
)
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator, Tensor

_HALF = Multiplier(1 << 30, 0)
# Of one column of a window, whose rows the faster kernels hold at once: under_t and depthwise_row in convolution.c.
MOST_TAPS = 16
# Of a window whose values are gathered before they are multiplied: MOST_VALUES in conv_window.c.
MOST_VALUES = 80


def conv_2d(model: Model, op: Operator) -> Lowered:
    """A convolution; one with dilated columns, grouped channels or very high filters goes tap by tap."""
    data, output, filters = model.activation(op.inputs[0]), model.output(op), model.constant(op.inputs[1], "int8")
    count, _, _, depth = filters.shape
    y, x = windows(op, data, output, filters.shape[1:3])
    groups = data.shape[3] // depth if depth and data.shape[3] % depth == 0 else 0
    if not groups or count % groups or output.shape[3] != count or data.shape[0] != output.shape[0]:
        raise Refused(f"has filters of shape {list(filters.shape)} for an input of shape {list(data.shape)}")
    tables, taps, _ = requantizing(model, op, data, output, filters.reshape(count, -1))
    if groups == 1 and _is_plain(y, x):
        call = _plain(data, y, x, tables, taps)
    else:
        fields = {"depth": depth, "filters": count, "dilation_x": x.dilation, "in_depth": data.shape[3]}
        fields["group_filters"] = count // groups
        call = Call("conv_taps_row", geometry(y, x) | fields | tables | {"weights": taps})
    reads = (window_rows(op.inputs[0], row_view(data), y, data.shape[0]),)
    return Lowered(call, reads, op.outputs[0], row_view(output))


def depthwise_conv_2d(model: Model, op: Operator) -> Lowered:
    """A depthwise convolution with any depth multiplier; on one channel it is a convolution."""
    data, output, filters = model.activation(op.inputs[0]), model.output(op), model.constant(op.inputs[1], "int8")
    y, x = windows(op, data, output, filters.shape[1:3])
    depth, made = data.shape[3], filters.shape[3]
    if filters.shape[0] != 1 or made % depth or output.shape[3] != made or data.shape[0] != output.shape[0]:
        raise Refused(f"has filters of shape {list(filters.shape)} for an input of shape {list(data.shape)}")
    fields = geometry(y, x) | {"dilation_x": x.dilation, "depth": depth}
    tables, taps, bias = requantizing(model, op, data, output, filters.reshape(-1, made).T)
    weights: dict[str, Value] = {"weights": taps.T}
    if depth == 1 and _is_plain(y, x):
        call = _plain(data, y, x, tables, taps)
    elif made == depth and y.size <= MOST_TAPS:
        edge = {"edge_bias": folded_bias(bias, taps.sum(1, dtype=np.int64), -data.zero_points[0])}
        call = Call("depthwise_row", fields | edge | tables | weights)
    else:
        call = Call("depthwise_taps_row", fields | {"times": made // depth} | tables | weights)
    reads = (window_rows(op.inputs[0], row_view(data), y, data.shape[0]),)
    return Lowered(call, reads, op.outputs[0], row_view(output))


def _is_plain(y: Window, x: Window) -> bool:
    """Whether the lines of a window are read in one piece each."""
    return x.dilation == 1 and y.size <= MOST_TAPS


def _plain(data: Tensor, y: Window, x: Window, tables: dict[str, Value], taps: np.ndarray) -> Call:
    """A convolution over all channels; one of few values is gathered first."""
    fields = geometry(y, x) | {"depth": data.shape[3], "filters": len(taps)}
    count = taps.shape[1]
    if count <= MOST_VALUES:
        step = -(-count // 4) * 4
        return Call("conv_window_row", fields | tables | {"step": step, "weights": packed(taps, step)})
    zero = data.zero_points[0]
    outside = np.full(x.size * data.shape[3], zero, np.int8) if zero and (_is_padded(y) or _is_padded(x)) else None
    rest = {name: value for name, value in tables.items() if name != "in_zero"}
    return Call("conv_row", fields | rest | {"weights": packed(taps, count), "outside": outside})


def packed(taps: np.ndarray, step: int) -> np.ndarray:
    """Filters `step` apart, and zeros that four_dots() may read behind the last."""
    packed = np.zeros(len(taps) * step + 16, np.int8)
    packed[: len(taps) * step].reshape(len(taps), step)[:, : taps.shape[1]] = taps
    return packed


def _is_padded(axis: Window) -> bool:
    """Whether some tap lies outside the input at some place of the window."""
    behind = (axis.out_size - 1) * axis.stride - axis.pad + (axis.size - 1) * axis.dilation + 1
    return axis.pad > 0 or behind > axis.in_size


def windows(op: Operator, data: Tensor, output: Tensor, taps: tuple[int, ...]) -> tuple[Window, Window]:
    """The windows along rows and along columns of an operator from rank 4 to rank 4."""
    if len(data.shape) != 4 or len(output.shape) != 4 or len(taps) != 2:
        raise Refused(f"has an input of shape {list(data.shape)}, and four axes are expected")
    padding = option(op, "padding", 0)
    height, width = (
        window(data.shape[k], output.shape[k], taps[k - 1], option(op, f"stride{side}", 1), dilation, padding)
        for k, side, dilation in (
            (1, "H", option(op, "dilationHFactor", 1)),
            (2, "W", option(op, "dilationWFactor", 1)),
        )
    )
    return height, width


def geometry(y: Window, x: Window) -> dict[str, Value]:
    """The fields of a kernel that moves a window; columns are dilated by a field of their own."""
    return {
        "in_height": y.in_size, "in_width": x.in_size, "out_height": y.out_size, "out_width": x.out_size,
        "taps_y": y.size, "taps_x": x.size, "stride_y": y.stride, "stride_x": x.stride,
        "pad_y": y.pad, "pad_x": x.pad, "dilation_y": y.dilation,
    }  # fmt: skip


def requantizing(
    model: Model, op: Operator, data: Tensor, output: Tensor, filters: np.ndarray
) -> tuple[dict[str, Value], np.ndarray, np.ndarray]:
    """The fields that take sums to the output's grid, with one multiplier for each filter, the filters' weights,
    and the biases with the input's zero point taken in. A filter that always gives one number has zeros as weights.

    filters: (filters, taps), int8.
    """
    count = len(filters)
    factors = channel_multipliers(data.scales[0], filter_scales(model, op, count), output.scales[0])
    bias = folded_bias(bias_of(model, op, count), filters.sum(1, dtype=np.int64), data.zero_points[0])
    grid = grid_fields(op, data, output)
    limits = activation_limits(op, output)
    constants = constant_outputs(bias, filters, factors, output.zero_points[0], limits)
    filters, bias = filters.copy(), bias.copy()
    for k, value in constants.items():
        filters[k], bias[k] = 0, 2 * value
    factors = tuple(_HALF if k in constants else factor for k, factor in enumerate(factors))
    small = int(sums_are_small(bias, filters, factors))
    return grid | factor_fields(factors) | {"bias": bias, "small": small}, filters, bias


def factor_fields(factors: Sequence[Multiplier]) -> dict[str, Value]:
    """The fields of factors in fixed point."""
    return {
        "multipliers": np.array([factor.multiplier for factor in factors], np.int32),
        "shifts": np.array([factor.shift for factor in factors], np.int8),
    }


def grid_fields(op: Operator, data: Tensor, output: Tensor) -> dict[str, Value]:
    """The zero points and the limits of a fused activation."""
    low, high = activation_limits(op, output)
    return {"in_zero": data.zero_points[0], "out_zero": output.zero_points[0], "low": low, "high": high}


def activation_limits(op: Operator, output: Tensor) -> tuple[int, int]:
    """The smallest and the largest output of an operator with a fused activation."""
    activation = option(op, "fusedActivationFunction", 0)
    return activation_range(activation, output.scales[0], output.zero_points[0], output.dtype)


def filter_scales(model: Model, op: Operator, count: int) -> tuple[float, ...]:
    """One scale for each filter; their zero points are 0, as the kernels take them to be."""
    weights = model.graph.tensors[op.inputs[1]]
    if len(weights.scales) not in (1, count) or any(weights.zero_points):
        raise Refused("has weights that aren't quantized symmetrically by one scale or one for each filter")
    return weights.scales if len(weights.scales) == count else weights.scales * count


def bias_of(model: Model, op: Operator, count: int, place: int = 2) -> np.ndarray:
    """The biases, int32, which are the operator's input at a place; zeros without any."""
    if len(op.inputs) <= place or op.inputs[place] < 0:
        return np.zeros(count, np.int32)
    bias = model.constant(op.inputs[place], "int32")
    if bias.shape != (count,):
        raise Refused(f"has biases of shape {list(bias.shape)} for {count} filters")
    return bias

"""Operators on 16-bit values with 8-bit weights: convolutions, dense layers and poolings."""

from __future__ import annotations

import numpy as np

from edgecut.engine.kernels.convolution import factor_fields, filter_scales, geometry, grid_fields, windows
from edgecut.engine.lowered import Call, Lowered, Model, Value, View, option, row_view, same_rows, window_rows
from edgecut.engine.quantization import Multiplier, channel_multipliers, tensor_multiplier
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator

_DTYPE = "int16"


def conv_2d(model: Model, op: Operator) -> Lowered:
    """CONV_2D, tap by tap."""
    filters = model.constant(op.inputs[1], "int8")
    count, _, _, depth = filters.shape
    in_depth = model.activation(op.inputs[0], _DTYPE).shape[-1]
    groups = in_depth // depth if depth and in_depth % depth == 0 else 0
    if not groups or count % groups:
        raise Refused(f"has filters of shape {list(filters.shape)} for {in_depth} channels")
    steps: dict[str, Value] = {
        "depth": depth, "filters": count, "group_filters": count // groups, "tap_step": depth,
        "filter_step": filters[0].size,
    }  # fmt: skip
    return _conv(model, op, filters, steps)


def depthwise_conv_2d(model: Model, op: Operator) -> Lowered:
    """DEPTHWISE_CONV_2D: each channel is a group of its own."""
    filters = model.constant(op.inputs[1], "int8")
    count, in_depth = filters.shape[3], model.activation(op.inputs[0], _DTYPE).shape[-1]
    if filters.shape[0] != 1 or count % in_depth:
        raise Refused(f"has filters of shape {list(filters.shape)} for {in_depth} channels")
    steps: dict[str, Value] = {
        "depth": 1, "filters": count, "group_filters": count // in_depth, "tap_step": count, "filter_step": 1,
    }  # fmt: skip
    return _conv(model, op, filters, steps)


def fully_connected(model: Model, op: Operator) -> Lowered:
    """FULLY_CONNECTED with one multiplier."""
    data, output = model.activation(op.inputs[0], _DTYPE), model.output(op, _DTYPE)
    weights = model.constant(op.inputs[1], "int8")
    scales = model.graph.tensors[op.inputs[1]].scales
    if weights.ndim != 2 or len(scales) != 1:
        raise Refused("has weights with a scale for each unit, which TensorFlow Lite Micro doesn't take in 16 bits")
    units, depth = weights.shape
    if output.elements * depth != data.elements * units or output.shape[-1:] != (units,):
        raise Refused(f"has weights of shape {list(weights.shape)} for an input of shape {list(data.shape)}")
    factor = tensor_multiplier(data.scales[0], scales[0], output.scales[0])
    made = row_view(output)
    groups = made.row_bytes // (2 * units)
    fields: dict[str, Value] = {"groups": groups, "depth": depth, "units": units}
    fields |= _grid(model, op, (factor,), units, ("int64",)) | {"weights": weights}
    read = same_rows(op.inputs[0], View(made.rows, 2 * groups * depth))
    return Lowered(Call("dense16_row", fields), (read,), op.outputs[0], made)


def max_pool_2d(model: Model, op: Operator) -> Lowered:
    """MAX_POOL_2D."""
    return _pool(model, op, mean=0)


def average_pool_2d(model: Model, op: Operator) -> Lowered:
    """AVERAGE_POOL_2D."""
    return _pool(model, op, mean=1)


def _conv(model: Model, op: Operator, filters: np.ndarray, steps: dict[str, Value]) -> Lowered:
    data, output = model.activation(op.inputs[0], _DTYPE), model.output(op, _DTYPE)
    y, x = windows(op, data, output, filters.shape[1:3])
    count = int(np.prod(output.shape[3:]))
    if count != steps["filters"] or data.shape[0] != output.shape[0]:
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    factors = channel_multipliers(data.scales[0], filter_scales(model, op, count), output.scales[0])
    fields = geometry(y, x) | {"dilation_x": x.dilation, "in_depth": data.shape[3]} | steps
    # TensorFlow Lite Micro's depthwise kernel reads any bias as one of 64 bits.
    biases = ("int32", "int64") if op.name == "CONV_2D" else ("int64",)
    fields |= _grid(model, op, factors, count, biases) | {"weights": filters}
    reads = (window_rows(op.inputs[0], row_view(data), y, data.shape[0]),)
    return Lowered(Call("conv16_row", fields), reads, op.outputs[0], row_view(output))


def _grid(
    model: Model, op: Operator, factors: tuple[Multiplier, ...], count: int, biases: tuple[str, ...]
) -> dict[str, Value]:
    """The fields that take sums to the output: the bias's width decides how they are rounded.

    biases: the types that the kernel takes; without a bias it computes as with one of 64 bits.
    """
    present = len(op.inputs) > 2 and op.inputs[2] >= 0
    bias = model.constant(op.inputs[2], *biases) if present else np.zeros(count, np.int64)
    if bias.shape != (count,):
        raise Refused(f"has biases of shape {list(bias.shape)} for {count} filters")
    wide = bias.dtype == np.int64
    if wide and any(factor.shift > 7 for factor in factors):
        raise Refused("has scales that make a factor of 256 or more")
    output = model.output(op, _DTYPE)
    limits = grid_fields(op, output, output)
    fields: dict[str, Value] = {"low": limits["low"], "high": limits["high"], "wide": int(wide)}
    return fields | factor_fields(factors) | {"bias": bias.astype(np.int64)}


def _pool(model: Model, op: Operator, *, mean: int) -> Lowered:
    data, output = model.activation(op.inputs[0], _DTYPE), model.output(op, _DTYPE)
    y, x = windows(op, data, output, (option(op, "filterHeight", 0), option(op, "filterWidth", 0)))
    if data.shape[::3] != output.shape[::3] or data.scales != output.scales:
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}, or another scale")
    limits = grid_fields(op, data, output)
    fields = geometry(y, x) | {"depth": data.shape[3], "mean": mean, "low": limits["low"], "high": limits["high"]}
    del fields["dilation_y"]
    reads = (window_rows(op.inputs[0], row_view(data), y, data.shape[0]),)
    return Lowered(Call("pool16_row", fields), reads, op.outputs[0], row_view(output))

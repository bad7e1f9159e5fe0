"""FULLY_CONNECTED in int8, with one multiplier or one for each unit."""

from __future__ import annotations

import math

import numpy as np

from edgecut.engine.kernels.convolution import bias_of, factor_fields, filter_scales, grid_fields, packed
from edgecut.engine.kernels.sums import SUM_BYTES, flattened, pays, state
from edgecut.engine.lowered import Call, Lowered, Model, Read, Value, View, row_view, same_rows
from edgecut.engine.quantization import channel_multipliers, folded_bias, sums_are_small, tensor_multiplier
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator, Tensor


def fully_connected(model: Model, op: Operator) -> Lowered | tuple[Lowered, ...]:
    """A dense layer on the last axis, or on all of an input that it flattens: of an image it sums up row by row."""
    data, output, weights = model.activation(op.inputs[0]), model.output(op), model.constant(op.inputs[1], "int8")
    if weights.ndim != 2 or not weights.size or output.elements % weights.shape[0]:
        raise Refused(f"has weights of shape {list(weights.shape)} for an output of shape {list(output.shape)}")
    units, depth = weights.shape
    if output.elements // units * depth != data.elements or output.shape[-1:] != (units,):
        raise Refused(f"has weights of shape {list(weights.shape)} for an input of shape {list(data.shape)}")
    made = row_view(output)
    groups = made.row_bytes // units
    fields: dict[str, Value] = {"groups": groups, "depth": depth, "units": units}
    read = _rows(op.inputs[0], data, made, groups * depth)
    tables = _factors(model, op, data, output, weights)
    limits = grid_fields(op, data, output)
    del limits["in_zero"]
    source = flattened(model, op.inputs[0])
    image = row_view(model.graph.tensors[source])
    if output.elements == units and image.rows > 1 and pays(model, source, units):
        return _by_rows(model, op, image, limits | tables, packed(weights, depth))
    call = Call("dense_row", fields | limits | tables | {"weights": packed(weights, depth)})
    return Lowered(call, (read,), op.outputs[0], made)


def _by_rows(
    model: Model, op: Operator, image: View, fields: dict[str, Value], weights: np.ndarray
) -> tuple[Lowered, ...]:
    """The products of each row of an image with its part of the weights, and what becomes of their sums."""
    units = model.output(op).elements
    own = state(model, op, 1, units)
    sums = View(1, SUM_BYTES * units)
    parts: dict[str, Value] = {"units": units, "depth": image.size_bytes, "part": image.row_bytes}
    call = Call("dense_part", parts | {"bias": fields["bias"], "weights": weights})
    adding = Lowered(call, (same_rows(op.inputs[0], image),), own.index, sums, image.rows, own)
    last = Call("dense_end", {"units": units} | {name: value for name, value in fields.items() if name != "bias"})
    return adding, Lowered(last, (same_rows(own.index, sums),), op.outputs[0], View(1, units))


def _rows(index: int, data: Tensor, made: View, row_bytes: int) -> Read:
    return same_rows(index, View(math.prod((made.rows,)), row_bytes))


def _factors(model: Model, op: Operator, data: Tensor, output: Tensor, weights: np.ndarray) -> dict[str, Value]:
    units = len(weights)
    scales, grid = filter_scales(model, op, units), model.graph.tensors[op.inputs[1]]
    if len(grid.scales) > 1:
        factors = channel_multipliers(data.scales[0], scales, output.scales[0])
    else:
        factors = (tensor_multiplier(data.scales[0], scales[0], output.scales[0]),)
    bias = folded_bias(bias_of(model, op, units), weights.sum(1, np.int64), data.zero_points[0])
    small = int(sums_are_small(bias, weights, factors))
    return factor_fields(factors) | {"bias": bias, "per_unit": int(len(factors) > 1), "small": small}

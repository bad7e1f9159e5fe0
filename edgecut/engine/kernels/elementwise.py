"""ADD, SUB, MUL, MAXIMUM, MINIMUM and PRELU in int8: of two tensors or a tensor and a constant, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgecut.engine.kernels.convolution import grid_fields
from edgecut.engine.lowered import BYTES, Call, Lowered, Model, Read, Value, check_grid, row_view
from edgecut.engine.quantization import quantize_multiplier, smaller_than_one
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator, Tensor

_LEFT_SHIFT = 20  # of the inputs before they are scaled: tensorflow/lite/micro/kernels/add_common.cc

Fields = dict[str, Value]


def add(model: Model, op: Operator) -> Lowered:
    """The sum of two tensors."""
    return binary(model, op, "add_row", lambda a, b, out: sum_fields(a, b, out) | {"sign": 1})


def sub(model: Model, op: Operator) -> Lowered:
    """The difference of two tensors."""
    return binary(model, op, "add_row", lambda a, b, out: sum_fields(a, b, out) | {"sign": -1})


def mul(model: Model, op: Operator) -> Lowered:
    """The product of two tensors."""
    return binary(model, op, "mul_row", product_fields)


def maximum(model: Model, op: Operator) -> Lowered:
    """The larger of two values on one grid."""
    return binary(model, op, "larger_row", lambda a, b, out: {"sign": 1})


def minimum(model: Model, op: Operator) -> Lowered:
    """The smaller of two values on one grid."""
    return binary(model, op, "larger_row", lambda a, b, out: {"sign": -1})


def prelu(model: Model, op: Operator) -> Lowered:
    """A value, or where it is below zero its product with a slope."""
    return binary(model, op, "prelu_row", _slope_fields)


def binary(
    model: Model, op: Operator, kernel: str, grids: Callable[[Tensor, Tensor, Tensor], Fields], dtype: str = "int8"
) -> Lowered:
    """An elementwise operator of two sides, either of which may be a constant or spread over the other's axes."""
    output = model.output(op, dtype)
    sides = [_side(model, index, dtype) for index in op.inputs[:2]]
    shape = np.broadcast_shapes(*(side.shape for side in sides))
    if shape != output.shape:
        raise Refused(f"makes shape {list(output.shape)} of shapes {[list(side.shape) for side in sides]}")
    full = four(output.shape)
    reads: list[Read] = []
    fields: Fields = {}
    spread: list[tuple[int, ...]] = []
    for name, index, side in zip("ab", op.inputs, sides, strict=False):
        steps, read = _spread(index, side, full)
        spread.append(steps)
        fields[name] = _bytes_of(model.constants[index]) if side.is_constant else None
        reads += [] if side.is_constant else [read]
    if not reads:
        raise Refused("has constants on both sides")
    values, columns, steps = _runs(full[3], full[2], spread)
    fields["steps"] = (values * BYTES[dtype], columns, full[1], int(not sides[0].is_constant), len(reads), *steps)
    fields |= grids(sides[0], sides[1], output) | _limits(op, output)
    if kernel == "larger_row":
        del fields["out_zero"]
    call = Call(kernel, fields)
    return Lowered(call, tuple(reads), op.outputs[0], row_view(output))


def four(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(batches, rows, columns, channels) of any shape, by the rows of `row_view`."""
    if len(shape) < 3:
        return 1, int(np.prod(shape[:-1])), 1, int(np.prod(shape[-1:]))
    return int(np.prod(shape[:-3])), shape[-3], shape[-2], shape[-1]


def _bytes_of(values: np.ndarray) -> np.ndarray:
    return np.frombuffer(np.ascontiguousarray(values).tobytes(), np.int8)


def _side(model: Model, index: int, dtype: str) -> Tensor:
    tensor = model.graph.tensors[index]
    if tensor.is_constant:
        model.constant(index, dtype)
        check_grid(tensor)
        return tensor
    return model.activation(index, dtype)


def _spread(index: int, side: Tensor, full: tuple[int, int, int, int]) -> tuple[tuple[int, ...], Read]:
    """(rows a batch, rows a row, bytes a row, bytes a column, bytes a channel) of one side, and the rows it reads."""
    own = (
        four((1,) * max(0, 4 - len(side.shape)) + side.shape)
        if full[2] > 1 or len(side.shape) > 2
        else four(side.shape)
    )
    (batches, height, width, depth), size = own, BYTES[side.dtype]
    if any(mine not in (1, whole) for mine, whole in zip(own, full, strict=True)):
        raise Refused("spreads a tensor over more than four axes")
    steps = (
        height if batches > 1 else 0, int(height > 1), width * depth * size, depth * size if width > 1 else 0,
        size if depth > 1 else 0,
    )  # fmt: skip
    rows = np.arange(full[0] * full[1])
    at = rows // full[1] * steps[0] + rows % full[1] * steps[1]
    if np.any(np.diff(at) < 0):
        at, stop = np.zeros_like(at), np.full_like(at, batches * height)
    else:
        stop = at + 1
    return steps, Read(index, row_view(side), at, stop, in_place=own == full)


def _runs(depth: int, width: int, spread: Sequence[tuple[int, ...]]) -> tuple[int, int, tuple[int, ...]]:
    """Values a column, columns, and the steps of both sides: a row that both read at even steps is one column."""
    even = [(*steps[:3], 0, steps[4] if depth > 1 else steps[3]) for steps in spread]
    if all(steps[3] == depth * run[4] for steps, run in zip(spread, even, strict=True)):
        return depth * width, 1, (*even[0], *even[1])
    return depth, width, (*spread[0], *spread[1])


def sum_fields(a: Tensor, b: Tensor, output: Tensor, left_shift: int = _LEFT_SHIFT) -> Fields:
    """Zero points and factors of a sum, whose inputs are scaled up by so many bits first."""
    twice = 2.0 * max(a.scales[0], b.scales[0])
    factors = {
        "a_": smaller_than_one(a.scales[0] / twice),
        "b_": smaller_than_one(b.scales[0] / twice),
        "": smaller_than_one(twice / ((1 << left_shift) * output.scales[0])),
    }
    fields: Fields = {"a_zero": a.zero_points[0], "b_zero": b.zero_points[0]}
    for name, factor in factors.items():
        fields |= {f"{name}multiplier": factor.multiplier, f"{name}shift": factor.shift}
    return fields | {"small": int(factors[""].shift <= 0)}


def product_fields(a: Tensor, b: Tensor, output: Tensor) -> Fields:
    """Zero points and the factor of a product."""
    factor = quantize_multiplier(a.scales[0] * b.scales[0] / output.scales[0])
    return {
        "a_zero": a.zero_points[0], "b_zero": b.zero_points[0],
        "multiplier": factor.multiplier, "shift": factor.shift, "small": int(factor.shift <= 0),
    }  # fmt: skip


def _slope_fields(a: Tensor, b: Tensor, output: Tensor) -> Fields:
    above = quantize_multiplier(a.scales[0] / output.scales[0])
    below = product_fields(a, b, output)
    fields: Fields = {"above_multiplier": above.multiplier, "above_shift": above.shift}
    return below | fields | {"small": int(bool(below["small"]) and above.shift <= 0)}


def _limits(op: Operator, output: Tensor) -> Fields:
    fields = grid_fields(op, output, output)
    del fields["in_zero"]
    return fields

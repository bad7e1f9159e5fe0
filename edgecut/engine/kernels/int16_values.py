"""ADD, SUB, MUL and SOFTMAX on 16-bit values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgecut.engine.kernels.elementwise import binary, four, product_fields, sum_fields
from edgecut.engine.lowered import Call, Lowered, Model, Value, row_view, same_rows
from edgecut.engine.quantization import quantize_multiplier
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator, Tensor

_DTYPE = "int16"
_LEFT_SHIFT = 15  # of the inputs before they are scaled: tensorflow/lite/micro/kernels/add_common.cc
_STEPS = 512  # of a table, between which values are interpolated: LUTSize<int16_t> less the last
_RANGE = 10.0  # exp(-10) adds nothing to the sum: tensorflow/lite/micro/kernels/softmax_common.cc


Grids = Callable[[Tensor, Tensor, Tensor], dict[str, Value]]


def add(model: Model, op: Operator) -> Lowered:
    """The sum of two tensors."""
    return _binary(model, op, "add16_row", lambda a, b, out: sum_fields(a, b, out, _LEFT_SHIFT) | {"sign": 1})


def sub(model: Model, op: Operator) -> Lowered:
    """The difference of two tensors."""
    return _binary(model, op, "add16_row", lambda a, b, out: sum_fields(a, b, out, _LEFT_SHIFT) | {"sign": -1})


def mul(model: Model, op: Operator) -> Lowered:
    """The product of two tensors."""
    return _binary(model, op, "mul16_row", product_fields)


def _binary(model: Model, op: Operator, kernel: str, grids: Grids) -> Lowered:
    made = binary(model, op, kernel, grids, _DTYPE)
    # These kernels have no way of one rounded product.
    fields = {name: value for name, value in made.call.fields.items() if name != "small"}
    return replace(made, call=Call(kernel, fields))


def softmax(model: Model, op: Operator) -> Lowered:
    """Softmax over the last axis, by two tables whose entries are interpolated."""
    data, output = model.activation(op.inputs[0], _DTYPE), model.output(op, _DTYPE)
    if data.shape != output.shape or not data.shape:
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    if output.scales[0] != 1 / 32768:
        raise Refused(f"has an output of scale {output.scales[0]:.6g}, and TensorFlow Lite Micro takes 1/32768")
    factor = quantize_multiplier(data.scales[0] * float(op.options.get("beta") or 0.0) / (_RANGE / 65535.0))
    limits = np.iinfo(np.int16)
    view = row_view(data)
    fields: dict[str, Value] = {
        "groups": four(data.shape)[2], "depth": data.shape[-1], "multiplier": factor.multiplier,
        "shift": factor.shift, "exps": _table(_RANGE, limits.max, np.exp),
        "inverses": _table(1.0, limits.min, lambda x: np.float32(1) / (np.float32(1) + x)),
    }  # fmt: skip
    read = same_rows(op.inputs[0], view, in_place=True)
    return Lowered(Call("softmax16_row", fields), (read,), op.outputs[0], view)


def _table(reach: float, zero: int, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A function in Q0.15 at the ends of 512 steps of a range, each moved by half of what interpolation misses in the
    middle (LUTPopulateInt16 of tensorflow/lite/kernels/internal/common.h), in float as there.
    """
    low, high = np.iinfo(np.int16).min, np.iinfo(np.int16).max
    scale, made = np.float32(reach) / np.float32(65535), np.float32(2.0) / np.float32(65535)
    first, last = scale * np.float32(low - zero), scale * np.float32(high - zero)
    step = (last - first) / np.float32(_STEPS)
    inverse = np.float32(65536) / (made * np.float32(high) - made * np.float32(low))
    at = first + np.arange(_STEPS, dtype=np.float32) * step
    behind = first + np.arange(1, _STEPS + 1, dtype=np.float32) * step
    value, middle, following = (function(x) * inverse for x in (at, at + step / np.float32(2), behind))
    sample = _round(value)
    missed = _round((following + sample) / np.float32(2)) - _round(middle)
    steps = np.append(sample - _round(missed / np.float32(2)), _round(function(np.array([last])) * inverse))
    return np.clip(steps, low, high).astype(np.int16)


def _round(values: np.ndarray) -> np.ndarray:
    """The nearest integers, halves away from zero (std::round)."""
    return np.copysign(np.floor(np.abs(values) + np.float32(0.5)), values)

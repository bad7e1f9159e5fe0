"""SOFTMAX in int8 by a table of exponentials."""

from __future__ import annotations

import numpy as np

from edgecut.engine.kernels.elementwise import four
from edgecut.engine.lowered import Call, Lowered, Model, Value, row_view, same_rows
from edgecut.engine.quantization import LIMITS, quantize_multiplier, rounding_shift
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator

_INTEGER_BITS = 5  # kScaledDiffIntegerBits of tensorflow/lite/kernels/internal/reference/softmax.h
_ONE = (1 << 31) - 1
# exp(-2^k) in Q0.31 from k = -2 on, and the constants of the series around -1/8: gemmlowp fixedpoint.h.
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_OF_EIGHTH, _THIRD = 1895147668, 715827883


def softmax(model: Model, op: Operator) -> Lowered:
    """Softmax over the last axis."""
    data, output = model.activation(op.inputs[0]), model.output(op)
    if data.shape != output.shape or not data.shape:
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    if (output.scales[0], output.zero_points[0]) != (1 / 256, -128):
        raise Refused(f"has an output of scale {output.scales[0]:.6g}, and TensorFlow Lite Micro takes 1/256 from -128")
    beta = float(op.options.get("beta") or 0.0)
    view = row_view(data)
    fields: dict[str, Value] = {
        "groups": four(data.shape)[2],
        "depth": data.shape[-1],
        "exps": exponentials(beta, data.scales[0]),
    }
    return Lowered(Call("softmax_row", fields), (same_rows(op.inputs[0], view),), op.outputs[0], view)


def exponentials(beta: float, scale: float) -> np.ndarray:
    """exp(-beta * scale * n) in Q0.31 for n from 0 to 255, int32; -1 where the kernel takes it for nothing."""
    real = min(beta * scale * (1 << (31 - _INTEGER_BITS)), (1 << 31) - 1.0)
    if not real > 1.0:
        raise Refused("takes values that hardly vary, which TensorFlow Lite Micro can't hold and aborts on")
    factor = quantize_multiplier(real)
    radius = int(((1 << _INTEGER_BITS) - 1) * (1 << (31 - _INTEGER_BITS)) / (1 << factor.shift))
    low, high = LIMITS["int8"]
    steps = np.arange(high - low + 1)
    near = -np.minimum(steps, radius)
    return np.where(steps <= radius, exp_on_negative(factor.apply(near), _INTEGER_BITS), -1).astype(np.int32)


def exp_on_negative(values: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp of numbers that aren't positive, with so many bits before the point, in Q0.31 (exp_on_negative_values)."""
    fraction = 31 - integer_bits
    quarter = 1 << (fraction - 2)
    below = (values & (quarter - 1)) - quarter
    result = _exp_in_quarter(below << integer_bits)
    rest = below - values
    for place, power in zip(range(-2, integer_bits), _POWERS, strict=False):
        result = np.where(rest & (1 << (fraction + place)), product(result, power), result)
    return np.where(values == 0, _ONE, result)


def product(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """a * b in Q0.31, rounded (SaturatingRoundingDoublingHighMul)."""
    return (a * np.int64(b) + (1 << 30) if isinstance(b, int) else a * b + (1 << 30)) >> 31


def _exp_in_quarter(a: np.ndarray) -> np.ndarray:
    x = a + (1 << 28)
    square = product(x, x)
    cube, fourth = product(square, x), product(square, square)
    series = rounding_shift(product(rounding_shift(fourth, 2) + cube, _THIRD) + square, 1)
    return _EXP_OF_EIGHTH + product(x + series, _EXP_OF_EIGHTH)

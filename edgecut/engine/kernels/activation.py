"""Operators of one int8 value: tables of their 256 results, as TensorFlow Lite Micro computes each; and SOFTMAX."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgecut.engine.kernels import fixed_point
from edgecut.engine.kernels.elementwise import four
from edgecut.engine.lowered import Call, Lowered, Model, Value, row_view, same_rows
from edgecut.engine.quantization import LIMITS, Multiplier, on_grid, quantize_multiplier, rounding_shift
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator, Tensor

_INTEGER_BITS = 5  # kScaledDiffIntegerBits of tensorflow/lite/kernels/internal/reference/softmax.h
_SIGMOID_BITS = 4  # kInputIntegerBits of tensorflow/lite/micro/kernels/logistic_common.cc and tanh.cc

# The results for input integers (256,), int64, of tensors on these grids.
Table = Callable[[np.ndarray, Tensor, Tensor, Operator], np.ndarray]


def softmax(model: Model, op: Operator) -> Lowered:
    """Softmax over the last axis."""
    data, output = model.activation(op.inputs[0]), model.output(op)
    _check_shapes(data, output)
    if (output.scales[0], output.zero_points[0]) != (1 / 256, -128):
        raise Refused(f"has an output of scale {output.scales[0]:.6g}, and TensorFlow Lite Micro takes 1/256 from -128")
    beta = float(op.options.get("beta") or 0.0)
    view = row_view(data)
    fields: dict[str, Value] = {"groups": four(data.shape)[2], "depth": data.shape[-1]}
    fields["exps"] = exponentials(beta, data.scales[0])
    return Lowered(Call("softmax_row", fields), (same_rows(op.inputs[0], view, in_place=True),), op.outputs[0], view)


def exponentials(beta: float, scale: float) -> np.ndarray:
    """exp(-beta * scale * n) in Q0.31 for n from 0 to 255, int32; -1 where the kernel takes it for nothing."""
    real = min(beta * scale * (1 << (31 - _INTEGER_BITS)), (1 << 31) - 1.0)
    if not real > 1.0:
        raise Refused("takes values that hardly vary, which TensorFlow Lite Micro can't hold and aborts on")
    factor = quantize_multiplier(real)
    radius = _radius(_INTEGER_BITS, factor)
    steps = np.arange(256)
    exps = fixed_point.exp_on_negative(factor.apply(-np.minimum(steps, radius)), _INTEGER_BITS)
    return np.where(steps <= radius, exps, -1).astype(np.int32)


def _radius(integer_bits: int, factor: Multiplier) -> int:
    """The largest difference that the fixed point holds (CalculateInputRadius)."""
    return int(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / (1 << max(factor.shift, 0)))


def lookup(table: Table, *dtypes: str) -> Callable[[Model, Operator], Lowered]:
    """What binds an operator of single values to its table. dtypes: of its output beside int8."""

    def bound(model: Model, op: Operator) -> Lowered:
        data, output = model.activation(op.inputs[0], "int8", *dtypes), model.output(op, "int8", *dtypes)
        _check_shapes(data, output)
        low, high = LIMITS[data.dtype]
        made_low, made_high = LIMITS[output.dtype]
        results = np.clip(table(np.arange(low, high + 1), data, output, op), made_low, made_high)
        # The kernel reads every byte as int8: from -128 on, which uint8 values from 128 on are.
        ordered = np.roll(results, 128) if data.dtype == "uint8" else results
        view = row_view(data)
        fields: dict[str, Value] = {"bytes": view.row_bytes, "table": ordered.astype(np.uint8).view(np.int8)}
        return Lowered(Call("lookup_row", fields), (same_rows(op.inputs[0], view, in_place=True),), op.outputs[0], view)

    return bound


def relu_table(values: np.ndarray, data: Tensor, output: Tensor, _: Operator) -> np.ndarray:
    """RELU, with a change of grid (tensorflow/lite/micro/kernels/activations_common.cc)."""
    factor = quantize_multiplier(float(np.float32(data.scales[0]) / np.float32(output.scales[0])))
    rescaled = output.zero_points[0] + factor.apply(values - data.zero_points[0])
    return np.maximum(rescaled, max(-128, on_grid(0.0, output.scales[0], output.zero_points[0])))


def relu6_table(values: np.ndarray, data: Tensor, output: Tensor, _: Operator) -> np.ndarray:
    """RELU6, which keeps the grid."""
    low, high = (on_grid(bound, data.scales[0], data.zero_points[0]) for bound in (0.0, 6.0))
    return np.minimum(np.maximum(values, low), high)


def leaky_relu_table(values: np.ndarray, data: Tensor, output: Tensor, op: Operator) -> np.ndarray:
    """LEAKY_RELU: one factor for each sign, both rounded to float first."""
    alpha, scale, made = np.float32(op.options.get("alpha") or 0.0), np.float32(data.scales[0]), output.scales[0]
    above = quantize_multiplier(float(scale / np.float32(made)))
    below = quantize_multiplier(float(scale * alpha / np.float32(made)))
    real = values - data.zero_points[0]
    return output.zero_points[0] + np.where(real >= 0, above.apply(real), below.apply(real))


def logistic_table(values: np.ndarray, data: Tensor, output: Tensor, _: Operator) -> np.ndarray:
    """LOGISTIC on the grid 1/256 from -128."""
    _check_grid(output, 1 / 256, -128)
    inside, real = _in_q4(values, data)
    made = rounding_shift(fixed_point.logistic(real), 23) - 128
    return np.where(inside, made, np.where(values > data.zero_points[0], 127, -128))


def tanh_table(values: np.ndarray, data: Tensor, output: Tensor, _: Operator) -> np.ndarray:
    """TANH on the grid 1/128 from 0."""
    _check_grid(output, 1 / 128, 0)
    inside, real = _in_q4(values, data)
    made = rounding_shift(fixed_point.tanh(real), 24)
    return np.where(inside, made, np.where(values > data.zero_points[0], 127, -128))


def hard_swish_table(values: np.ndarray, data: Tensor, output: Tensor, _: Operator) -> np.ndarray:
    """HARD_SWISH in 16 bits (tensorflow/lite/kernels/internal/reference/hard_swish.h)."""
    fine = np.float32(1 / 128) * np.float32(data.scales[0])
    made = quantize_multiplier(float(fine / np.float32(output.scales[0])))
    gate = quantize_multiplier(float(fine / np.float32(3.0 / 32768.0)))
    if made.shift > 0:
        raise Refused("has scales that TensorFlow Lite Micro's kernel doesn't take")
    real = (values - data.zero_points[0]) * 128
    scaled = fixed_point.rounded_product_16(real, fixed_point.as_16_bits(made.multiplier))
    opened = real
    if gate.shift > 0:
        opened = np.clip(opened << (gate.shift - 1), -32768, 32767)
    opened = fixed_point.rounded_product_16(opened, fixed_point.as_16_bits(gate.multiplier))
    if gate.shift > 0:
        opened = np.clip(opened << 1, -32768, 32767)
    elif gate.shift < 0:
        opened = rounding_shift(opened, -gate.shift)
    opened = (opened + (1 << 15)) >> 1
    product = fixed_point.truncated(opened * scaled, 15)
    return rounding_shift(product, -made.shift) + output.zero_points[0]


def quantize_table(values: np.ndarray, data: Tensor, output: Tensor, _: Operator) -> np.ndarray:
    """QUANTIZE from one grid to another."""
    factor = quantize_multiplier(data.scales[0] / output.scales[0])
    return factor.apply(values - data.zero_points[0]) + output.zero_points[0]


def _in_q4(values: np.ndarray, data: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(whether a value is inside the table's range, the real values with four bits before the point)."""
    factor = quantize_multiplier(data.scales[0] * (1 << (31 - _SIGMOID_BITS)))
    radius = _radius(_SIGMOID_BITS, factor)
    real = values - data.zero_points[0]
    inside = (real > -radius) & (real < radius)
    return inside, factor.apply(np.where(inside, real, 0))


def _check_grid(output: Tensor, scale: float, zero_point: int) -> None:
    if (output.scales[0], output.zero_points[0]) != (scale, zero_point):
        raise Refused(
            f"has an output of scale {output.scales[0]:.6g}, and the kernel takes {scale:.6g} from {zero_point}"
        )


def _check_shapes(data: Tensor, output: Tensor) -> None:
    if data.shape != output.shape or not data.shape:
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")

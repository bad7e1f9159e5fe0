"""Fixed-point numbers as TensorFlow Lite Micro computes them: rounded twice, multiplier first, shift second.

Sources: tensorflow/lite/kernels/internal/quantization_util.cc and common.h (without TFLITE_SINGLE_ROUNDING),
tensorflow/lite/kernels/kernel_util.cc (CalculateActivationRangeQuantized).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.engine.refusal import Refused

LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
_NONE, _RELU, _RELU_N1_TO_1, _RELU6 = 0, 1, 2, 3  # schema.fbs: ActivationFunctionType


@dataclass(frozen=True)
class Multiplier:
    """A real factor as multiplier * 2^(shift - 31); a positive shift goes left."""

    multiplier: int
    shift: int

    def apply(self, values: np.ndarray | int) -> np.ndarray:
        """The products of int32 values, int64, each rounded twice (MultiplyByQuantizedMultiplier)."""
        left, right = max(self.shift, 0), max(-self.shift, 0)
        wide = (np.asarray(values, np.int64) << left).astype(np.int32).astype(np.int64)
        return rounding_shift((wide * self.multiplier + (1 << 30)) >> 31, right)


# A factor too small for 32 bits; the kernels have it with a shift of 0, which gives the same zeros.
_NOTHING = Multiplier(0, -1)


def rounding_shift(values: np.ndarray, exponent: int) -> np.ndarray:
    """Values divided by 2^exponent, halves away from zero (gemmlowp::RoundingDivideByPOT)."""
    mask = (1 << exponent) - 1
    return (values >> exponent) + ((values & mask) > (mask >> 1) + (values < 0))


def rounded(value: float) -> int:
    """The nearest integer, halves away from zero (std::round)."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value)) if abs(value) < 2**52 else int(value)


def quantize_multiplier(real: float) -> Multiplier:
    """The fixed-point form of a real factor (QuantizeMultiplier). Raises Refused for one that no kernel can hold."""
    if real == 0.0:
        return _NOTHING
    if not math.isfinite(real):
        raise Refused(f"has a scale that makes the factor {real!r}")
    fraction, shift = math.frexp(real)
    fixed = rounded(fraction * (1 << 31))
    if fixed == 1 << 31:
        fixed, shift = fixed // 2, shift + 1
    if shift < -31:
        return _NOTHING
    if shift > 31:
        raise Refused(f"has scales that make the factor {real:.3g}, which 32 bits don't hold")
    return Multiplier(fixed, shift)


def smaller_than_one(real: float) -> Multiplier:
    """The same for a factor that the kernel demands to lie between 0 and 1, both excluded."""
    if not 0.0 < real < 1.0:
        raise Refused(f"has scales that make the factor {real:.3g}, and the kernel aborts unless it is below 1")
    return quantize_multiplier(real)


def channel_multipliers(input_scale: float, filters: Sequence[float], output_scale: float) -> tuple[Multiplier, ...]:
    """One factor for each filter scale (PopulateConvolutionQuantizationParams): all in double."""
    return tuple(quantize_multiplier(input_scale * scale / output_scale) for scale in filters)


def tensor_multiplier(input_scale: float, filter_scale: float, output_scale: float) -> Multiplier:
    """The factor of a dense layer (GetQuantizedConvolutionMultipler): the scales' product is rounded to float first."""
    return quantize_multiplier(float(np.float32(input_scale) * np.float32(filter_scale)) / output_scale)


def activation_range(activation: int, scale: float, zero_point: int, dtype: str) -> tuple[int, int]:
    """The smallest and largest output of a fused activation, by the output's grid."""
    low, high = LIMITS[dtype]
    if activation == _NONE:
        return low, high
    if activation not in (_RELU, _RELU_N1_TO_1, _RELU6):
        raise Refused(f"has a fused activation of number {activation}; apply it as a layer of its own")
    bounds = {_RELU: (0.0, None), _RELU_N1_TO_1: (-1.0, 1.0), _RELU6: (0.0, 6.0)}[activation]
    low = max(low, on_grid(bounds[0], scale, zero_point))
    return low, high if bounds[1] is None else min(high, on_grid(bounds[1], scale, zero_point))


def on_grid(real: float, scale: float, zero_point: int) -> int:
    """The integer of a real value, divided in float as the kernels do."""
    return zero_point + rounded(float(np.float32(real) / np.float32(scale)))


def sums_are_small(bias: np.ndarray, weights: np.ndarray, factors: Sequence[Multiplier]) -> bool:
    """Whether no sum of int8 values by these filters reaches 2^30, and each factor is below one.

    bias: with the input's zero point taken in. weights: (filters, taps), int8. The bound is that of all inputs at the
    end of their range, which a padding's zero points lie inside.
    """
    most = np.abs(bias.astype(np.int64)) + 128 * np.abs(weights.astype(np.int64)).sum(1)
    return bool(most.max(initial=0) < 1 << 30) and all(factor.shift <= 0 for factor in factors)


def constant_outputs(
    bias: np.ndarray, weights: np.ndarray, factors: Sequence[Multiplier], zero_point: int, limits: tuple[int, int]
) -> dict[int, int]:
    """{filter: its output less the zero point} of filters whose sums may reach 2^30 and that always give one number.

    A channel that never fires has such a scale that its bias fills the 32 bits; no input moves its output. Arguments as
    of sums_are_small.
    """
    reach = 128 * np.abs(weights.astype(np.int64)).sum(1)
    low, high = bias.astype(np.int64) - reach, bias.astype(np.int64) + reach
    outputs = dict[int, int]()
    large = (np.maximum(high, -low) >= 1 << 30) & (high < 1 << 31) & (low >= -(1 << 31))
    for k in np.flatnonzero(large).tolist():
        if factors[k].shift <= 0:
            ends = np.clip(factors[k].apply(np.array([low[k], high[k]])) + zero_point, *limits)
            if ends[0] == ends[1]:
                outputs[k] = int(ends[0]) - zero_point
    return outputs


def folded_bias(bias: np.ndarray, weight_sums: np.ndarray, input_zero_point: int) -> np.ndarray:
    """The biases with the input's zero point taken in: bias - zero_point * sum of the filter's weights, int32.

    Sums are computed modulo 2^32 here and in C, where the interpreter's own sums are (its accumulator is an int32), so
    folding is exact for every filter, whether or not a sum overflows.
    """
    exact = bias.astype(np.int64) - input_zero_point * weight_sums.astype(np.int64)
    return (exact & 0xFFFFFFFF).astype(np.uint32).view(np.int32)

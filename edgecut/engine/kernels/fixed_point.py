"""exp, the sigmoid and tanh in 32-bit fixed point, rounded as gemmlowp's fixedpoint.h rounds them."""

from __future__ import annotations

import numpy as np

from edgecut.engine.quantization import rounding_shift

ONE = (1 << 31) - 1
# exp(-2^k) in Q0.31 from k = -2 on, and the constants of the series around -1/8.
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_OF_EIGHTH, _THIRD = 1895147668, 715827883
# Newton's division begins at 48/17 - 32/17 * x, in Q2.29.
_48_OVER_17, _MINUS_32_OVER_17, _ONE_Q2 = 1515870810, -1010580540, 1 << 29


def product(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """a * b in Q0.31, rounded (SaturatingRoundingDoublingHighMul)."""
    return (a * b + (1 << 30)) >> 31


def exp_on_negative(values: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp of numbers that aren't positive, with so many bits before the point, in Q0.31."""
    fraction = 31 - integer_bits
    quarter = 1 << (fraction - 2)
    below = (values & (quarter - 1)) - quarter
    result = _exp_in_quarter(below << integer_bits)
    rest = below - values
    for place, power in zip(range(-2, integer_bits), _POWERS, strict=False):
        result = np.where(rest & (1 << (fraction + place)), product(result, power), result)
    return np.where(values == 0, ONE, result)


def logistic(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) in Q0.31 of x with four bits before the point."""
    above = _shifted(_inverse(exp_on_negative(-np.abs(values), 4)), 1)
    return np.where(values == 0, 1 << 30, np.where(values > 0, above, ONE - above))


def tanh(values: np.ndarray) -> np.ndarray:
    """tanh in Q0.31 of numbers with four bits before the point."""
    above = _shifted(_inverse(exp_on_negative(-np.abs(values), 5)) - _ONE_Q2, 2)
    return np.where(values == 0, 0, np.where(values > 0, above, -above))


def rounded_product_16(a: np.ndarray, b: int) -> np.ndarray:
    """a * b in Q0.15, rounded (SaturatingRoundingDoublingHighMul of int16)."""
    return np.clip((a * b + (1 << 14)) >> 15, -32768, 32767)


def truncated(values: np.ndarray, shift: int) -> np.ndarray:
    """Values divided by 2^shift, towards zero."""
    return np.sign(values) * (np.abs(values) >> shift)


def as_16_bits(multiplier: int) -> int:
    """A 32-bit multiplier in 16 bits (DownScaleInt32ToInt16Multiplier)."""
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1)


def _exp_in_quarter(a: np.ndarray) -> np.ndarray:
    x = a + (1 << 28)
    square = product(x, x)
    cube, fourth = product(square, x), product(square, square)
    series = rounding_shift(product(rounding_shift(fourth, 2) + cube, _THIRD) + square, 1)
    return _EXP_OF_EIGHTH + product(x + series, _EXP_OF_EIGHTH)


def _inverse(x: np.ndarray) -> np.ndarray:
    """2 / (1 + x) in Q2.29 of x in Q0.31 from 0 to 1."""
    half = (x + ONE + 1) >> 1
    inverse = _48_OVER_17 + product(half, _MINUS_32_OVER_17)
    for _ in range(3):
        rest = _ONE_Q2 - product(half, inverse)
        inverse = inverse + _shifted(product(inverse, rest), 2)
    return inverse


def _shifted(values: np.ndarray, left: int) -> np.ndarray:
    return np.clip(values << left, -(1 << 31), ONE)

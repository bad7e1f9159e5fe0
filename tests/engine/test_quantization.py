"""Sums become outputs by one rounded product where that is exact, and filters that give one number are known."""

from __future__ import annotations

import numpy as np

from edgecut.engine.quantization import Multiplier, constant_outputs, sums_are_small


def test_one_product_gives_what_two_roundings_give() -> None:
    random = np.random.default_rng(0)
    for shift in range(-31, 1):
        for multiplier in (1 << 30, (1 << 31) - 1, int(random.integers(1 << 30, 1 << 31))):
            edges = np.arange(-70, 70) << (-shift // 2)
            sums = np.concatenate(
                [random.integers(-(1 << 30) + 1, 1 << 30, 3000), random.integers(-999, 999, 500), edges]
            )
            product = (sums * multiplier + (1 << 30)) >> 31
            doubled = 2 * product - (product < 0)  # as requantized() in common.c
            lanes = product + ((product & shift) >> 63)  # as requantized_lanes()
            rounding = (1 << -shift) >> 1
            expected = Multiplier(multiplier, shift).apply(sums)
            np.testing.assert_array_equal(((doubled >> -shift) + 2 * 3 + 1) >> 1, expected + 3)
            np.testing.assert_array_equal((lanes + rounding) >> -shift, expected)
            assert np.abs(doubled).max() < 1 << 31


def test_a_channel_that_never_fires_is_one_number() -> None:
    """Its bias fills the 32 bits, and its scale is as small; where an input moves the output, the filter stays."""
    bias = np.array([1 << 30, -(1 << 30) - 5, (1 << 31) - 9, (1 << 30) + (1 << 23), 1 << 30, 100], np.int32)
    weights = np.array([[3, -4], [127, 127], [127, 127], [127, 127], [127, 127], [1, 2]], np.int8)
    shifts = (-29, -29, -29, -23, -14, -3)
    factors = [Multiplier(1 << 30, shift) for shift in shifts]
    # The third sum may overflow, the fourth lies where it is rounded to 64 or 65, the fifth meets the limit.
    assert constant_outputs(bias, weights, factors, -128, (-128, 127)) == {0: 1, 1: 0, 4: 255}
    assert constant_outputs(bias, weights, factors, 4, (4, 6)) == {0: 1, 1: 0, 3: 2, 4: 2}
    assert not sums_are_small(bias, weights, factors)
    assert sums_are_small(bias[5:], weights[5:], factors[5:])

from __future__ import annotations

import numpy as np

from edgecut.quantize.names import LayerOutput, equal_layers


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, *shape)).astype(np.float32)


MAP, OTHER = values(8, 8, 4), values(8, 8, 4, seed=1)


def layers(*names: str) -> list[LayerOutput]:
    return [LayerOutput(name, (None, 8, 8, 4)) for name in names]


def test_a_tensor_is_the_layer_whose_values_it_holds() -> None:
    assert equal_layers({7: OTHER, 9: MAP}, layers("a", "b"), {"a": MAP, "b": OTHER}) == {7: "b", 9: "a"}


def test_equal_widths_prove_nothing() -> None:
    """A separable convolution's first half is as wide as the whole layer's output."""
    assert equal_layers({1: OTHER}, layers("separable"), {"separable": MAP}) == {}


def test_rounding_of_float32_is_no_difference_and_that_of_8_bits_is_one() -> None:
    rounded = np.round(MAP * 32) / 32
    assert equal_layers({1: MAP * np.float32(1 + 1e-6)}, layers("a"), {"a": MAP}) == {1: "a"}
    assert equal_layers({1: rounded}, layers("a"), {"a": MAP}) == {}


def test_a_constant_part_does_not_hide_a_difference() -> None:
    assert equal_layers({1: 1000 + MAP}, layers("a"), {"a": 1000 + OTHER}) == {}


def test_of_equal_layers_the_first_in_calling_order_is_it() -> None:
    assert equal_layers({1: MAP}, layers("relu", "dropout"), {"relu": MAP, "dropout": MAP}) == {1: "relu"}


def test_a_layer_names_one_tensor() -> None:
    both = {"relu": MAP, "twin": MAP}
    assert equal_layers({1: MAP, 2: MAP, 3: MAP}, layers("relu", "twin"), both) == {1: "relu", 2: "twin"}


def test_axes_of_size_one_may_be_missing_and_the_own_shape_goes_first() -> None:
    pooled = values(4)
    known = {"pool": pooled[:, None, None], "flat": pooled}
    assert equal_layers({1: pooled}, layers("pool", "flat"), known) == {1: "flat"}
    assert equal_layers({1: pooled}, layers("pool"), {"pool": known["pool"]}) == {1: "pool"}


def test_values_that_are_no_numbers_prove_nothing() -> None:
    broken = np.full_like(MAP, np.nan)
    assert equal_layers({1: broken}, layers("a"), {"a": broken}) == {}

"""The cures change numbers and nothing else, and each does what it is named after. No TensorFlow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecut.errors import RequestError
from edgecut.quantize.corrections import ORDER, Correction, Subject, correct
from edgecut.quantize.equalize import factors, scaled
from edgecut.quantize.grids import real_values
from edgecut.quantize.interior import Interior, Pictures, outputs_of
from edgecut.quantize.numbers import Numbers, grid_for, numbers_of, render
from edgecut.quantize.observed import Observed
from edgecut.quantize.pairs import pair
from edgecut.quantize.ranges import range_of, rounding_error
from edgecut.quantize.rounding import rounded
from edgecut.quantize.scale_groups import channel_groups, scale_groups
from edgecut.tflite.flatbuffer import parse
from edgecut.tflite.patch import constant
from tests.quantized import FLOAT, INT8, images

TWINS = pair(INT8, FLOAT)
DEPTHWISE = TWINS.graph.operators[1]


def means(content: bytes, index: int, pixels: np.ndarray) -> np.ndarray:
    """Each channel's mean of a tensor over images."""
    interior = Interior(content)
    tensor = interior.graph.tensors[interior.graph.inputs[0]]
    found = []
    for image in pixels:
        codes = image / tensor.scales[0] + tensor.zero_points[0] if tensor.scales else image
        interior.run([np.clip(np.rint(codes), -128, 127).astype(np.int8)[None] if tensor.scales else image[None]])
        found.append(interior.real(index).mean(axis=(0, 1, 2)))
    return np.mean(found, axis=0)


def test_every_operator_with_weights_finds_its_float_twin() -> None:
    assert [TWINS.weighted[k].operator.name for k in sorted(TWINS.weighted)] == [
        "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "FULLY_CONNECTED",
    ]  # fmt: skip
    assert TWINS.unmatched == ()


def test_files_of_two_models_have_no_twins() -> None:
    from edgecut.tflite.cut import cut_tensors

    other = cut_tensors(FLOAT, [parse(FLOAT, "x").operators[5].outputs[0]], [parse(FLOAT, "x").operators[4].outputs[0]])
    with pytest.raises(RequestError) as caught:
        pair(cut_tensors(INT8, [TWINS.graph.operators[0].outputs[0]]), other)
    assert str(caught.value) == (
        "quantize: the int8 and the float file have no operator in common; convert both from one model"
    )


def test_the_converters_own_numbers_give_its_own_weights() -> None:
    content = render(TWINS, numbers_of(TWINS))
    for weighted in TWINS.weighted.values():
        np.testing.assert_array_equal(
            constant(content, weighted.weights_index), constant(TWINS.int8, weighted.weights_index)
        )


@pytest.mark.parametrize("cure", ORDER)
def test_a_cure_changes_neither_size_nor_operators(cure: Correction) -> None:
    content = correct(Subject(TWINS, images(32)), frozenset({cure})).content(TWINS)
    assert len(content) == len(TWINS.int8)
    graph = parse(content, "mended")
    assert [op.name for op in graph.operators] == [op.name for op in TWINS.graph.operators]
    assert [(t.shape, t.dtype) for t in graph.tensors] == [(t.shape, t.dtype) for t in TWINS.graph.tensors]


def test_bias_correction_takes_a_shift_back_to_a_tenth() -> None:
    sick = numbers_of(TWINS)
    file_pair = TWINS
    pixels, index = images(32), DEPTHWISE.outputs[0]
    expected = means(FLOAT, file_pair.tensors[index], pixels)
    shifted = Numbers(sick.weights, {**sick.biases, 1: sick.biases[1] + 0.05})
    from edgecut.quantize.sequential import mended

    observed = Subject(file_pair, pixels).observed
    before = np.abs(means(render(file_pair, shifted), index, pixels) - expected).mean()
    after = np.abs(
        means(render(file_pair, mended(file_pair, shifted, pixels, observed)), index, pixels) - expected
    ).mean()
    assert after < before / 10


def test_equalization_leaves_what_the_float_model_computes() -> None:
    observed = Subject(TWINS, images(32)).observed
    numbers, original = numbers_of(TWINS), numbers_of(TWINS)
    groups = channel_groups(TWINS)
    for group in groups:
        numbers = scaled(TWINS, numbers, group, factors(group, observed))
    # Pointwise weights times what its input was divided by: by hand for the group between the two.
    group = next(g for g in groups if DEPTHWISE.outputs[0] in g.tensors)
    by = factors(group, observed)
    outs = next(g for g in groups if TWINS.graph.operators[2].outputs[0] in g.tensors)
    np.testing.assert_allclose(
        numbers.weights[2][:, 0, 0, :] * by / factors(outs, observed)[:, None], original.weights[2][:, 0, 0, :]
    )
    np.testing.assert_allclose(numbers.biases[1] / by, original.biases[1])
    assert by.min() >= 1


def test_equalized_channels_all_reach_as_far_as_the_widest() -> None:
    observed = Subject(TWINS, images(32)).observed
    for group in channel_groups(TWINS):
        reach = np.max([observed[i].high for i in group.tensors if i in observed], axis=0)
        np.testing.assert_allclose(reach * factors(group, observed), reach.max(), rtol=1e-5)


def test_a_relu6_bounds_what_a_channel_may_grow_to() -> None:
    group = replace(channel_groups(TWINS)[0], bounded=channel_groups(TWINS)[0].tensors[:1])
    high = np.linspace(1, 12, group.channels)
    seen = Observed(np.zeros(group.channels), np.minimum(high, 6), np.zeros((1, group.channels)), np.zeros((1, 1)))
    wide = Observed(np.zeros(group.channels), high, np.zeros((1, group.channels)), np.zeros((1, 1)))
    observed = dict.fromkeys(group.tensors, wide) | {group.bounded[0]: seen}
    assert (np.minimum(high, 6) * factors(group, observed)).max() <= 6 + 1e-9


def test_tensors_of_an_average_pool_share_one_scale_and_the_outputs_keep_theirs() -> None:
    groups = scale_groups(TWINS)
    pool = TWINS.graph.operators[3]
    assert tuple(sorted((pool.inputs[0], pool.outputs[0]))) in groups
    fixed = {*TWINS.graph.inputs, *TWINS.graph.outputs}
    assert not fixed & {index for group in groups for index in group}


@settings(max_examples=50)
@given(st.floats(-100, 100), st.floats(0.01, 200))
def test_zero_is_always_on_the_grid_and_the_range_is_covered(low: float, width: float) -> None:
    """quantization_spec: real zero is exactly representable; both ends are within one step of the range's."""
    scale, zero = grid_for(low, low + width)
    assert -128 <= zero <= 127
    first, last = (-128 - zero) * scale, (127 - zero) * scale
    assert first <= min(low, 0) + scale
    assert last >= max(low + width, 0) - scale


def test_the_mse_rule_leaves_an_outlier_out_where_that_costs_less() -> None:
    values = np.random.default_rng(0).normal(0, 1, (20000, 1)).astype(np.float32)
    values[0] = 60.0
    seen = Observed(values.min(0), values.max(0), values.mean(0)[None], values)
    low, high = range_of([seen], "mse")
    assert high < 60
    assert rounding_error(values, low, high) < rounding_error(values, *range_of([seen], "min-max"))
    assert range_of([seen], "percentile")[1] < 10


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_adaptive_rounding_errs_less_at_the_output_on_correlated_inputs(seed: int) -> None:
    """The sum over outputs of the squared error is smaller than with each weight at its nearest step."""
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(400, 3)) @ random.normal(size=(3, 16)) + 0.05 * random.normal(size=(400, 16))
    inputs -= inputs.mean(axis=0)
    weights = random.normal(size=(8, 16))
    scales = np.abs(weights).max(axis=1) / 15
    nearest = np.rint(weights / scales[:, None])
    steps = rounded(weights, scales, inputs.T @ inputs / 400)
    errors = [np.sum((inputs @ (w * scales[:, None] - weights).T) ** 2) for w in (steps, nearest)]
    assert np.abs(steps).max() <= 127
    assert errors[0] < errors[1]


def test_pictures_are_made_a_few_at_a_time_and_all_are_there() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 12, 12, 1)).astype(np.uint8)
    made: list[int] = []

    def to_input(part: np.ndarray) -> np.ndarray:
        made.append(len(part))
        return part.astype(np.float32) / 127.5 - 1

    fed = Pictures(pixels, to_input)
    np.testing.assert_array_equal(outputs_of(INT8, fed)[0], outputs_of(INT8, to_input(pixels))[0])
    assert made[:3] == [32, 32, 6]
    assert len(fed[:10]) == 10


def test_real_values_are_scale_times_distance_from_zero_point() -> None:
    tensor = TWINS.graph.tensors[DEPTHWISE.outputs[0]]
    codes = np.array([[-128, 0, 127]], np.int8)
    np.testing.assert_allclose(real_values(codes, tensor), np.array([[0, 128, 255]]) * tensor.scales[0], rtol=1e-6)

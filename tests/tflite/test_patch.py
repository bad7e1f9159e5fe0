from __future__ import annotations

import numpy as np
import pytest

from edgecut.errors import SourceError
from edgecut.quantize.interior import outputs_of
from edgecut.tflite.flatbuffer import parse
from edgecut.tflite.pack import unshared
from edgecut.tflite.patch import Grid, constant, constants, patched
from tests.quantized import INT8, images

GRAPH = parse(INT8, "tiny")
WEIGHTS, BIAS = GRAPH.operators[0].inputs[1:3]


def test_the_files_own_numbers_written_back_are_the_same_bytes() -> None:
    grids = {t.index: Grid(np.array(t.scales), np.array(t.zero_points)) for t in GRAPH.tensors if t.scales}
    assert patched(INT8, constants(INT8, GRAPH), grids) == INT8


def test_other_weights_and_scales_are_read_back_and_nothing_else_changes() -> None:
    weights = constant(INT8, WEIGHTS)
    scales = np.array(GRAPH.tensors[WEIGHTS].scales) * 2
    result = patched(INT8, {WEIGHTS: -weights}, {WEIGHTS: Grid(scales, np.zeros(8, np.int64))})
    assert len(result) == len(INT8)
    after = parse(result, "tiny")
    np.testing.assert_array_equal(constant(result, WEIGHTS), -weights)
    np.testing.assert_allclose(after.tensors[WEIGHTS].scales, scales)
    others = [t for t in GRAPH.tensors if t.index != WEIGHTS]
    assert [after.tensors[t.index] for t in others] == others
    np.testing.assert_array_equal(constant(result, BIAS), constant(INT8, BIAS))


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^tensor 7 holds int8 \(8, 3, 3, 1\), found int8 \(8, 3, 3\)$"):
        patched(INT8, {WEIGHTS: constant(INT8, WEIGHTS)[..., 0]}, {})


def test_another_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^tensor 5 holds int32 \(8,\), found int64 \(8,\)$"):
        patched(INT8, {BIAS: constant(INT8, BIAS).astype(np.int64)}, {})


def test_another_number_of_scales_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^8 scales or zero points are in the file, found 1$"):
        patched(INT8, {}, {WEIGHTS: Grid(np.ones(1), np.zeros(1))})


def test_two_constants_in_one_buffer_cant_become_different() -> None:
    other = GRAPH.operators[1].inputs[2]
    values = {BIAS: constant(INT8, BIAS), other: constant(INT8, other) + np.int32(1)}
    with pytest.raises(SourceError, match=r"^model: tensors share buffer 6, so they can't hold different numbers$"):
        patched(INT8, values, {})


def test_unshared_constants_can_become_different_and_the_file_computes_the_same() -> None:
    other = GRAPH.operators[1].inputs[2]
    result = unshared(INT8)
    pixels = images(2)
    np.testing.assert_array_equal(outputs_of(result, pixels)[0], outputs_of(INT8, pixels)[0])
    values = {BIAS: constant(result, BIAS), other: constant(result, other) + np.int32(1)}
    after = patched(result, values, {})
    np.testing.assert_array_equal(constant(after, other), values[other])
    assert len(after) - len(INT8) < 600


def test_a_file_without_shared_constants_is_left_as_it_is() -> None:
    assert unshared(unshared(INT8)) == unshared(INT8)

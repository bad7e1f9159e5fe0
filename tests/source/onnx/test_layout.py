"""A view means the same tensor as numpy's, whatever order its elements lie in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.source.onnx.layout import LayoutError, Mover, View, constant_view


def moved(*_: object) -> object:
    raise AssertionError("an array is moved by numpy")


MOVER = Mover(moved, moved)  # type: ignore[arg-type]


def meaning(view: View) -> np.ndarray:
    """The ONNX tensor, batch 1, that a view of an array means."""
    order = [d for axis in view.axes for d in axis]
    left = [d for d in range(view.tensor.ndim) if d not in order]
    assert all(view.tensor.shape[d] == 1 for d in left)
    return view.tensor.transpose([*left, *order]).reshape(view.shape)


def pictures(height: int, width: int, channels: int) -> tuple[View, np.ndarray]:
    """A picture that lies with its channels last, and the tensor (1, channels, height, width)."""
    array = np.arange(height * width * channels).reshape(1, height, width, channels)
    return View(array, ((0,), (3,), (1,), (2,))), array.transpose(0, 3, 1, 2)


def factors(size: int) -> list[int]:
    return [n for n in range(1, size + 1) if size % n == 0]


@st.composite
def reshapes(draw: st.DrawFn, size: int) -> list[int]:
    shape = []
    for _ in range(draw(st.integers(1, 3))):
        shape.append(draw(st.sampled_from(factors(size))))
        size //= shape[-1]
    return [*shape, size]


@given(st.data(), st.sampled_from([(4, 6, 2), (1, 3, 4), (2, 2, 1), (3, 5, 6)]))
def test_transposes_and_reshapes_mean_what_numpy_s_do(data: st.DataObject, sizes: tuple[int, int, int]) -> None:
    view, array = pictures(*sizes)
    for _ in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans()):
            order = [0, *data.draw(st.permutations(range(1, array.ndim)))]
            view = View(view.tensor, tuple(view.axes[k] for k in order))
            array = array.transpose(order)
        else:
            shape = [1, *data.draw(reshapes(array.size))]
            view = MOVER.regrouped(view, shape, [True, *[False] * (len(shape) - 1)])
            array = array.reshape(shape)
        assert np.array_equal(meaning(view), array)
    plain = MOVER.ordered(view, range(1, array.ndim))
    assert np.array_equal(plain.tensor, array)


@given(st.data())
def test_aligned_tensors_broadcast_as_numpy_s_do(data: st.DataObject) -> None:
    view, array = pictures(4, 6, 2)
    shape = [1, *data.draw(reshapes(array.size))]
    view, array = MOVER.regrouped(view, shape, [True, *[False] * (len(shape) - 1)]), array.reshape(shape)
    other_shape = [size if data.draw(st.booleans()) else 1 for size in shape][
        data.draw(st.integers(0, len(shape) - 1)) :
    ]
    other = np.arange(math.prod(other_shape)).reshape(other_shape)
    (a, b), axes = MOVER.aligned([view, constant_view(other)])
    assert np.array_equal(meaning(View(a + b, axes)), array + other)


@given(st.data())
def test_tensors_joined_along_an_axis_are_what_numpy_joins(data: st.DataObject) -> None:
    view, array = pictures(4, 6, 2)
    turned, order = View(np.ascontiguousarray(array), ((0,), (1,), (2,), (3,))), data.draw(st.sampled_from([1, 2, 3]))
    tensors, axes = MOVER.aligned([view, turned], but=order)
    joined = np.concatenate(tensors, axes[order][0])
    assert np.array_equal(meaning(View(joined, axes)), np.concatenate([array, array], order))


@pytest.mark.parametrize("sizes", [(4, 6, 2), (1, 6, 2), (1, 1, 8)])
def test_a_squeezed_axis_comes_back_as_one_dimension(sizes: tuple[int, int, int]) -> None:
    view, array = pictures(*sizes)
    for axis in range(1, 4):
        single = MOVER.single(View(view.tensor, (*view.axes, ())), axis)
        assert len(single.axes[axis]) == 1
        assert np.array_equal(meaning(single), array[..., None])


def test_a_picture_whose_channels_lie_last_isn_t_moved() -> None:
    view, _ = pictures(4, 6, 2)
    assert MOVER.channels_last(view).tensor is view.tensor


def test_the_batch_is_followed_where_it_is_merged_and_split_again() -> None:
    view, array = pictures(4, 6, 2)
    merged = MOVER.regrouped(view, (2, 24), [True, False])
    assert merged.axes[0][0] == 0
    assert np.array_equal(meaning(merged), array.reshape(2, 24))
    with pytest.raises(LayoutError, match="its batch is merged with another axis"):
        MOVER.single(merged, 0)
    again = MOVER.regrouped(merged, (1, 2, 4, 6), [True, False, False, False])
    assert again.axes[0] == (0,)
    assert np.array_equal(meaning(again), array)

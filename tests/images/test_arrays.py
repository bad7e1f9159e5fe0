"""Arrays of a model's own inputs: read as rows, or refused with every fault at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecut.errors import DataError
from edgecut.images.arrays import ArrayInput, ArrayInputs
from edgecut.images.classes import own_output_faults
from edgecut.images.dataset import check_classes, read_arrays, read_calibration_arrays, undecodable
from edgecut.images.faults import data_faults
from edgecut.images.feed import ArrayFeed, kind_of
from edgecut.images.rows import columns, packed
from edgecut.records.recipe import CustomPreprocess, Data, Kind

FRAMES = (ArrayInput("frames", (49, 10)),)
PAIR = (ArrayInput("left", (4,)), ArrayInput("right", (2, 3), "int32"))
X, Y = np.arange(8 * 490, dtype=np.float32).reshape(8, 49, 10), np.arange(8) % 2
LEFT, RIGHT = np.ones((8, 4), np.float32), np.ones((8, 2, 3), np.int16)


def _npz(folder: Path, **arrays: np.ndarray) -> str:
    np.savez(folder / "data.npz", **arrays)
    return str(folder / "data.npz")


def _faults(inputs: ArrayInputs, path: str, classes: int | None = None) -> list[str]:
    """The faults that `plan` finds: by headers, or by values; reading finds the same."""
    data = Data(train=path)
    faults = data_faults(data, classes, inputs) or undecodable(data, inputs)
    with pytest.raises(DataError) as caught:
        check_classes(read_arrays(data, inputs), classes or 2)
    assert str(caught.value).split("\n") == faults
    return [fault.removeprefix(f"data.train: {path}").removeprefix(": ").strip() for fault in faults]


def test_one_input_is_read_as_it_is(tmp_path: Path) -> None:
    dataset = read_arrays(Data(train=_npz(tmp_path, x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2])), FRAMES)
    np.testing.assert_array_equal(dataset.train.pixels, X)
    np.testing.assert_array_equal(dataset.val.pixels, X[:2])
    assert dataset.labels == ("0", "1")


def test_several_inputs_are_chosen_together(tmp_path: Path) -> None:
    left, right = np.arange(32, dtype=np.float64).reshape(8, 4), np.arange(48).reshape(8, 2, 3)
    path = _npz(tmp_path, **{"x_train.right": right, "x_train.left": left, "y_train": Y})
    dataset = read_arrays(Data(train=path, val_fraction=0.5), PAIR)
    first, second = columns(dataset.val.pixels)
    assert (first.dtype, second.dtype, len(first)) == (np.float32, np.int32, 4)
    np.testing.assert_array_equal(first[:, 0] * 6, second[:, 0, 0] * 4)  # rows of the same samples


def test_labels_are_not_needed_where_arrays_only_calibrate(tmp_path: Path) -> None:
    path = _npz(tmp_path, x_train=X)
    np.testing.assert_array_equal(read_calibration_arrays(path, FRAMES, count=8), X)
    assert read_arrays(Data(train=path, target="input"), FRAMES).train.labels is None


@pytest.mark.parametrize(
    ("arrays", "faults"),
    [
        ({"x_train": X[..., 0], "y_train": Y},
         ["x_train has the shape (8, 49), and (n, 49, 10) is expected"]),
        ({"x_train": np.moveaxis(X, -1, 1), "y_train": Y},
         ["x_train has the shape (8, 10, 49), and (n, 49, 10) is expected; the channels are its last axis here: "
          "np.moveaxis(x, 1, -1)"]),
        ({"x_train": X[0], "y_train": Y},
         ["x_train has the shape (49, 10), and (n, 49, 10) is expected; add the axis of the samples: x[None]"]),
        ({"x_train": X, "y_train": Y[:7]},
         ["x_train holds 8 samples and y_train 7 labels; make them equal"]),
        ({"x_train": X.astype("<U8"), "y_train": Y / 2},
         ["x_train is of the type '<U8'; numbers are expected, as the input takes float32",
          "y_train is of the type '<f8'; labels of classes are whole numbers; for values to predict set "
          "data.target = 'values' (--target values)"]),
        ({"y_train": Y}, ["holds y_train; x_train and y_train are expected"]),
        ({"x_train": X},
         ["holds x_train; x_train and y_train are expected; where there are no labels, set data.target to 'features' "
          "or 'input' (--target)"]),
        ({"x_train": X[:0], "y_train": Y[:0]},
         ["x_train has the shape (0, 49, 10), which holds no sample",
          "y_train has the shape (0,); (n,) or (n, 1) is expected"]),
        ({"x_train.frame": X, "y_train": Y},
         ["holds x_train.frame, y_train; x_train and y_train are expected",
          "x_train.frame feeds no input; the model's are 'frames' (closest: 'frames'), each saved as x_train.NAME"]),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :40], "y_test": Y},
         ["x_test has the shape (8, 40, 10), and (n, 49, 10) is expected"]),
        ({"x_train": X, "y_train": Y, "y_test": Y},
         ["holds x_train, y_train, y_test; x_test and y_test are expected"]),
        ({"x_train": X, "y_train": np.full(8, 3)},
         ["holds the one class 3; at least two are needed to learn from"]),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_the_input_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], faults: list[str]
) -> None:
    assert _faults(FRAMES, _npz(tmp_path, **arrays)) == faults


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"y_train": Y[:0]},
        {"y_train": np.full(8, "a")},
        {"y_train": np.full(8, np.nan)},
        {"y_train": np.full(8, None)},
        {"y_train": np.eye(8)},
    ],
    ids=["none", "empty", "words", "nan", "objects", "one-hot"],
)
def test_labels_that_are_no_classes_are_counted_against_no_outputs(
    tmp_path: Path, labels: dict[str, np.ndarray]
) -> None:
    """What is wrong with them is said by data_faults, beside every other fault of the file."""
    path = _npz(tmp_path, x_train=X, **labels)
    assert own_output_faults(Data(train=path), [(None, 4)]) == []
    assert len(data_faults(Data(train=path), None, FRAMES)) == 1


def test_a_y_test_of_values_needs_its_x_test(tmp_path: Path) -> None:
    path = _npz(tmp_path, x_train=X, y_train=Y / 2, y_test=Y / 2)
    assert data_faults(Data(train=path, target="values"), None, FRAMES) == [
        f"data.train: {path} holds x_train, y_train, y_test; x_test and y_test are expected"
    ]


def test_every_fault_of_several_inputs_is_found_at_once(tmp_path: Path) -> None:
    path = _npz(
        tmp_path,
        **{"x_train": LEFT, "x_train.left": LEFT[:7], "x_train.right": RIGHT / 2, "x_train.rihgt": RIGHT, "y_train": Y},
    )
    assert _faults(PAIR, path) == [
        "x_train feeds no input; the model's are 'left', 'right', each saved as x_train.NAME",
        "x_train.rihgt feeds no input; the model's are 'left', 'right' (closest: 'right'), each saved as x_train.NAME",
        "x_train.right is of the type '<f8', and the input takes int32; save whole numbers",
        "the inputs hold different numbers of samples (x_train.left 7, x_train.right 8); make them equal",
    ]


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    path = _npz(tmp_path, **{"x_train.left": LEFT, "y_train": Y})
    assert _faults(PAIR, path) == ["holds x_train.left, y_train; x_train.left, x_train.right and y_train are expected"]


def _with(values: np.ndarray, place: tuple[int, ...], value: float) -> np.ndarray:
    changed = values.copy()
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("x", "fault"),
    [
        (_with(X, (3, 17, 2), np.nan), "x_train holds nan at [3, 17, 2]; leave those samples out, or mend them"),
        (_with(_with(X, (3, 0, 2), -np.inf), (5, 0, 0), np.nan),
         "x_train holds -inf at [3, 0, 2], and so 1 more; leave those samples out, or mend them"),
        (_with(X.astype(np.float64), (0, 0, 1), 1e300),
         "x_train holds 1e+300 at [0, 0, 1], which float32 can't hold"),
    ],
)  # fmt: skip
def test_values_that_are_not_finite_are_refused_with_their_place(tmp_path: Path, x: np.ndarray, fault: str) -> None:
    assert _faults(FRAMES, _npz(tmp_path, x_train=x, y_train=Y)) == [fault]


def test_whole_numbers_beyond_the_input_are_refused_with_their_place(tmp_path: Path) -> None:
    right = _with(np.ones((8, 2, 3), np.int64), (7, 1, 2), 2**40)
    path = _npz(tmp_path, **{"x_train.left": LEFT, "x_train.right": right, "y_train": Y})
    assert _faults(PAIR, path) == [f"x_train.right holds {2**40} at [7, 1, 2], which int32 can't hold"]


def test_a_folder_feeds_no_arrays(tmp_path: Path) -> None:
    fault = (
        f"data.train: {tmp_path} is no .npz; the model takes other than one picture, and arrays are read from an .npz"
    )
    assert data_faults(Data(train=str(tmp_path)), None, FRAMES) == [fault]
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    assert data_faults(Data(train=str(tmp_path / "x.wav")), None, FRAMES) == [
        f"data.train: {tmp_path}/x.wav is no .npz; the model takes other than one picture, and arrays are read "
        "from an .npz"
    ]
    assert data_faults(Data(train="absent.npz"), None, FRAMES) == [
        "data.train: no such file 'absent.npz'; arrays are read from an .npz"
    ]


def test_values_and_tags_go_with_arrays(tmp_path: Path) -> None:
    path = _npz(tmp_path, x_train=X, y_train=np.ones((8, 3)))
    dataset = read_arrays(Data(train=path, target="values"), FRAMES)
    assert dataset.train.labels is not None
    assert dataset.train.labels.shape[1:] == (3,)
    short = _npz(tmp_path, x_train=X, y_train=np.ones((7, 3)))
    with pytest.raises(DataError) as caught:
        read_arrays(Data(train=short, target="tags"), FRAMES)
    assert str(caught.value) == (f"data.train: {short}: x_train holds 8 samples and y_train 7 targets; make them equal")


def test_a_scale_and_an_offset_of_the_last_axis_make_the_model_s_values() -> None:
    feed = ArrayFeed(FRAMES, CustomPreprocess(scale=tuple(map(float, range(1, 11))), offset=-1.0))
    np.testing.assert_array_equal(feed.values(X), (X.astype(np.float64) * np.arange(1, 11) - 1).astype(np.float32))
    both = packed([LEFT, RIGHT.astype(np.int32)])
    scaled = ArrayFeed(PAIR, CustomPreprocess(scale=2.0)).values(both)
    np.testing.assert_array_equal(columns(scaled)[0], 2 * LEFT)
    np.testing.assert_array_equal(columns(scaled)[1], RIGHT)


@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        (None, [(None, 96, 96, 3)], "pictures"),
        (None, [(None, 49, 10)], "arrays"),
        (None, [(None, 8, 8, 8, 1)], "arrays"),
        (None, [(None, 96, 96, 6)], "arrays"),
        (None, [(None, 96, 96, 3), (None, 4)], "arrays"),
        ("arrays", [(None, 49, 10, 1)], "arrays"),
    ],
)
def test_pictures_are_inferred_where_the_model_takes_one(
    kind: Kind | None, inputs: list[tuple[int | None, ...]], expected: Kind
) -> None:
    assert kind_of(Data(kind=kind), inputs) == expected

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecut.errors import DataError
from edgecut.images.dataset import check_classes, read_calibration, read_data
from edgecut.images.decode import decode
from edgecut.images.device import PictureForm
from edgecut.images.faults import data_faults
from edgecut.images.labels import check_labels
from edgecut.images.listing import IMAGE_SUFFIXES
from edgecut.records.recipe import Data

X = np.full((4, 8, 8, 3), 9, np.uint8)
Y = np.array([0, 1, 0, 1])
SUFFIXES = f"({', '.join(IMAGE_SUFFIXES)})"


def _npz(folder: Path, **arrays: np.ndarray) -> str:
    np.savez(folder / "data.npz", **arrays)
    return str(folder / "data.npz")


def _folders(root: Path, *names: str) -> str:
    for name in names:
        (root / name).mkdir(parents=True)
        Image.fromarray(X[0]).save(root / name / "x.png")
    return str(root)


def _refusal(**data: Any) -> str:
    with pytest.raises(DataError) as caught:
        read_data(Data(**data), PictureForm(8, 8, 3))
    return str(caught.value)


def _both(classes: int | None = None, **data: Any) -> str:
    """The fault that `plan` finds, which must be the one that reading finds too."""
    (fault,) = data_faults(Data(**data), classes)
    assert _refusal(**data) == fault
    return fault


def test_nothing_is_wrong_with_good_data(tmp_path: Path) -> None:
    train, val = _folders(tmp_path / "train", "a", "b"), _npz(tmp_path, x_test=X, y_test=Y)
    assert data_faults(Data(train=train, val=val), 2) == []


@pytest.mark.parametrize("key", ["image_column", "label_column"])
def test_a_column_of_what_has_none_is_refused(tmp_path: Path, key: str) -> None:
    expected = "data.{}: 'x' is of a Parquet or Arrow file, and {} has no columns; leave it out"
    for train in (_folders(tmp_path / "train", "a", "b"), _npz(tmp_path, x_train=X, y_train=Y)):
        assert _both(train=train, **{key: "x"}) == expected.format(key, train)


def test_no_data_is_not_a_fault_of_the_data() -> None:
    assert data_faults(Data(), 2) == []
    assert _refusal() == "data.train: is missing; a folder of class folders or an .npz is expected"


def test_a_missing_path_is_named() -> None:
    assert _both(train="nowhere/x") == "data.train: no such file or folder 'nowhere/x'"


def test_an_empty_path_is_refused() -> None:
    assert _both(train="") == "data.train: is empty; a folder of class folders or an .npz is expected"


def test_a_file_that_is_neither_folder_nor_npz_is_named(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    path.write_bytes(b"x")
    assert _both(train=str(path)) == (
        f"data.train: {path} is neither a folder of class folders nor an .npz, .parquet, .arrow or .tar"
    )


def test_an_empty_class_folder_is_named(tmp_path: Path) -> None:
    root = _folders(tmp_path / "train", "a", "b")
    (tmp_path / "train" / "c").mkdir()
    assert _both(train=root) == (
        f"data.train: the class folder '{root}/c' holds no image {SUFFIXES}; add images or remove the folder"
    )


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    expected = "one folder of images for each class is expected"
    assert _both(train=str(tmp_path)) == (f"data.train: {tmp_path} holds neither folders nor images; {expected}")
    Image.fromarray(X[0]).save(tmp_path / "x.png")
    remedy = "or data.target = 'features' for images without labels"
    assert _both(train=str(tmp_path)) == f"data.train: {tmp_path} holds images; {expected}, {remedy}"


def test_a_single_class_folder_is_refused(tmp_path: Path) -> None:
    root = _folders(tmp_path / "train", "a")
    assert _both(train=root) == (f"data.train: {root} holds the one class 'a'; at least two are needed to learn from")


def test_an_image_that_does_not_decode_is_named(tmp_path: Path) -> None:
    root = _folders(tmp_path / "train", "a", "b")
    bad = tmp_path / "train" / "b" / "bad.png"
    bad.write_bytes(b"no image")
    sentence = "is no image that can be decoded; replace or remove it"
    assert _refusal(train=root, val=root) == f"data.train: {bad} {sentence}\ndata.val: {bad} {sentence}"


def test_an_image_that_is_cut_short_is_named(tmp_path: Path) -> None:
    root = _folders(tmp_path / "train", "a", "b")
    bad = tmp_path / "train" / "b" / "bad.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(bad)
    bad.write_bytes(bad.read_bytes()[:900])
    message = _refusal(train=root, val=root)
    assert message.startswith(f"data.train: {bad} can't be decoded (image file is truncated")
    assert message.endswith("); replace or remove it")


@pytest.mark.parametrize("kept", [0, 60, 900])
def test_an_npz_that_is_cut_short_is_named(tmp_path: Path, kept: int) -> None:
    path = Path(_npz(tmp_path, x_train=X, y_train=Y))
    path.write_bytes(path.read_bytes()[:kept])
    assert _both(train=str(path)) == (
        f"data.train: {path} is cut short, damaged or no .npz; write it again with numpy.savez"
    )


def test_an_npz_with_a_flipped_byte_is_named(tmp_path: Path) -> None:
    path = Path(_npz(tmp_path, x_train=np.full((4, 64, 64), 9, np.uint8), y_train=Y))
    content = bytearray(path.read_bytes())
    content[content.index(b"\x09" * 16) + 9000] ^= 1
    path.write_bytes(content)
    assert _refusal(train=str(path)) == (
        f"data.train: {path}: x_train can't be read, the file is damaged (Bad CRC-32 for file 'x_train.npy')"
    )


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"a": X, "b": Y}, " holds a, b; x_train and y_train are expected"),
        ({}, " holds nothing; x_train and y_train are expected"),
        (
            {"x_train": X[:3], "y_train": Y},
            ": x_train holds 3 pictures and y_train 4 labels; make them equal",
        ),
        (
            {"x_train": np.array([{}, {}], object), "y_train": Y},
            ": x_train holds Python objects, which are never loaded; save it as one array of bytes (uint8)",
        ),
        (
            {"x_train": X, "y_train": np.array(["a", 1, 2, 3], object)},
            ": y_train holds Python objects, which are never loaded; save it as whole numbers",
        ),
        (
            {"x_train": X.astype(bool), "y_train": Y},
            ": x_train is of the type '|b1'; pictures are bytes (uint8)",
        ),
        (
            {"x_train": np.moveaxis(X, 3, 1), "y_train": Y},
            ": x_train has the shape (4, 3, 8, 8); (n, h, w) or (n, h, w, c) with 1, 3 or 4 channels is "
            "expected, channels last: np.moveaxis(x, 1, -1)",
        ),
        (
            {"x_train": np.zeros((4, 8, 8, 6), np.uint8), "y_train": Y},
            ": x_train has the shape (4, 8, 8, 6); (n, h, w) or (n, h, w, c) with 1, 3 or 4 channels is "
            "expected, channels last",
        ),
        (
            {"x_train": X[:0], "y_train": Y[:0]},
            ": x_train has the shape (0, 8, 8, 3), which holds no picture",
        ),
        (
            {"x_train": X, "y_train": np.eye(4)},
            ": y_train has the shape (4, 4); one whole number for each sample is expected "
            "(from one-hot rows: argmax(axis=1); rows of tags or values are for data.target, --target)",
        ),
        ({"x_train": X, "y_train": Y / 2},
         ": y_train is of the type '<f8'; labels of classes are whole numbers; for values to predict set "
         "data.target = 'values' (--target values)"),
        ({"x_train": X, "y_train": np.array(list("abca"))},
         ": y_train is of the type '<U1'; labels of classes are whole numbers"),
    ],
)  # fmt: skip
def test_arrays_of_the_wrong_kind_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], fault: str) -> None:
    path = _npz(tmp_path, **arrays)
    faults = data_faults(Data(train=path), None)
    assert faults[0] == f"data.train: {path}{fault}"
    assert _refusal(train=path) == "\n".join(faults)


@pytest.mark.parametrize(
    ("pictures", "fault"),
    [
        (X / 255, "float64 values from 0.0352941 to 0.0352941; bytes 0..255 are expected; "
                  "multiply by 255, round and save as uint8"),
        (X / 127.5 - 1, "float64 values from -0.929412 to -0.929412; bytes 0..255 are expected; "
                        "save the original pixels as uint8"),
        (X + 0.5, "float64 values from 9.5 to 9.5; bytes 0..255 are expected; "
                  "save the original pixels as uint8"),
        (X.astype(np.int16) + 300, "int16 values from 309 to 309; bytes 0..255 are expected; "
                                   "save the original pixels as uint8"),
    ],
)  # fmt: skip
def test_values_that_are_no_bytes_are_refused(tmp_path: Path, pictures: np.ndarray, fault: str) -> None:
    path = _npz(tmp_path, x_train=pictures, y_train=Y)
    remedy = "or set data.kind = 'arrays' (--kind arrays) if they are what the model takes"
    assert _refusal(train=path) == f"data.train: {path}: x_train holds {fault}, {remedy}"


def test_a_file_that_is_no_array_inside_an_npz_is_refused(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", "text")
    assert _both(train=str(path)) == (
        f"data.train: {path} is cut short, damaged or no .npz; write it again with numpy.savez"
    )


@pytest.mark.parametrize(
    ("labels", "remedy"),
    [
        ([1, 3], "labels are 1..3, and 3 classes allow 0..2; number the classes from 0"),
        ([0, 5], "labels are 0..5, and 3 classes allow 0..2; set head.classes = 6 or leave those images out"),
        (
            [-1, 2],
            "labels are -1..2, and 3 classes allow 0..2; "
            "number the classes from 0 and leave out images without a class",
        ),
    ],
)
def test_labels_out_of_range_are_refused(labels: list[int], remedy: str) -> None:
    with pytest.raises(DataError) as caught:
        check_labels(np.array(labels), 3, "data.val")
    assert str(caught.value) == f"data.val: {remedy}"


def test_labels_in_range_pass() -> None:
    check_labels(np.array([0, 2]), 3, "data.val")
    check_labels(np.array([], int), 3, "data.val")


def test_labels_above_the_heads_classes_are_refused(tmp_path: Path) -> None:
    dataset = read_data(Data(train=_npz(tmp_path, x_train=X, y_train=Y * 4)), PictureForm(8, 8, 3))
    with pytest.raises(DataError) as caught:
        check_classes(dataset, 3)
    assert str(caught.value) == (
        "data.train: labels are 0..4, and 3 classes allow 0..2; set head.classes = 5 or leave those images out"
    )


def test_more_class_folders_than_the_head_has_classes_are_refused(tmp_path: Path) -> None:
    root = _folders(tmp_path / "train", "a", "b", "c", "d")
    message = "data.train: has 4 classes ('a', 'b', 'c', ...), and head.classes is 3; make them equal"
    assert data_faults(Data(train=root), 3) == [message]
    with pytest.raises(DataError) as caught:
        check_classes(read_data(Data(train=root, val=root), PictureForm(8, 8, 1)), 3)
    assert str(caught.value) == message


def test_a_validation_class_that_training_does_not_have_is_refused(tmp_path: Path) -> None:
    train, val = _folders(tmp_path / "train", "a", "b"), _folders(tmp_path / "val", "a", "x")
    assert _refusal(train=train, val=val) == (
        f"data.val: {val} has the class folder 'x', which is none of the classes ('a', 'b')"
    )


def test_a_validation_folder_beside_unnamed_numbers_is_refused(tmp_path: Path) -> None:
    train, val = _npz(tmp_path, x_train=X, y_train=Y), _folders(tmp_path / "val", "a", "b")
    assert _refusal(train=train, val=val) == (
        f"data.val: {val} has class folders, and the numbers in {train} have no names; "
        "set data.labels to a file that names them"
    )


def test_class_folders_that_the_labels_file_does_not_name_are_refused(tmp_path: Path) -> None:
    root, names = _folders(tmp_path / "train", "a", "b"), tmp_path / "labels.txt"
    names.write_text("a\nc\n")
    assert _both(train=root, labels=str(names)) == (
        f"data.train: {root} has the class folder 'b', which is none of the classes ('a', 'c'); rename it, or "
        "name the outputs otherwise (data.labels, --labels)"
    )
    names.write_text("a\nb\nc\n")
    assert _both(train=root, labels=str(names)) == (
        f"data.train: {root} has no folder for the class 'c' of data.labels"
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", " is empty; one class name to a line is expected"),
        (b"a\n\nb\n", ": line 2 is empty; one class name to a line is expected"),
        (b"a\nb\na\n", ": line 3: the class 'a' is named twice"),
        (b"\xff\xfea", " is no UTF-8 text; one class name to a line is expected"),
    ],
)
def test_a_labels_file_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    train = _npz(tmp_path, x_train=X, y_train=Y)
    assert _both(train=train, labels=str(path)) == f"data.labels: {path}{fault}"


def test_a_labels_file_that_is_missing_is_named(tmp_path: Path) -> None:
    train = _npz(tmp_path, x_train=X, y_train=Y)
    assert _both(train=train, labels="no.txt") == "data.labels: no such file 'no.txt'"


def test_every_fault_is_found_at_once(tmp_path: Path) -> None:
    train = _folders(tmp_path / "train", "a", "b")
    assert data_faults(Data(train=train, val="none", labels="no.txt"), 3) == [
        "data.labels: no such file 'no.txt'",
        "data.train: has 2 classes ('a', 'b'), and head.classes is 3; make them equal",
        "data.val: no such file or folder 'none'",
    ]


def test_classes_of_one_image_each_cannot_be_split(tmp_path: Path) -> None:
    assert _refusal(train=_folders(tmp_path / "train", "a", "b")) == (
        "data.train: no class has two images, so none can be held out to measure accuracy; add images or set data.val"
    )


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"a": X, "b": X}, "several arrays of pictures (a, b)"),
        ({"a": Y, "b": Y}, "no array of pictures (a, b)"),
    ],
)
def test_calibration_needs_to_know_which_array(tmp_path: Path, arrays: dict[str, np.ndarray], fault: str) -> None:
    path = _npz(tmp_path, **arrays)
    with pytest.raises(DataError) as caught:
        read_calibration(path, (8, 8, 3), where="--data")
    assert str(caught.value) == f"--data: {path} holds {fault}; call the one to use x_train"


def test_calibration_images_that_are_absent_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_calibration(tmp_path / "none", (8, 8, 3))
    assert str(caught.value) == f"data: no such file or folder '{tmp_path}/none'"
    with pytest.raises(DataError) as caught:
        read_calibration(tmp_path, (8, 8, 3))
    assert str(caught.value) == f"data: {tmp_path} holds no image"


def test_looking_for_faults_loads_neither_numpy_nor_pillow() -> None:
    code = "import sys, edgecut.images.faults; print(sorted({'numpy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


HEADER = {"descr": "|u1", "fortran_order": False, "shape": (4, 8, 8, 3)}


@pytest.mark.parametrize(
    "header",
    [
        {}, [], 7, None, "text", {"descr": "|u1"}, {"shape": (4, 8, 8, 3)}, HEADER | {"shape": None},
        HEADER | {"shape": 4},
        HEADER | {"shape": ("a",)}, HEADER | {"shape": (-4, 8, 8, 3)}, HEADER | {"shape": (4.0, 8, 8, 3)},
        HEADER | {"shape": (True, 8, 8, 3)}, {1: 2},
    ],
)  # fmt: skip
def test_an_npz_with_a_header_of_another_kind_is_damaged(tmp_path: Path, header: object) -> None:
    text = repr(header).encode() + b"\n"
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(768))
    path = str(tmp_path / "data.npz")
    assert _both(train=path) == (
        f"data.train: {path} is cut short, damaged or no .npz; write it again with numpy.savez"
    )


@pytest.mark.parametrize("error", [RuntimeError, IndexError, KeyError, TypeError, OverflowError])
def test_whatever_a_reader_raises_on_a_damaged_picture_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def damaged(*_: object) -> None:
        raise error("Failed to decode")

    path = tmp_path / "x.png"
    Image.fromarray(X[0]).save(path)
    monkeypatch.setattr(Image.Image, "load", damaged)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", damaged)
    with pytest.raises(DataError) as caught:
        decode(path, "data.train")
    assert (
        str(caught.value) == f"data.train: {path} can't be decoded ({error('Failed to decode')}); replace or remove it"
    )

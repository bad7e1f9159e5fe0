"""Which columns of a Parquet or Arrow file are pictures, classes, values and tags."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecut.cache.store import Store
from edgecut.errors import DataError, StepError
from edgecut.images import table_shard
from edgecut.images.dataset import Dataset, read_calibration, read_data
from edgecut.images.encoded import LabelRequest
from edgecut.images.faults import data_faults
from edgecut.images.table_shard import open_table
from edgecut.images.targets import target_of
from edgecut.records.recipe import Data, make_recipe
from tests.images.shard_files import FORM, PICTURES, picture_table, write_arrow, write_parquet

pa = pytest.importorskip("pyarrow", reason="pip install 'edgecut[parquet]'")

FLOATS = [0.5 * k for k in range(10)]


def _write(folder: Path, **columns: Any) -> str:
    """A file of the ten pictures with more columns. label: None for none."""
    return write_parquet(folder / "a.parquet", picture_table(declared=False, **columns))


def _read(train: str, **data: Any) -> Dataset:
    assert data_faults(Data(train=train, val_fraction=0.3, **data), None) == []
    return read_data(Data(train=train, val_fraction=0.3, **data), FORM)


def _rows(dataset: Dataset) -> list[list[float]]:
    """The targets of both parts, sorted."""
    assert dataset.train.labels is not None
    assert dataset.val.labels is not None
    return sorted(np.concatenate([dataset.train.labels, dataset.val.labels]).tolist())


def _fault(train: str, **data: Any) -> str:
    with pytest.raises(DataError) as caught:
        read_data(Data(train=train, **data), FORM)
    (planned,) = data_faults(Data(train=train, **data), None)
    assert str(caught.value) == planned
    return planned


def test_the_recipe_chooses_the_columns(tmp_path: Path) -> None:
    """Each of two columns that could be meant."""
    thumbs = [content for _, content, _ in reversed(PICTURES)]
    train = _write(tmp_path, image=None, large=picture_table(declared=False)["image"], thumb=thumbs, coarse=[0, 1] * 5)
    store = Store(tmp_path / "cache", {})
    large, thumb = (
        read_data(Data(train=train, image_column=column, label_column="label"), FORM, store=store)
        for column in ("large", "thumb")
    )
    np.testing.assert_array_equal(
        np.concatenate([large.train.pixels, large.val.pixels]).sum(axis=0),
        np.concatenate([thumb.train.pixels, thumb.val.pixels]).sum(axis=0),
    )
    assert not np.array_equal(large.train.pixels, thumb.train.pixels)
    coarse = _read(train, image_column="large", label_column="coarse")
    assert not np.array_equal(coarse.train.labels, large.train.labels)
    request = LabelRequest(image_column="thumb")
    assert len(read_calibration(train, (6, 5, 3), request=request)) == 10


def test_columns_stand_behind_the_path_too(tmp_path: Path) -> None:
    said = Data(train="a/x?y.parquet?image_column=thumb&label_column=u&label_column=v")
    assert said == Data(train="a/x?y.parquet", image_column="thumb", label_column=("u", "v"))
    assert Data(train="a/what?.png").train == "a/what?.png"
    tables = {"source": {"model": "m.keras"}, "data": {"train": "x.parquet?label_column=u&label_column=v"}}
    assert make_recipe(tables, {}, where="test").data == Data(train="x.parquet", label_column=("u", "v"))


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("image_column=", "expected image_column=NAME or label_column=NAME, found 'image_column='"),
        ("image_column=a&image_column=b", "train says image_column 'a' and 'b'; say it once"),
        ("image_column=a&x=1", "expected image_column=NAME or label_column=NAME, found 'x=1'"),
    ],
)
def test_a_query_of_another_form_is_refused(query: str, fault: str) -> None:
    with pytest.raises(ValueError, match="image_column") as caught:
        Data(train=f"a.parquet?{query}")
    assert fault in str(caught.value)


def test_columns_that_are_said_twice_are_the_same() -> None:
    with pytest.raises(ValueError, match="train says image_column 'a', and image_column is 'b'; say it once"):
        Data(train="a.parquet?image_column=a", image_column="b")


def test_a_chosen_column_is_there_and_holds_pictures(tmp_path: Path) -> None:
    train = _write(tmp_path)
    columns = "image (struct<bytes: binary, path: string>), label (int64)"
    assert _fault(train, image_column="img") == f"data.train: {train} has no column 'img'; its columns are {columns}"
    assert _fault(train, label_column="y") == f"data.train: {train} has no column 'y'; its columns are {columns}"
    assert _fault(train, image_column="label") == (
        f"data.train: {train}: the column 'label' is int64; bytes, or a struct with bytes, are expected"
    )


def test_two_columns_of_one_name_are_several(tmp_path: Path) -> None:
    table = picture_table(declared=False)
    pictures = write_parquet(tmp_path / "a.parquet", table.append_column("image", table["image"]))
    image, label = "image (struct<bytes: binary, path: string>)", "label (int64)"
    assert _fault(pictures) == (
        f"data.train: {pictures} has several columns of pictures; its columns are {image}, {label}, {image}, and one "
        "of bytes, or of a struct with bytes, is expected: call it image, or name it in data.image_column"
    )
    labels = write_parquet(tmp_path / "b.parquet", table.append_column("label", table["label"]))
    assert _fault(labels) == (
        f"data.train: {labels} has several columns of labels; its columns are {image}, {label}, {label}, and one of "
        "whole numbers or names is expected: call it label, or name it in data.label_column; or set "
        "data.target = 'features' (--target features)"
    )
    assert read_calibration(labels, FORM.shape).shape == (10, *FORM.shape)


@pytest.mark.parametrize(
    ("column", "rows"),
    [
        (FLOATS, [[x] for x in FLOATS]),
        ([[x, -x] for x in FLOATS], sorted([x, -x] for x in FLOATS)),
        (pa.array([[x, 1.0] for x in FLOATS], pa.list_(pa.float64(), 2)), [[x, 1.0] for x in FLOATS]),
        ([[k, 2] for k in range(10)], [[k, 2] for k in range(10)]),
    ],
)
def test_a_column_of_numbers_or_of_their_lists_is_values(tmp_path: Path, column: Any, rows: list[list[float]]) -> None:
    train = _write(tmp_path, label=column)
    assert target_of(Data(train=train)) == "values"
    dataset = _read(train, target="values")
    assert _rows(dataset) == rows
    assert dataset.labels == ()
    assert _fault(train) == (
        f"data.train: {train} has values in label, and classes are expected; set data.target = 'values' (--target "
        "values); or set data.target = 'features' (--target features)"
    )


def test_several_columns_are_values_side_by_side(tmp_path: Path) -> None:
    train = write_arrow(
        tmp_path / "a.arrow", picture_table(declared=False, x=FLOATS, y=list(range(10)), z=["a"] * 10), stream=True
    )
    data = Data(train=train, label_column=("x", "y"))
    assert target_of(data) == "values"
    dataset = _read(train, target="values", label_column=("x", "y"))
    assert _rows(dataset) == [[x, k] for k, x in enumerate(FLOATS)]
    assert dataset.labels == ("x", "y")
    assert _fault(train, target="values", label_column=("x", "z")) == (
        f"data.train: {train} has string in the column 'z'; several columns hold numbers each"
    )


def test_a_column_of_lists_of_names_is_tags(tmp_path: Path) -> None:
    tags = [["red"], [], ["round", "red"], *[["sweet"]] * 7]
    train = _write(tmp_path, label=pa.array(tags, pa.list_(pa.string())))
    assert target_of(Data(train=train)) == "tags"
    dataset = _read(train, target="tags")
    assert dataset.labels == ("red", "round", "sweet")
    assert _rows(dataset) == sorted([[0, 0, 0], [1, 0, 0], [1, 1, 0], *[[0, 0, 1]] * 7])


def test_tags_of_parts_that_name_others_are_put_side_by_side(tmp_path: Path) -> None:
    for split, tags in (("train", ["a", "c"]), ("test", ["b", "c"])):
        rows = pa.array([[tags[k % 2]] for k in range(10)], pa.list_(pa.string()))
        write_parquet(tmp_path / f"{split}.parquet", picture_table(declared=False, label=rows))
    dataset = _read(str(tmp_path), target="tags")
    assert dataset.labels == ("a", "b", "c")
    assert dataset.train.labels is not None
    assert dataset.val.labels is not None
    assert dataset.train.labels.sum(axis=0).tolist() == [5, 0, 5]
    assert dataset.val.labels.sum(axis=0).tolist() == [0, 5, 5]


@pytest.mark.parametrize("kind", ["Sequence", "List"])
def test_lists_of_declared_classes_are_tags(tmp_path: Path, kind: str) -> None:
    import json

    table = picture_table(declared=False, label=pa.array([[k % 3] for k in range(10)], pa.list_(pa.int64())))
    feature = {"_type": kind, "feature": {"_type": "ClassLabel", "names": ["x", "y", "z", "none"]}}
    metadata = {"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": feature}}})}
    train = write_parquet(tmp_path / "a.parquet", table.replace_schema_metadata(metadata))
    assert target_of(Data(train=train)) == "tags"
    dataset = _read(train, target="tags")
    assert dataset.labels == ("x", "y", "z", "none")
    assert np.sum(_rows(dataset), axis=0).tolist() == [4, 3, 3, 0]


@pytest.mark.parametrize(
    ("column", "target", "fault"),
    [
        ([[1.0]] * 9 + [[1.0, 2.0]], "values", ": label has 2 numbers in row 9 and 1 in row 0; make them equal"),
        ([[1.0]] * 9 + [None], "values", ": row 9 has no label; give it one, or leave the row out"),
        ([[1.0]] * 9 + [[None]], "values", ": a list in label holds null; leave those rows out"),
        ([float("nan")] * 10, "values", ": its labels hold NaN or infinity; leave those images out"),
        ([[0.5]] * 10, "tags", ": its labels hold 0.5 to 0.5; tags are 0 or 1 for each image"),
        (["a"] * 10, "values", ": label holds string; numbers are expected"),
        ([["a"]] * 10, "values", ": label holds lists of names; set data.target = 'tags' (--target tags)"),
        ([[""]] * 10, "tags", ": label holds ''; a name of one line is expected"),
    ],
)
def test_labels_of_another_form_are_refused(tmp_path: Path, column: Any, target: str, fault: str) -> None:
    train = _write(tmp_path, label=column)
    assert _fault(train, target=target) == f"data.train: {train}{fault}"


def test_a_table_that_ends_its_reader_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(table_shard, "WORKER", "tests.images.table_crash")
    train = _write(tmp_path)
    assert _fault(train) == (
        f"data.train: {train} can't be read (the child process that ran it was stopped by SIGSEGV; it last wrote: "
        "nothing); write or fetch it again"
    )


def test_where_no_child_can_be_had_no_table_is_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_shard, "WORKER", "edgecut.images.no_such_worker")
    train = _write(tmp_path)
    with pytest.raises(StepError) as caught:
        data_faults(Data(train=train), None)
    assert str(caught.value).startswith("data.train: Parquet and Arrow files can't be read (the child process that ran")
    assert train not in str(caught.value)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_chosen_rows_are_read_from_their_groups_alone(tmp_path: Path, suffix: str) -> None:
    """Groups of three rows, and batches of four."""
    path = tmp_path / f"a.{suffix}"
    write = write_parquet if suffix == "parquet" else partial(write_arrow, stream=False)
    write(path, picture_table())
    shard = open_table(path, "data", LabelRequest())
    for chosen in ([], [0], [2, 3], [9], [1, 4, 8], list(range(10))):
        read = [*shard.read(np.array(chosen, np.int64), "data")]
        assert [each.content for each in read] == [PICTURES[k][1] for k in chosen]
        assert [each.place for each in read] == [f"{path}: row {k}" for k in chosen]


def test_this_process_imports_no_pyarrow(tmp_path: Path) -> None:
    train = _write(tmp_path)
    script = (
        "import sys\nfrom edgecut.images.dataset import *\nfrom edgecut.images.device import PictureForm\n"
        f"data = Data(train={train!r})\n"
        "assert not undecodable(data)\n"
        "read_data(data, PictureForm(6, 5, 3)), read_calibration(data.train, (6, 5, 3))\n"
        "print('pyarrow' in sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "False"

"""Parquet, Arrow and WebDataset tars give what class folders give, or a sentence that says why not."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecut.cache.store import Store
from edgecut.errors import DataError, MissingRuntimeError
from edgecut.images import decode_children
from edgecut.images.dataset import Dataset, chosen_files, index_data, read_calibration, read_data
from edgecut.images.faults import data_faults
from edgecut.images.shards import files_of, is_folder_of_pictures, is_sharded, shard_files, shard_notes
from edgecut.images.targets import target_of
from edgecut.records.recipe import Data, Target
from tests.images.shard_files import (
    FORM,
    NAMES,
    PICTURES,
    picture_table,
    png_bytes,
    tar_members,
    write_arrow,
    write_parquet,
    write_tar,
)


@pytest.fixture
def folders(tmp_path: Path) -> str:
    for key, content, label in PICTURES:
        (tmp_path / "folders" / NAMES[label]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "folders" / NAMES[label] / f"{key}.png").write_bytes(content)
    return str(tmp_path / "folders")


def _read(train: str, **data: Any) -> Dataset:
    return read_data(Data(train=train, **data), FORM)


def assert_same(one: Dataset, other: Dataset) -> None:
    for a, b in ((one.train, other.train), (one.val, other.val)):
        np.testing.assert_array_equal(a.pixels, b.pixels)
        np.testing.assert_array_equal(a.labels, b.labels)
    assert (one.labels, one.named) == (other.labels, other.named)


def _fault(train: str, **data: Any) -> str:
    """What reading says, which the plan says, too, unless only the pictures tell."""
    with pytest.raises(DataError) as caught:
        _read(train, **data)
    return str(caught.value)


def _planned(train: str, classes: int | None = 2, **data: Any) -> list[str]:
    return data_faults(Data(train=train, **data), classes)


@pytest.mark.parametrize("kind", ["tar", "tars", "parquet", "shards", "arrow file", "arrow stream", "names", "binary"])
@pytest.mark.parametrize("more", [{}, {"limit": (4, 2)}, {"labels": ("cat", "bee", "ant")}])
def test_shards_give_what_class_folders_of_the_same_pictures_give(
    tmp_path: Path, folders: str, kind: str, more: dict[str, Any]
) -> None:
    path = tmp_path / "shards"
    path.mkdir()
    if kind == "tar":
        train = write_tar(path / "a.tar", tar_members(PICTURES))
    elif kind == "tars":
        train = str(path)
        write_tar(path / "a-0.tar", tar_members(PICTURES[:4]))
        write_tar(path / "a-1.tar", tar_members(PICTURES[4:]))
    elif kind == "shards":
        train = str(path)
        write_parquet(path / "data" / "train-00000-of-00002.parquet", picture_table(PICTURES[:4]))
        write_parquet(path / "data" / "train-00001-of-00002.parquet", picture_table(PICTURES[4:]))
        (path / "README.md").write_text("pictures")
    elif kind == "names":
        named = [(key, content, NAMES[label]) for key, content, label in PICTURES]
        train = write_parquet(path / "a.parquet", picture_table(named, declared=False, id=list(range(10))))
    elif kind == "binary":
        table = picture_table([(key, content, NAMES[label]) for key, content, label in PICTURES], declared=False)
        train = write_parquet(path / "a.parquet", table.set_column(0, "jpg", [[content for _, content, _ in PICTURES]]))
    elif kind == "parquet":
        train = write_parquet(path / "a.parquet", picture_table())
    else:
        train = write_arrow(path / "a.arrow", picture_table(), stream=kind == "arrow stream")
    assert is_sharded(train)
    assert _planned(train, None if "labels" in more else 2, target="features" if "labels" in more else "classes") == []
    if "labels" in more:
        dataset = read_data(Data(train=train, **more), FORM, partial=True)
        assert_same(dataset, read_data(Data(train=folders, **more), FORM, partial=True))
    else:
        assert_same(_read(train, **more), _read(folders, **more))


def test_shards_named_for_validation_are_held_out(tmp_path: Path) -> None:
    for split, pictures in (("train", PICTURES[:8]), ("validation", PICTURES[4:7]), ("test", PICTURES[3:9])):
        write_parquet(tmp_path / f"data/{split}-00000-of-00001.parquet", picture_table(pictures))
    dataset = _read(str(tmp_path))
    assert (len(dataset.train.pixels), len(dataset.val.pixels)) == (8, 3)
    assert [path.name[:5] for path in files_of(tmp_path, "held out")] == ["valid"]


def test_a_split_that_is_no_class_folder_is_told_by_its_folder(tmp_path: Path) -> None:
    for split, pictures in (("train", PICTURES[:7]), ("val", PICTURES[2:8])):
        (tmp_path / split).mkdir()
        write_tar(tmp_path / split / "000.tar", tar_members(pictures))
    dataset = _read(str(tmp_path), val=str(tmp_path / "val"))
    assert (len(dataset.train.pixels), len(dataset.val.pixels)) == (7, 6)


def test_a_tar_beside_class_folders_leaves_them_class_folders(tmp_path: Path, folders: str) -> None:
    write_tar(Path(folders) / "download.tar", tar_members(PICTURES))
    assert shard_files(Path(folders)) == ()
    assert is_folder_of_pictures(folders)
    assert sum(map(len, chosen_files(Data(train=folders)).values())) == 10


def test_numbers_of_shards_are_classes_without_names(tmp_path: Path) -> None:
    train = write_tar(tmp_path / "a.tar", tar_members(PICTURES, named=False))
    dataset = _read(train)
    assert (dataset.labels, dataset.named) == (("0", "1"), False)
    assert _planned(train, 1) == [
        f"data.train: {train}: labels are 0..1, and 1 classes allow 0..0; set head.classes = 2 or leave those images "
        "out"
    ]


def test_json_says_the_label_where_no_cls_does(tmp_path: Path, folders: str) -> None:
    members = {f"x/{key}.PNG": content for key, content, _ in PICTURES}
    members |= {f"x/{key}.json": json.dumps({"label": NAMES[label], "id": key}) for key, _, label in PICTURES}
    assert_same(_read(write_tar(tmp_path / "a.tar", members)), _read(folders))


def test_pickles_and_other_members_are_left_out_unread(tmp_path: Path, folders: str) -> None:
    unsafe: dict[str, bytes | str] = {
        "000.pyd": b"cos\nsystem\n(S'exit 1'\ntR.",
        "000.pth": b"PK",
        "code/run.py": "1/0",
    }
    assert_same(_read(write_tar(tmp_path / "a.tar", {**unsafe, **tar_members(PICTURES)})), _read(folders))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "folders"]


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png"])
def test_a_member_that_leads_out_of_the_tar_is_refused(tmp_path: Path, name: str) -> None:
    train = write_tar(tmp_path / "a.tar", {**tar_members(PICTURES), name: png_bytes(0)})
    assert _fault(train) == f"data.train: {train}: {name!r} leads out of the tar; rename it"
    assert _planned(train) == [_fault(train)]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_no_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    train = write_tar(tmp_path / "a.tar", tar_members(PICTURES))
    with tarfile.open(train, "a") as archive:
        member = tarfile.TarInfo("x.png")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    assert _fault(train) == (f"data.train: {train}: 'x.png' is a link, a device or a sparse file; write plain files")


def test_a_tar_whose_rest_is_lost_is_refused(tmp_path: Path) -> None:
    """tarfile takes a header that is damaged for the end, and says nothing of what lies behind."""
    train = write_tar(tmp_path / "a.tar", tar_members(PICTURES))
    whole = Path(train).read_bytes()
    with tarfile.open(train) as archive:
        header = archive.getmembers()[6].offset
    again = "write or fetch it again"
    Path(train).write_bytes(whole[:header] + b"?" * 512 + whole[header + 512 :])
    assert _fault(train) == f"data.train: {train} is cut off or damaged after {header:,} bytes; {again}"
    Path(train).write_bytes(whole[:header])
    assert _fault(train) == f"data.train: {train} is cut off or damaged after {header:,} bytes; {again}"
    Path(train).write_bytes(whole[: header + 600])
    assert _fault(train) == f"data.train: {train} can't be read as a tar (unexpected end of data); {again}"
    Path(train).write_bytes(whole * 2)
    assert _fault(train) == (
        f"data.train: {train} goes on behind its end, as joined tars do; write one tar, or keep them apart"
    )
    Path(train).write_bytes(b"")
    assert _fault(train) == f"data.train: {train} can't be read as a tar (empty file); {again}"


EXPECTED = "KEY.cls, or KEY.json with a 'label', is expected beside each picture"


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"b.png": png_bytes(1)}, f" has no label for 1 of 11 pictures, such as 'b'; {EXPECTED}"),
        ({"b.cls": "ant"}, ": 'b.cls' has no picture beside it, whose name is the same up to the first dot"),
        (
            {"b.left.png": png_bytes(1)},
            ": 'b.left.png' has no picture beside it, whose name is the same up to the first dot",
        ),
        ({"000.jpg": png_bytes(1)}, ": '000.png' and '000.jpg' are two pictures of one key; leave one out"),
        (
            {"b.png": png_bytes(1), "b.json": '{"label": [1]}'},
            ": 'b.json' says the label [1]; a whole number or a name is expected",
        ),
        (
            {"b.png": png_bytes(1), "b.json": "{"},
            ": 'b.json' can't be read (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))",
        ),
        (
            {"b.png": png_bytes(1), "b.cls": ""},
            ": 'b.cls' says the label ''; a whole number or a name of one line is expected",
        ),
        (
            {"b.png": png_bytes(1), "b.cls": b" " * ((1 << 20) + 1)},
            ": 'b.cls' has 1 MiB, and a label has at most 1 MiB",
        ),
        (
            {"b.png": png_bytes(1), "b.cls": "3"},
            " has labels that are numbers and labels that are names; write one of the two",
        ),
    ],
)
def test_what_is_wrong_with_the_labels_of_a_tar_is_said_by_the_plan(
    tmp_path: Path, members: dict[str, bytes | str], fault: str
) -> None:
    train = write_tar(tmp_path / "a.tar", tar_members(PICTURES) | members)
    assert _planned(train) == [f"data.train: {train}{fault}"]
    assert _fault(train) == f"data.train: {train}{fault}"


@pytest.mark.parametrize("target", ["values", "tags"])
def test_a_tar_tells_neither_values_nor_tags(tmp_path: Path, target: Target) -> None:
    train = write_tar(tmp_path / "a.tar", tar_members(PICTURES))
    (fault,) = data_faults(Data(train=train, target=target), None)
    assert fault == f"data.train: {train} tells classes alone; {target} are read from an .npz, .parquet or .arrow"


def test_pictures_without_labels_calibrate_and_are_asked_about(tmp_path: Path) -> None:
    train = write_tar(tmp_path / "a.tar", {f"{key}.png": content for key, content, _ in PICTURES})
    assert _planned(train) == [
        f"data.train: {train} has no labels; {EXPECTED}; or set data.target = 'features' (--target features)"
    ]
    assert _planned(train, target="features") == []
    assert target_of(Data(train=train)) == "features"
    assert len(read_calibration(train, (6, 5, 3), count=4)) == 4
    dataset = _read(train, target="features")
    assert (len(dataset.train.pixels), len(dataset.val.pixels), dataset.train.labels) == (8, 2, None)


def test_a_picture_that_cannot_be_decoded_is_named_with_its_shard_and_row(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "a.tar", tar_members(PICTURES) | {"003.png": b"GIF8 no"})
    assert _fault(tar) == f"data.train: {tar}: '003.png' is no image that can be decoded; replace or remove it"
    rows: list[tuple[str, bytes | None, int]] = [*PICTURES]
    rows[4], rows[8] = ("4", None, 0), ("8", b"no", 1)
    table = write_parquet(tmp_path / "a.parquet", picture_table(rows))
    assert set(_fault(table).splitlines()) == {
        f"data.train: {table}: row 4 has no bytes (none at all, or a path alone, which isn't followed); put the file's "
        "bytes there, or leave the row out",
        f"data.train: {table}: row 8 is no image that can be decoded; replace or remove it",
    }


def test_columns_that_are_missing_are_said_with_those_that_are_there(tmp_path: Path) -> None:
    first = picture_table(declared=False)
    no_picture = write_parquet(tmp_path / "a.parquet", first.drop(["image"]))
    assert _planned(no_picture) == [
        f"data.train: {no_picture} has no column of encoded pictures; its columns are label (int64), and one of bytes, "
        "or of a struct with bytes, is expected: call it image, or name it in data.image_column"
    ]
    two = write_parquet(tmp_path / "b.parquet", first.rename_columns(["a", "label"]).append_column("b", first["image"]))
    struct = "struct<bytes: binary, path: string>"
    assert _planned(two) == [
        f"data.train: {two} has several columns of pictures; its columns are a ({struct}), label (int64), b ({struct})"
        ", and one of bytes, or of a struct with bytes, is expected: call it image, or name it in data.image_column"
    ]
    no_label = write_parquet(tmp_path / "c.parquet", first.rename_columns(["image", "kind"]))
    assert _planned(no_label) == [
        f"data.train: {no_label} has no column of labels; its columns are image ({struct}), kind (int64), and one of "
        "whole numbers or names is expected: call it label, or name it in data.label_column; or set "
        "data.target = 'features' (--target features)"
    ]
    assert _fault(no_label) == _planned(no_label)[0]
    no_row = write_parquet(tmp_path / "d.parquet", picture_table([*PICTURES, ("x", png_bytes(1), None)]))
    assert _planned(no_row) == [f"data.train: {no_row}: row 10 has no label; give it one, or leave the row out"]
    hidden = write_parquet(tmp_path / "e.parquet", picture_table([*PICTURES, ("x", png_bytes(1), -1)]))
    assert _planned(hidden) == [
        f"data.train: {hidden}: labels are -1..1, and 2 classes allow 0..1; number the classes from 0 and leave out "
        "images without a class"
    ]


def test_a_damaged_table_is_one_sentence(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", picture_table())
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[:-9])
    for fault in (_fault(path), _planned(path)[0]):
        assert fault.startswith(f"data.train: {path} can't be read (")
        assert fault.endswith("); write or fetch it again")
        assert len(fault.splitlines()) == 1
    arrow = Path(write_arrow(tmp_path / "a.arrow", picture_table(), stream=True))
    for size in range(0, arrow.stat().st_size - 16, 512):
        cut = tmp_path / "cut.arrow"
        cut.write_bytes(arrow.read_bytes()[:size])
        fault = _fault(str(cut))
        assert fault.startswith(f"data.train: {cut}")
        assert len(fault.splitlines()) == 1


def test_a_column_whose_name_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    path = Path(write_arrow(tmp_path / "a.arrow", picture_table(declared=False), stream=True))
    path.write_bytes(path.read_bytes().replace(b"label\0", b"labe\xe4\0"))
    with pytest.raises(DataError) as caught:
        _read(str(path))
    assert str(caught.value) == (
        f"data.train: {path} can't be read ('utf-8' codec can't decode byte 0xe4 in position 4: unexpected end of data)"
        "; write or fetch it again"
    )


def test_classes_that_the_labels_do_not_name_are_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", picture_table())
    assert _planned(path, 3) == ["data.train: has 2 classes ('ant', 'bee'), and head.classes is 3; make them equal"]
    assert _planned(path, 2, labels=("bee", "cow")) == [
        f"data.train: {path} has the class 'ant', which is none of the classes ('bee', 'cow'); rename it, or name the "
        "outputs otherwise (data.labels, --labels)"
    ]
    other = write_parquet(tmp_path / "b" / "x.parquet", picture_table())
    changed = picture_table().replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": {"label": {"_type": "ClassLabel", "names": ["bee", "ant"]}}}})}
    )
    write_parquet(tmp_path / "b" / "y.parquet", changed)
    assert _planned(str(Path(other).parent)) == [
        f"data.train: {other} and {Path(other).parent / 'y.parquet'} list other classes; write both with the same ones"
    ]


@pytest.mark.parametrize("name", ["b.parquet", "b.arrow", "b.tar"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere")], ids=["pipe", "dead link"])
def test_a_shard_that_is_no_file_is_named_and_not_waited_for(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    path = tmp_path / name
    make(path)
    assert _planned(str(tmp_path)) == [
        f"data.train: {path} is no file (a pipe, or a link to nothing); replace or remove it"
    ]


def test_packed_tars_and_folders_of_two_formats_are_refused(tmp_path: Path) -> None:
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(b"\x1f\x8b")
    assert _planned(str(packed)) == [
        f"data.train: {packed} is a packed tar, which gives no picture before it is unpacked; unpack it to a .tar"
    ]
    both = tmp_path / "both"
    both.mkdir()
    write_tar(both / "a.tar", tar_members(PICTURES))
    (both / "b.parquet").write_bytes(b"PAR1")
    assert _planned(str(both)) == [
        f"data.train: {both} has shards of several formats (.parquet, .tar); name a folder of one"
    ]
    pointer = tmp_path / "x.parquet"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert _planned(str(pointer)) == [
        f"data.train: {pointer} is a Git LFS pointer, which stands for a file that wasn't fetched; run `git lfs pull` "
        "where it is"
    ]


def test_without_pyarrow_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr("edgecut.records.packages.find_spec", lambda name: None if name == "pyarrow" else object())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingRuntimeError) as caught:
        data_faults(Data(train=str(tmp_path / "a.parquet")), 2)
    assert str(caught.value) == ("pyarrow isn't here, and this needs it; it comes with: pip install 'edgecut[parquet]'")


def test_pictures_of_shards_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, store = write_tar(tmp_path / "a.tar", tar_members(PICTURES)), Store(tmp_path / "cache", {})
    first = read_data(Data(train=train), FORM, store=store)
    monkeypatch.setattr(decode_children, "the_child", None)
    assert_same(read_data(Data(train=train), FORM, store=store), first)


def test_few_of_many_pictures_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, dataset = index_data(Data(train=write_parquet(tmp_path / "a.parquet", picture_table()), limit=(2, 2)))
    assert len(source) == 10
    assert len(dataset.train.pixels) == 2


def test_what_a_saved_data_set_has_kept_of_computations_is_left_out(tmp_path: Path) -> None:
    for name in (
        "data-00000-of-00001.arrow",
        "cache-0123456789abcdef.arrow",
        "cache-0123456789abcdee_00000_of_00002.arrow",
    ):
        (tmp_path / name).touch()
    assert [file.name for file in shard_files(tmp_path)] == ["data-00000-of-00001.arrow"]
    assert [*shard_notes(tmp_path, "data.train")] == [
        f"data.train: {tmp_path} has 2 files of the datasets package's own cache, such as "
        "'cache-0123456789abcdee_00000_of_00002.arrow', left out"
    ]
    (tmp_path / "data-00000-of-00001.arrow").unlink()
    assert len(shard_files(tmp_path)) == 2
    assert [*shard_notes(tmp_path, "data.train")] == []


def test_shards_beside_a_loose_picture_are_noted(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.parquet").touch()
    assert [*shard_notes(tmp_path, "data.train")] == []
    (tmp_path / "logo.png").write_bytes(png_bytes(0))
    assert [*shard_notes(tmp_path, "data.train")] == [
        f"data.train: {tmp_path} has 1 shard, such as 'data/train.parquet', left out, since pictures lie beside as "
        f"files of their own; name {str(tmp_path / 'data')!r} to read shards"
    ]

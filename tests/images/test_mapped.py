"""Pictures and arrays that lie in a file: the same as in memory, and read once for any number of builds."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image

from edgecut.cache.place import faults, kept
from edgecut.cache.store import Store, total_bytes, trim
from edgecut.errors import DataError
from edgecut.images import decode_children, mapped
from edgecut.images.arrays import ArrayInput
from edgecut.images.dataset import Dataset, read_arrays, read_data
from edgecut.images.device import PictureForm
from edgecut.images.mapped import Form, gathered, gathered_each
from edgecut.images.npz import Member
from edgecut.records.recipe import Data
from edgecut.sandbox.child import Child

FORM = PictureForm(6, 5, 3, "bgr")
OLD = 1_600_000_000  # a time that no file was written at a moment ago


@pytest.fixture(params=["in memory", "mapped"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "mapped":
        monkeypatch.setattr(mapped, "IN_MEMORY_BYTES", 0)
    return Store(tmp_path / "cache", {})


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / "train" / name).mkdir(parents=True)
        for k in range(20):
            path = tmp_path / "train" / name / f"{k:02}.png"
            Image.fromarray(random.integers(0, 256, (8, 9, 3), np.uint8)).save(path)
    return tmp_path / "train"


def _read(train: Path, store: Store | None) -> Dataset:
    return read_data(Data(train=str(train)), FORM, store=store)


def assert_same(a: Dataset, b: Dataset) -> None:
    for one, other in ((a.train, b.train), (a.val, b.val)):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        np.testing.assert_array_equal(one.labels, other.labels)


def _nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("read again")

    monkeypatch.setattr(decode_children, "the_child", refuse)
    monkeypatch.setattr(Member, "parts", refuse)


def test_pictures_are_decoded_once(folders: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _read(folders, store)
    assert_same(first, _read(folders, None))
    _nothing_is_read(monkeypatch)
    assert_same(_read(folders, store), first)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_pictures_of_an_npz_are_read_once(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, save: type[np.savez]
) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 9, 3), np.uint8)
    save(tmp_path / "data.npz", x_train=x.astype(np.float32), y_train=np.arange(40) % 4)
    monkeypatch.setattr("edgecut.images.npz._PART_BYTES", 8 * 9 * 3 * 4 * 7)
    first = _read(tmp_path / "data.npz", store)
    _nothing_is_read(monkeypatch)
    assert_same(_read(tmp_path / "data.npz", store), first)
    monkeypatch.undo()
    assert_same(_read(tmp_path / "data.npz", None), first)


def test_arrays_of_several_inputs_are_read_once(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    left, right = random.normal(size=(40, 3)), random.integers(0, 9, (40, 2, 2))
    path = tmp_path / "data.npz"
    np.savez(path, **{"x_train.left": left, "x_train.right": right, "y_train": np.arange(40) % 4})
    inputs = (ArrayInput("left", (3,)), ArrayInput("right", (2, 2), "int32"))
    monkeypatch.setattr("edgecut.images.rows._PART_BYTES", 7 * (12 + 16))
    first = read_arrays(Data(train=str(path)), inputs, store=store)
    _nothing_is_read(monkeypatch)
    assert_same(read_arrays(Data(train=str(path)), inputs, store=store), first)
    monkeypatch.undo()
    assert_same(read_arrays(Data(train=str(path)), inputs), first)


def test_a_wrong_value_is_named_by_its_place_in_the_whole_array(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.zeros((40, 3), np.float32)
    x[33, 1], x[35, 0] = np.nan, np.inf
    np.savez(tmp_path / "data.npz", x_train=x, y_train=np.arange(40) % 4)
    monkeypatch.setattr("edgecut.images.rows._PART_BYTES", 7 * 12)
    with pytest.raises(DataError) as refusal:
        read_arrays(Data(train=str(tmp_path / "data.npz")), (ArrayInput("x", (3,)),), store=store)
    assert str(refusal.value) == (
        f"data.train: {tmp_path}/data.npz: x_train holds nan at [33, 1], and so 1 more; leave those samples out, or "
        "mend them"
    )
    assert kept(store.folder) == ()


@pytest.mark.parametrize("order", ["gray", "rgb", "bgr", "yuv", "rgba"])
def test_another_form_is_another_array(folders: Path, store: Store, order: str) -> None:
    _read(folders, store)
    form = PictureForm.in_order(6, 5, order)
    dataset = read_data(Data(train=str(folders)), form, store=store)
    np.testing.assert_array_equal(dataset.train.pixels, read_data(Data(train=str(folders)), form).train.pixels)
    assert dataset.train.pixels.shape[1:] == form.shape


def test_a_changed_picture_is_decoded(folders: Path, store: Store) -> None:
    before = _read(folders, store)
    Image.new("RGB", (8, 9), (1, 2, 3)).save(folders / "a" / "00.png")
    after = _read(folders, store)
    assert_same(after, _read(folders, None))
    assert not all(
        np.array_equal(a.pixels, b.pixels) for a, b in ((before.train, after.train), (before.val, after.val))
    )


def test_pictures_that_change_while_they_are_read_are_not_kept(
    folders: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = decode_children.the_child

    def changing(module: str, place: int) -> Child:
        Image.new("RGB", (8, 9)).save(folders / "a" / "07.png")
        return child(module, place)

    monkeypatch.setattr(decode_children, "the_child", changing)
    read_data(Data(train=str(folders), limit=(4, 4)), FORM, store=store)
    assert [row.kind for row in kept(store.folder) if row.kind == "pictures"] != ["pictures", "pictures"]


def test_a_damaged_array_is_made_anew(folders: Path, store: Store) -> None:
    _read(folders, store)
    for blob in (store.folder / "files").iterdir():
        blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    assert len(faults(store.folder)) == 6  # two entries, and two files of each
    assert_same(_read(folders, store), _read(folders, None))
    assert faults(store.folder) == {}


def test_arrays_are_listed_and_removed_with_all_else(folders: Path, store: Store) -> None:
    dataset = _read(folders, store)
    rows = [row for row in kept(store.folder) if row.kind == "pictures"]
    assert len(rows) == 2
    assert all(row.sound and row.size_bytes > 90 * 4 for row in rows)
    trim(store.folder, 0)
    assert total_bytes(store.folder) == 0
    assert_same(dataset, _read(folders, None))  # what is mapped stays where it was


def test_a_cache_without_room_keeps_nothing(folders: Path, tmp_path: Path, store: Store) -> None:
    small = Store(tmp_path / "small", {}, limit_bytes=700)
    assert_same(_read(folders, small), _read(folders, None))
    assert [row.kind for row in kept(small.folder)] in ([], ["pictures"])
    assert total_bytes(small.folder) <= 700


def test_a_cache_that_cannot_be_written_is_none(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_same(_read(folders, Store(tmp_path / "file" / "cache", {})), _read(folders, None))


def test_a_cache_on_a_full_disk_is_none(folders: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, refused = _read(folders, None), list[int]()

    def full(number: int, first: int, count: int) -> None:
        refused.append(count)
        if len(refused) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.posix_fallocate", full)
    assert_same(_read(folders, store), expected)
    assert refused[0] == expected.train.pixels.nbytes
    assert [row.kind for row in kept(store.folder) if row.kind == "pictures"] == ["pictures"]  # the other part's


def test_two_builds_at_once_read_the_same(folders: Path, store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        datasets = list(pool.map(lambda _: _read(folders, store), range(4)))
    for dataset in datasets:
        assert_same(dataset, datasets[0])
    assert faults(store.folder) == {}
    assert sorted(path.name for path in (store.folder / "files").iterdir() if path.name.startswith(".")) == []


def test_a_folder_of_a_file_that_is_still_written_is_not_removed(store: Store) -> None:
    with store.scratch() as folder:
        (folder / "rows.npy").write_bytes(b"1")
        os.utime(folder, (OLD, OLD))
        trim(store.folder, 0)
        assert (folder / "rows.npy").exists()
        os.utime(folder / "rows.npy", (OLD, OLD))
        os.utime(folder, (OLD, OLD))
        trim(store.folder, 0)
        assert not folder.exists()


def test_rows_of_another_shape_are_no_part(store: Store) -> None:
    with pytest.raises(ValueError, match=r"rows of shape \(3,\) are put behind rows of shape \(2,\)"):
        gathered(Form((2, 2), np.dtype(np.uint8)), [np.zeros((1, 2), np.uint8), np.zeros((1, 3), np.uint8)])
    parts = [(np.zeros((1, 2), np.uint8), np.zeros((1, 1))), (np.ones((1, 2), np.uint8), np.ones((1, 1)))]
    first, second = gathered_each(iter(parts), 2)
    np.testing.assert_array_equal(first, [[0, 0], [1, 1]])
    np.testing.assert_array_equal(second, [[0], [1]])

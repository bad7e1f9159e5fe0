"""A folder that has changed is read anew, but for the pictures that an earlier reading has decoded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecut.cache.store import Store
from edgecut.errors import DataError
from edgecut.images import mapped, sources, unchanged
from edgecut.images.dataset import Dataset, read_data
from edgecut.images.device import PictureForm
from edgecut.records.recipe import Data

FORM = PictureForm(6, 5, 3, "bgr")


@pytest.fixture(params=["in memory", "mapped"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(unchanged, "_RACY_NS", 0)
    if request.param == "mapped":
        monkeypatch.setattr(mapped, "IN_MEMORY_BYTES", 0)
    return Store(tmp_path / "cache", {})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded."""
    names: list[str] = []
    decode_all = sources.decode_all

    def noting(files: Sequence[Path], *words: Any, **more: Any) -> Iterator[np.ndarray]:
        names.extend(path.name for path in files)
        yield from decode_all(files, *words, **more)

    monkeypatch.setattr(sources, "decode_all", noting)
    return names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "ab":
        (tmp_path / "train" / name).mkdir(parents=True)
        for k in range(6):
            _picture(tmp_path / "train" / name / f"{name}{k}.png", k)
    return tmp_path / "train"


def _picture(path: Path, seed: int) -> None:
    pixels = np.random.default_rng([seed, ord(path.name[0])]).integers(0, 256, (8, 9, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def _read(folder: Path, store: Store | None, form: PictureForm = FORM) -> Dataset:
    return read_data(Data(train=str(folder)), form, store=store)


def _assert_read_right(folder: Path, store: Store, decoded: list[str]) -> None:
    """The same as without a store, which isn't counted as decoded."""
    dataset, count = _read(folder, store), len(decoded)
    expected = _read(folder, None)
    del decoded[count:]
    for one, other in ((dataset.train, expected.train), (dataset.val, expected.val)):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_an_array_that_is_stored_again_is_found_once(tmp_path: Path, store: Store) -> None:
    source, form = tmp_path / "source", mapped.Form((2, 3), np.dtype(np.uint8))
    source.write_bytes(b"pictures")
    rows = mapped.Rows(np.ones((2, 16), np.uint8), {"pictures": "of a form"})
    for _ in range(2):
        shutil.rmtree(store.folder / "files", ignore_errors=True)
        mapped.stored(store, form, [np.zeros((2, 3), np.uint8)], source=source, facts={}, rows=rows)
    assert [array.shape for _, array in mapped.earlier(store, rows.facts)] == [(2, 3)]


def test_one_more_picture_is_decoded_alone(folder: Path, store: Store, decoded: list[str]) -> None:
    """Also where it moves others between the training and the held-out part."""
    _read(folder, store)
    assert len(decoded) == 12
    for k, name in enumerate(("b0b", "a9", "a00")):
        _picture(folder / name[0] / f"{name}.png", 90 + k)
        decoded.clear()
        _assert_read_right(folder, store, decoded)
        assert decoded == [f"{name}.png"]


def test_a_changed_picture_is_decoded_and_one_that_is_gone_is_not_missed(
    folder: Path, store: Store, decoded: list[str]
) -> None:
    _read(folder, store)
    decoded.clear()
    _picture(folder / "a" / "a3.png", 77)
    (folder / "b" / "b1.png").unlink()
    _assert_read_right(folder, store, decoded)
    assert decoded == ["a3.png"]


def test_a_picture_that_is_put_in_the_place_of_another_is_decoded(
    folder: Path, store: Store, decoded: list[str]
) -> None:
    """Of the same size and times."""
    other, place = folder / "a" / "a1.png", folder / "a" / "a2.png"
    Image.new("RGB", (8, 9)).save(other)
    Image.new("RGB", (8, 9), (1, 1, 1)).save(place)
    _read(folder, store)
    decoded.clear()
    times = (place.stat().st_atime_ns, place.stat().st_mtime_ns)
    shutil.copyfile(other, folder / "a" / "new")
    (folder / "a" / "new").replace(place)
    os.utime(place, ns=times)
    _assert_read_right(folder, store, decoded)
    assert decoded == ["a2.png"]


def test_another_form_decodes_all(folder: Path, store: Store, decoded: list[str]) -> None:
    _read(folder, store)
    decoded.clear()
    _read(folder, store, PictureForm(6, 5, 1))
    assert len(decoded) == 12


def test_a_picture_that_cannot_be_decoded_is_named_behind_unchanged_ones(
    folder: Path, store: Store, decoded: list[str]
) -> None:
    _read(folder, store)
    bad = folder / "a" / "a00.png"
    bad.write_bytes(b"no")
    with pytest.raises(DataError) as caught:
        _read(folder, store)
    assert str(caught.value) == f"data.train: {bad} is no image that can be decoded; replace or remove it"
    bad.unlink()
    decoded.clear()
    _assert_read_right(folder, store, decoded)
    assert decoded == []


def test_what_changed_a_moment_ago_is_decoded_anew(
    folder: Path, store: Store, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system whose times are coarse wouldn't show a second change."""
    monkeypatch.setattr(unchanged, "_RACY_NS", 10**15)
    _read(folder, store)
    _picture(folder / "a" / "a9.png", 90)
    decoded.clear()
    _assert_read_right(folder, store, decoded)
    assert len(decoded) == 13


def test_an_array_that_is_gone_or_damaged_is_not_missed(folder: Path, store: Store, decoded: list[str]) -> None:
    _read(folder, store)
    for blob in (store.folder / "files").iterdir():
        blob.write_bytes(b"?")
    _picture(folder / "a" / "a9.png", 90)
    decoded.clear()
    _assert_read_right(folder, store, decoded)
    assert len(decoded) == 13

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecut.errors import DataError
from edgecut.images.dataset import (
    Dataset,
    Images,
    calibration_sample,
    check_classes,
    read_calibration,
    read_data,
)
from edgecut.images.device import PictureForm, to_device, to_device_batch
from edgecut.records.progress import Advance
from edgecut.records.recipe import Data


def _pixels(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)


def _npz(folder: Path, **arrays: np.ndarray) -> str:
    np.savez(folder / "data.npz", **arrays)
    return str(folder / "data.npz")


def _folders(root: Path, counts: dict[str, int]) -> str:
    """Class folders of PNG files; the first pixel of image i of class number k is (k, i, 0)."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for index in range(count):
            picture = np.full((8, 8, 3), (number, index, 0), np.uint8)
            Image.fromarray(picture).save(root / name / f"{index:03}.png")
    return str(root)


def _read(**data: Any) -> Dataset:
    return read_data(Data(**data), PictureForm(8, 8, 3))


def test_npz_gives_its_training_and_its_test_part(tmp_path: Path) -> None:
    x, y, x_test, y_test = _pixels(6), np.arange(6) % 3, _pixels(4, 1), np.array([[0], [1], [2], [0]])
    dataset = _read(train=_npz(tmp_path, x_train=x, y_train=y, x_test=x_test, y_test=y_test))
    np.testing.assert_array_equal(dataset.train.pixels, x)
    np.testing.assert_array_equal(dataset.train.labels, y)
    np.testing.assert_array_equal(dataset.val.pixels, x_test)
    np.testing.assert_array_equal(dataset.val.labels, [0, 1, 2, 0])
    assert (dataset.labels, dataset.named) == (("0", "1", "2"), False)


def test_pictures_come_in_the_devices_format(tmp_path: Path) -> None:
    x = _pixels(6)
    path = _npz(tmp_path, x_train=x, y_train=np.arange(6) % 2)
    dataset = read_data(Data(train=path, val=path), PictureForm(5, 9, 1))
    np.testing.assert_array_equal(dataset.train.pixels, to_device_batch(x, 5, 9, 1))


def test_limit_takes_the_first_of_an_npz(tmp_path: Path) -> None:
    x, x_test = _pixels(6), _pixels(4, 1)
    path = _npz(tmp_path, x_train=x, y_train=np.arange(6) % 2, x_test=x_test, y_test=np.zeros(4, np.uint8))
    dataset = _read(train=path, limit=(3, 2))
    np.testing.assert_array_equal(dataset.train.pixels, x[:3])
    np.testing.assert_array_equal(dataset.val.pixels, x_test[:2])


def test_one_limit_counts_for_both_parts(tmp_path: Path) -> None:
    path = _npz(tmp_path, x_train=_pixels(6), y_train=np.arange(6) % 2, x_test=_pixels(4), y_test=np.arange(4) % 2)
    dataset = _read(train=path, limit=3)
    assert (len(dataset.train.pixels), len(dataset.val.pixels)) == (3, 3)


def test_limit_takes_evenly_of_class_folders_in_sorted_order(tmp_path: Path) -> None:
    root = _folders(tmp_path / "train", {"ant": 5, "bee": 1, "cat": 5})
    dataset = _read(train=root, val=root, limit=(6, 4))
    first = dataset.train.pixels[:, 0, 0]
    assert first.tolist() == [[0, 0, 0], [0, 1, 0], [0, 2, 0], [1, 0, 0], [2, 0, 0], [2, 1, 0]]
    assert dataset.val.labels is not None
    assert dataset.val.labels.tolist() == [0, 0, 1, 2]


def test_class_folders_are_numbered_in_sorted_order(tmp_path: Path) -> None:
    root = _folders(tmp_path / "train", {"b": 1, "a": 2})
    dataset = _read(train=root, val=root)
    assert (dataset.labels, dataset.named) == (("a", "b"), True)
    assert dataset.train.labels is not None
    assert dataset.train.labels.tolist() == [0, 0, 1]
    assert dataset.train.pixels[:, 0, 0, 0].tolist() == [1, 1, 0]


def test_labels_file_orders_the_class_folders(tmp_path: Path) -> None:
    root = _folders(tmp_path / "train", {"a": 1, "b": 1})
    (tmp_path / "labels.txt").write_text("b\na\n\n")
    dataset = _read(train=root, val=root, labels=str(tmp_path / "labels.txt"))
    assert dataset.labels == ("b", "a")
    assert dataset.train.labels is not None
    assert dataset.train.labels.tolist() == [1, 0]


def test_labels_file_names_the_numbers_of_an_npz(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog\nowl\n")
    path = _npz(tmp_path, x_train=_pixels(4), y_train=np.arange(4) % 2)
    dataset = _read(train=path, labels=str(tmp_path / "labels.txt"))
    assert (dataset.labels, dataset.named) == (("cat", "dog", "owl"), True)


def test_files_that_are_no_images_and_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    root = _folders(tmp_path / "train", {"a": 1, "b": 1, ".git": 1, "__MACOSX": 1})
    (tmp_path / "train" / "a" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "train" / "a" / "._000.png").write_bytes(b"x")
    assert len(_read(train=root, val=root).train.pixels) == 2


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".bmp", ".ppm", ".webp"])
def test_the_usual_image_files_are_read(tmp_path: Path, suffix: str) -> None:
    root = _folders(tmp_path / "train", {"a": 1, "b": 1})
    gray = np.full((8, 8), 77, np.uint8)
    Image.fromarray(np.stack([gray] * 3, -1)).save(tmp_path / "train" / "b" / f"x{suffix}")
    dataset = _read(train=root, val=root)
    np.testing.assert_allclose(dataset.train.pixels[2], 77, atol=1)


def test_pictures_of_every_mode_become_bytes(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    root.mkdir()
    colour = Image.fromarray(_pixels(1)[0])
    gray = colour.convert("L")
    gray.save(root / "0.png")
    gray.convert("LA").save(root / "1.png")
    Image.fromarray(np.asarray(gray).astype(np.uint16) * 256 + 3).save(root / "2.png")
    gray.point(lambda v: 255 * (v > 100)).convert("1").save(root / "3.png")
    colour.convert("RGBA").save(root / "4.png")
    colour.quantize(256).save(root / "5.png")
    pixels = read_calibration(root, (8, 8, 3))
    for index in (0, 1, 2):
        np.testing.assert_array_equal(pixels[index, ..., 0], np.asarray(gray))
    np.testing.assert_array_equal(pixels[3, ..., 0], (np.asarray(gray) > 100) * 255)
    np.testing.assert_array_equal(pixels[4], np.asarray(colour))
    np.testing.assert_allclose(pixels[5].astype(int), np.asarray(colour).astype(int), atol=40)


def test_a_photo_is_turned_as_its_orientation_says(tmp_path: Path) -> None:
    picture = _pixels(1)[0]
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    Image.fromarray(picture).save(tmp_path / "x.png", exif=exif)
    pixels = read_calibration(tmp_path, (8, 8, 3))
    np.testing.assert_array_equal(pixels[0], picture[::-1, ::-1])


@pytest.mark.parametrize("seed", [0, 1])
def test_without_a_validation_part_each_class_gives_its_share(tmp_path: Path, seed: int) -> None:
    x = _pixels(30)
    path = _npz(tmp_path, x_train=x, y_train=np.arange(30) % 3)
    dataset = _read(train=path, val_fraction=0.2, seed=seed)
    assert dataset.train.labels is not None
    assert dataset.val.labels is not None
    assert np.bincount(dataset.val.labels).tolist() == [2, 2, 2]
    assert np.bincount(dataset.train.labels).tolist() == [8, 8, 8]
    together = np.concatenate([dataset.train.pixels, dataset.val.pixels])
    assert {image.tobytes() for image in together} == {image.tobytes() for image in x}


def test_the_seed_decides_the_split(tmp_path: Path) -> None:
    path = _npz(tmp_path, x_train=_pixels(30), y_train=np.arange(30) % 3)
    parts = [_read(train=path, seed=seed).val.pixels for seed in (0, 0, 1)]
    np.testing.assert_array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[0], parts[2])


def test_validation_folder_follows_the_training_classes(tmp_path: Path) -> None:
    train = _folders(tmp_path / "train", {"a": 1, "b": 1, "c": 1})
    val = _folders(tmp_path / "val", {"c": 2, "b": 1})
    dataset = _read(train=train, val=val)
    assert dataset.val.labels is not None
    assert dataset.val.labels.tolist() == [1, 2, 2]


def test_a_validation_npz_gives_its_test_part(tmp_path: Path) -> None:
    train = _folders(tmp_path / "train", {"a": 1, "b": 1})
    x_test = _pixels(2, 3)
    val = _npz(tmp_path, x_train=_pixels(3), y_train=np.zeros(3, int), x_test=x_test, y_test=np.array([1, 0]))
    dataset = _read(train=train, val=val)
    np.testing.assert_array_equal(dataset.val.pixels, x_test)


def test_whole_floats_and_wide_integers_are_bytes(tmp_path: Path) -> None:
    x = _pixels(4)
    for dtype in (np.float32, np.int64):
        path = _npz(tmp_path, x_train=x.astype(dtype), y_train=np.arange(4) % 2)
        np.testing.assert_array_equal(_read(train=path, val=path).train.pixels, x)


def test_reading_tells_its_progress(tmp_path: Path) -> None:
    told: list[tuple[str, int | None, list[int]]] = []

    class Listener:
        @contextmanager
        def task(self, title: str, total: int | None = None) -> Iterator[Advance]:
            told.append((title, total, []))
            yield told[-1][2].append

    root = _folders(tmp_path / "train", {"a": 2, "b": 1})
    read_data(Data(train=root, val=root, limit=(3, 2)), PictureForm(8, 8, 1), progress=Listener())
    assert [(title, total, sum(steps)) for title, total, steps in told] == [
        ("reading images", 3, 3),
        ("reading images", 2, 2),
    ]


def test_calibration_sample_is_even_over_the_classes_and_repeatable() -> None:
    labels = np.array([0] * 50 + [1] * 5 + [2] * 45)
    images = Images(np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1), labels)
    chosen = calibration_sample(images, 30, seed=4).ravel()
    assert np.bincount(labels[chosen]).tolist() == [13, 5, 12] or np.bincount(labels[chosen]).tolist() == [
        12,
        5,
        13,
    ]
    np.testing.assert_array_equal(chosen, calibration_sample(images, 30, seed=4).ravel())
    assert chosen.tolist() != calibration_sample(images, 30, seed=5).ravel().tolist()


def test_calibration_sample_of_more_than_there_are_is_all_of_them() -> None:
    images = Images(np.arange(9, dtype=np.uint8).reshape(9, 1, 1, 1), None)
    np.testing.assert_array_equal(calibration_sample(images, 20, seed=0), images.pixels)


def test_calibration_images_need_no_labels(tmp_path: Path) -> None:
    x = _pixels(5)
    for index, picture in enumerate(x):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    np.testing.assert_array_equal(read_calibration(tmp_path, (8, 8, 3)), x)
    path = _npz(tmp_path, photos=x, notes=np.arange(3))
    np.testing.assert_array_equal(read_calibration(path, (8, 8, 3)), x)


def test_calibration_images_are_even_over_class_folders(tmp_path: Path) -> None:
    root = _folders(tmp_path / "train", {"a": 8, "b": 2})
    pixels = read_calibration(root, (8, 8, 3), count=4)
    assert np.bincount(pixels[:, 0, 0, 0]).tolist() == [2, 2]


def test_classes_of_numbers_may_be_fewer_than_the_heads(tmp_path: Path) -> None:
    path = _npz(tmp_path, x_train=_pixels(4), y_train=np.arange(4) % 2)
    assert check_classes(_read(train=path), 3).labels == ("0", "1", "2")


def test_one_function_brings_files_and_arrays_to_the_device(tmp_path: Path) -> None:
    picture = _pixels(1)[0]
    Image.fromarray(picture).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_calibration(tmp_path, (5, 4, 1))[0], to_device(picture, 5, 4, 1))


@pytest.mark.real
def test_cifar10_is_read_in_order(real: Path) -> None:
    dataset = read_data(Data(train=str(real / "cifar10.npz"), limit=(2000, 1000)), PictureForm(32, 32, 3))
    with np.load(real / "cifar10.npz") as arrays:
        np.testing.assert_array_equal(dataset.train.pixels, arrays["x_train"][:2000])
        np.testing.assert_array_equal(dataset.val.labels, arrays["y_test"][:1000])


def test_only_one_class_within_the_limit_is_refused(tmp_path: Path) -> None:
    path = _npz(tmp_path, x_train=_pixels(4), y_train=np.array([7, 7, 7, 1]))
    with pytest.raises(DataError) as caught:
        _read(train=path, val=path, limit=3)
    assert str(caught.value) == (f"data.train: {path} holds the one class 7; at least two are needed to learn from")

"""Pictures that a folder holds and that aren't read are told, with how many and which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from edgecut.errors import DataError
from edgecut.images.decode import decode
from edgecut.images.listing import image_files, left_out_notes


def _phone(root: Path) -> Path:
    """Two class folders with a picture that is read, one of a phone that isn't, and a computer's leavings."""
    for name in ("cup", "shoe"):
        (root / name).mkdir(parents=True)
        Image.new("L", (8, 8), 9).save(root / name / "IMG_1.JPG")
        for other in ("IMG_2.HEIC", "IMG_3.MOV", "Thumbs.db", ".hidden.heic"):
            (root / name / other).write_bytes(b"\0\0\0\x18ftypheic")
    return root


def test_formats_that_are_not_read_are_named_once(tmp_path: Path) -> None:
    folder = _phone(tmp_path / "pics")
    (folder / "cup" / "P.dng").write_bytes(b"II*\0")
    assert list(left_out_notes(folder, "data.train", has_classes=True)) == [
        f"data.train: {folder} has 3 pictures as .heic, .dng, such as 'cup/IMG_2.HEIC', left out; convert to JPEG"
    ]


def test_pictures_beside_the_class_folders_are_told_where_folders_are_classes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    assert list(left_out_notes(tmp_path, "data.val", has_classes=True)) == [
        f"data.val: {tmp_path} has 2 pictures beside the class folders, such as 'a.png', left out"
    ]
    assert list(left_out_notes(tmp_path, "data.val", has_classes=False)) == []


def test_a_folder_that_is_read_whole_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "a" / "x.png")
    assert list(left_out_notes(tmp_path, "data.train", has_classes=True)) == []


def test_a_picture_of_a_phone_s_format_is_told_what_to_do(tmp_path: Path) -> None:
    path = _phone(tmp_path) / "cup" / "IMG_2.HEIC"
    with pytest.raises(DataError) as caught:
        decode(path, "INPUT")
    assert str(caught.value) == f"INPUT: {path} is .HEIC, which isn't read; convert it to JPEG"


@pytest.mark.parametrize("suffix", [".avif", ".jp2", ".jfif"])
def test_newer_formats_are_read_where_pillow_reads_them(tmp_path: Path, suffix: str) -> None:
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / f"x{suffix}"
    Image.fromarray(np.full((16, 16), 100, np.uint8)).save(path)
    assert image_files(tmp_path) == [path]
    assert abs(int(decode(path, "x").mean()) - 100) <= 2

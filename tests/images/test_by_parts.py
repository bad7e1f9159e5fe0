"""Pictures read in parts: the same as all at once, and nothing but the part is read, or the whole only once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecut.cache.store import Store
from edgecut.images import mapped
from edgecut.images.by_parts import PartReader
from edgecut.images.device import PictureForm
from edgecut.images.npz import Member
from edgecut.images.sources import open_folder, open_npz

GRAY, COLOUR = PictureForm(4, 4, 1), PictureForm(5, 6, 3)
CHOSEN = np.array([0, 1, 3, 4, 6, 7, 8, 10])
PARTS = (slice(3, 6), slice(0, 3), slice(6, 9))
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 9, 3), np.uint8)


def test_a_part_of_a_folder_is_read_without_the_rest_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k, pixels in enumerate(PIXELS):
        (path := tmp_path / "train" / "ab"[k // 6] / f"{k:02}.png").parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    source = open_folder(tmp_path / "train", "data.train", None)
    whole = source.read(CHOSEN, COLOUR)
    monkeypatch.setattr(mapped, "remembered_hash", lambda *_: pytest.fail("the whole folder is hashed"))
    reader = PartReader(source, CHOSEN, Store(tmp_path / "cache", {}))
    for which in (*PARTS, np.array([1, 7])):
        for path in (tmp_path / "train").rglob("*.png"):
            if int(path.stem) not in CHOSEN[which]:
                path.rename(path.with_suffix(".away"))
        np.testing.assert_array_equal(reader.part(which, COLOUR), whole[which])
        for path in (tmp_path / "train").rglob("*.away"):
            path.rename(path.with_suffix(".png"))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("in_memory_bytes", [mapped.IN_MEMORY_BYTES, 0])
def test_an_npz_is_read_once_for_each_form_though_they_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory_bytes: int
) -> None:
    monkeypatch.setattr(mapped, "IN_MEMORY_BYTES", in_memory_bytes)
    np.savez_compressed(tmp_path / "data.npz", x_train=PIXELS, y_train=np.arange(12) % 3)
    source = open_npz(tmp_path / "data.npz", "data.train", ("x_train", "y_train"))
    whole = {form: source.read(CHOSEN, form) for form in (GRAY, COLOUR)}
    parts, readings = Member.parts, list[Member]()

    def counted(member: Member) -> Iterator[np.ndarray]:
        readings.append(member)
        return parts(member)

    monkeypatch.setattr(Member, "parts", counted)
    reader = PartReader(source, CHOSEN, None)
    for which in PARTS:
        for form in whole:
            np.testing.assert_array_equal(reader.part(which, form), whole[form][which])
    assert len(readings) == 2

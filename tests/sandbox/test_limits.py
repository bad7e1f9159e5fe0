"""Arrays whose shapes a file says, judged before they are made."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecut.bench.cutproof import seeded
from edgecut.errors import DataError, RunError, SourceError
from edgecut.images.decode import decode
from edgecut.images.npz import load_array
from edgecut.records.artifact import TensorSpec
from edgecut.sandbox.limits import check_array
from edgecut.tflite.flatbuffer import read
from tests.command_line import run

FIXTURES = Path(__file__).parents[1] / "fixtures"


def test_an_array_that_the_limits_have_no_room_for() -> None:
    check_array("the input 'x'", (1, 2**29))
    with pytest.raises(RunError) as refusal:
        check_array("the input 'x'", (1, 2**30))
    assert str(refusal.value) == (
        "the input 'x' has the shape [1, 1073741824], whose numbers take 8 GiB; "
        "EDGECUT_LIMITS='bytes=8GiB' raises the limit"
    )


def test_a_proof_makes_no_input_that_one_changed_bit_has_made_huge() -> None:
    spec = TensorSpec(name="image", shape=(1, 2**30 + 32, 32, 3), dtype="int8")
    with pytest.raises(RunError) as refusal:
        seeded([spec], np.random.default_rng(0))
    assert str(refusal.value) == (
        "cut: the input 'image' has the shape [1, 1073741856, 32, 3], whose numbers take 768 GiB; "
        "EDGECUT_LIMITS='bytes=8GiB' raises the limit"
    )


def test_an_array_that_unpacks_to_more_than_its_file_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x_train=np.zeros((16, 1 << 20), np.uint8))
    monkeypatch.setenv("EDGECUT_LIMITS", "bytes=8MiB")
    size = path.stat().st_size
    with pytest.raises(DataError) as refusal:
        load_array(path, "x_train", "data.train")
    assert str(refusal.value) == (
        f"data.train: {path}: x_train unpacks to 16 MiB, where the file has {size / 1024:.3g} KiB; "
        "EDGECUT_LIMITS='bytes=16MiB' raises the limit"
    )
    monkeypatch.delenv("EDGECUT_LIMITS")
    assert load_array(path, "x_train", "data.train").shape == (16, 1 << 20)


def test_a_picture_is_judged_by_its_header_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "bytes=8MiB")
    for number, ending in enumerate(("png", "bmp", "gif", "jpg", "tif", "webp")):
        path = tmp_path / f"{number}.{ending}"
        Image.new("L", (1024, 768)).save(path)
        with pytest.raises(DataError) as refusal:
            decode(path, "data.train")
        assert str(refusal.value) == (
            f"data.train: {path} of 1024 x 768 pixels has 3 MiB, and up to 2 MiB are read; "
            "EDGECUT_LIMITS='bytes=16MiB' raises the limit"
        )
    monkeypatch.delenv("EDGECUT_LIMITS")
    assert decode(path, "data.train").shape == (768, 1024, 3)


def test_a_file_that_is_larger_than_the_limits_is_not_read(tmp_path: Path) -> None:
    """Sparse: nothing of it is on the disk, and all of it would be in memory."""
    path = tmp_path / "m.tflite"
    path.write_bytes((FIXTURES / "tiny.int8.tflite").read_bytes())
    os.truncate(path, 2 << 30)
    with pytest.raises(SourceError) as refusal:
        read(path)
    assert str(refusal.value) == (
        f"{path}: has 2 GiB, and up to 1 GiB are read; EDGECUT_LIMITS='bytes=8GiB' raises the limit"
    )


def test_a_flag_sets_the_limits_of_its_command_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "bytes=1GiB")
    path = tmp_path / "m.tflite"
    path.write_bytes((FIXTURES / "tiny.int8.tflite").read_bytes())
    os.truncate(path, 1 << 30)
    answer = run(capsys, "inspect", str(path), "--limits", "bytes=2GiB")
    assert answer.err == (
        f"edgecut: error: {path}: has 1 GiB, and up to 512 MiB are read; EDGECUT_LIMITS='bytes=4GiB' raises the limit\n"
    )
    assert "up to 256 MiB are read" in run(capsys, "inspect", str(path)).err
    answer = run(capsys, "plan", str(path), "--limits", "size=1")
    assert (answer.code, answer.err) == (
        2,
        "edgecut: error: EDGECUT_LIMITS: 'size=1' is neither seconds=... nor bytes=...; 'seconds=60,bytes=4GiB' is "
        "the form\n",
    )

"""Pictures are decoded in children: in order, and one that ends its child is named while all others are read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecut.errors import DataError, StepError
from edgecut.images import decode_children
from edgecut.images.decode import decode
from edgecut.images.decode_children import decode_all, decode_faults
from edgecut.images.device import PictureForm
from edgecut.sandbox.child import end_children

FORM = PictureForm(6, 5, 3)


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(decode_children, "WORKER", "tests.images.fragile_worker")


def _pictures(folder: Path, *names: str) -> list[Path]:
    random = np.random.default_rng(0)
    paths = [folder / f"{name}.png" for name in names]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (9, 8, 3), np.uint8)).save(path)
    return paths


def _read(paths: list[Path]) -> tuple[list[np.ndarray], str]:
    """(the pictures that came, the error at the end)."""
    pixels: list[np.ndarray] = []
    with pytest.raises(DataError) as caught:
        pixels.extend(picture for part in decode_all(paths, len(paths), FORM, where="data") for picture in part)
    return pixels, str(caught.value)


@pytest.mark.parametrize("children", [1, 3])
def test_pictures_come_in_order_and_as_this_process_decodes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, children: int
) -> None:
    monkeypatch.setattr(decode_children, "_CHILDREN", children)
    monkeypatch.setattr(decode_children, "_A_CHILD", 1)
    paths = _pictures(tmp_path, *(f"{k:03}" for k in range(70)))
    pixels = np.concatenate([*decode_all(paths, len(paths), FORM, where="data")])
    np.testing.assert_array_equal(pixels, np.concatenate([FORM.of(decode(path, "data")[None]) for path in paths]))


def test_files_are_read_where_this_process_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child starts in one folder and stays there."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        paths = [path.relative_to(tmp_path / name) for path in _pictures(tmp_path / name, name)]
        assert len(np.concatenate([*decode_all(paths, 1, FORM, where="data")])) == 1
    assert decode_faults([Path("c.png")], "data") == [
        "data: c.png is no file (a pipe, or a link to nothing); replace or remove it"
    ]


@pytest.mark.usefixtures("fragile")
def test_a_picture_that_ends_its_child_is_named_and_all_others_are_read(tmp_path: Path) -> None:
    names = [f"{k:02}" for k in range(20)]
    names[3], names[18] = "03-crash", "18-fill"
    paths = _pictures(tmp_path, *names)
    pixels, error = _read(paths)
    assert error.split("\n") == [
        f"data: {paths[3]} can't be decoded (the child process that ran it was stopped by SIGSEGV; it last wrote: "
        "nothing); replace or remove it",
        f"data: {paths[18]} can't be decoded (the child process that ran it needs more than 4 GiB of address space; "
        "EDGECUT_LIMITS='bytes=8GiB' raises the limit); replace or remove it",
    ]
    others = [path for k, path in enumerate(paths) if k not in (3, 18)]
    np.testing.assert_array_equal(pixels, [FORM.of(decode(path, "data")[None])[0] for path in others])
    assert decode_faults(paths, "data") == error.split("\n")


@pytest.mark.usefixtures("fragile")
def test_a_picture_without_end_is_stopped_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "seconds=0.5")
    paths = _pictures(tmp_path, "0", "1-loop", "2")
    pixels, error = _read(paths)
    assert len(pixels) == 2
    assert error == (
        f"data: {paths[1]} can't be decoded (the child process that ran it was stopped after 0.5 s; a loop in the file "
        "may have no end, else EDGECUT_LIMITS='seconds=1' raises the limit); replace or remove it"
    )


@pytest.mark.usefixtures("fragile")
def test_of_many_pictures_that_end_their_child_the_first_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_children, "_DEATHS", 2)
    paths = _pictures(tmp_path, "0", "1-crash", "2", "3-crash", "4-crash", "5")
    pixels, error = _read(paths)
    assert len(pixels) == 2
    assert [line.split(" ")[1] for line in error.split("\n")] == [str(paths[1]), str(paths[3]), "2"]
    end = "data: 2 pictures ended the child processes that decoded them; no more were read"
    assert error.split("\n")[-1] == end
    monkeypatch.setattr(decode_children, "_SHOWN", 1)
    assert decode_faults(paths, "data")[1:] == ["data: 1 more files can't be decoded", end]


def test_where_no_child_can_be_had_no_picture_is_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_children, "WORKER", "edgecut.images.no_such_worker")
    paths = _pictures(tmp_path, "0")
    with pytest.raises(StepError) as caught:
        [*decode_all(paths, 1, FORM, where="data")]
    assert str(caught.value).startswith("data: pictures can't be decoded (the child process that ran it failed: ")
    assert str(paths[0]) not in str(caught.value)


def test_a_reader_that_stops_early_leaves_no_child_at_work(tmp_path: Path) -> None:
    paths = _pictures(tmp_path, *(f"{k:03}" for k in range(70)))
    parts = decode_all(paths, len(paths), FORM, where="data")
    next(parts)
    parts.close()
    assert len(np.concatenate([*decode_all(paths, len(paths), FORM, where="data")])) == 70
    end_children(decode_children.WORKER)


def test_this_process_decodes_nothing_itself(tmp_path: Path) -> None:
    """Pillow's readers of formats stay unloaded here."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        _pictures(tmp_path / name, "0", "1")
    script = (
        "import sys\nfrom edgecut.images.dataset import *\nfrom edgecut.images.device import PictureForm\n"
        f"data = Data(train={str(tmp_path)!r})\n"
        "assert not undecodable(data)\n"
        "read_data(data, PictureForm(6, 5, 3)), read_calibration(data.train, (6, 5, 3))\n"
        "print([name for name in sys.modules if name.endswith('ImagePlugin')])"
    )
    child = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert child.stdout.strip() == "[]"

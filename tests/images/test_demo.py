from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgecut
from edgecut.images.dataset import check_classes, read_data
from edgecut.images.device import PictureForm
from edgecut.images.faults import data_faults
from edgecut.records.recipe import Data

FOLDER = Path(edgecut.__file__).parent / "demo_data"
DATA = Data(train=str(FOLDER / "fashion_mnist.npz"), labels=str(FOLDER / "labels.txt"))


def test_the_demos_images_are_a_thousand_of_ten_named_classes() -> None:
    assert data_faults(DATA, 10) == []
    dataset = check_classes(read_data(DATA, PictureForm(32, 32, 1)), 10)
    assert dataset.labels[::9] == ("T-shirt", "Ankle boot")
    assert np.bincount(np.asarray(dataset.train.labels)).tolist() == [70] * 10
    assert np.bincount(np.asarray(dataset.val.labels)).tolist() == [30] * 10


def test_the_demos_images_carry_their_licence() -> None:
    text = (FOLDER / "FASHION_MNIST_LICENSE").read_text(encoding="utf-8")
    assert "Copyright © 2017 Zalando SE" in text
    assert "MIT License" in text


@pytest.mark.real
def test_the_demos_images_are_what_the_tool_writes(real: Path, tmp_path: Path) -> None:
    tool = Path(__file__).parents[2] / "tools" / "make_demo_images.py"
    subprocess.run([sys.executable, tool, real / "fashion_mnist", tmp_path], check=True)
    with np.load(tmp_path / "fashion_mnist.npz") as made, np.load(FOLDER / "fashion_mnist.npz") as shipped:
        assert set(made) == set(shipped) == {"x_train", "y_train", "x_test", "y_test"}
        for name in made:
            np.testing.assert_array_equal(made[name], shipped[name])
    for name in ("labels.txt", "FASHION_MNIST_LICENSE"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()

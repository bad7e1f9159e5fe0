"""The files that the examples of docstrings name: a tiny model, pictures of doors and a recipe."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.quantized import FIXTURES

RECIPE = """
[source]
model = "bell.keras"
[cut]
to = "conv"
[head]
classes = 3
[data]
train = "doors.npz"
[export]
precisions = ["int8"]
"""


def write_light_files(folder: Path) -> None:
    """Writes what needs no Keras: bell.int8.tflite, doors.npz with 60 pictures of 3 classes, recipe.toml."""
    random, labels = np.random.default_rng(0), np.arange(60) % 3
    pixels = random.integers(0, 120, (60, 8, 8, 3)).astype("uint8")
    pixels[np.arange(60), :, :, labels] += 60
    np.savez(folder / "doors.npz", x_train=pixels[:30], y_train=labels[:30], x_test=pixels[30:], y_test=labels[30:])
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    shutil.copy(FIXTURES / "tiny.int8.tflite", folder / "bell.int8.tflite")


@pytest.fixture
def bell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the light files, in which the test runs."""
    write_light_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path

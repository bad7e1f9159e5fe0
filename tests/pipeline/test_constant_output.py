"""A file that puts out the same whatever goes in."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import edgecut
from edgecut.records.recipe import make_recipe

pytestmark = pytest.mark.tensorflow


def test_an_output_that_does_not_depend_on_the_images_is_told(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    kernel = random.uniform(-1e-6, 1e-6, (64, 2))  # less than a step of int8's softmax
    inputs = keras.Input((8, 8, 1))
    head = keras.layers.Dense(2, activation="softmax", name="head")
    model = keras.Model(inputs, head(keras.layers.Flatten()(inputs)))
    head.set_weights([kernel, np.zeros(2)])
    model.save(tmp_path / "net.keras")
    pixels = random.integers(0, 256, (40, 8, 8), np.uint8)
    np.savez(tmp_path / "images.npz", x_train=pixels, y_train=np.arange(40) % 2)
    tables = {
        "name": "net", "source": {"model": str(tmp_path / "net.keras"), "preprocess": {"scale": 1.0}},
        "export": {"precisions": ["float32", "int8"]}, "bench": {"runs": 3, "warmup": 1},
        "data": {"train": str(tmp_path / "images.npz")},
    }  # fmt: skip
    report = edgecut.build(make_recipe(tables, {}, where="r.toml"), ["host"], tmp_path / "out")
    notes = [note for step in report.steps for note in step.notes if "is the same for all" in note]
    assert notes == [
        "net.int8.tflite: the output is the same for all 8 held-out images, and the float model's isn't: what it "
        "answers says nothing"
    ]

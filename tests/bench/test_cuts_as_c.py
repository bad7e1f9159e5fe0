"""The work buffer of a cut's C is known before the cut is made, and is that of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecut.engine import plan
from edgecut.records.profile_files import find_profile

pytestmark = pytest.mark.tensorflow


def test_a_cut_s_work_buffer_is_that_of_the_file(tmp_path: Path) -> None:
    import keras
    from keras import layers

    from edgecut.bench.at_cut import FORESEEN_ERROR, cut_costs
    from edgecut.export.artifacts import export
    from edgecut.graph.live import dataflow

    inputs = layers.Input((33, 31, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    x = layers.MaxPooling2D(3, 2, padding="same", name="max_pool")(x)
    y = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.ZeroPadding2D(((1, 0), (2, 1)))(x))
    z = layers.Conv2D(6, 3, padding="same")(y)
    x = layers.Concatenate(name="joined")([y, z])
    x = layers.AveragePooling2D(2, name="average_pool")(x)
    x = layers.Softmax(name="scores")(layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    model = keras.Model(inputs, x)
    costs = {cost.name: cost.arena for cost in cut_costs(dataflow(model), find_profile("nano33ble-c"))}
    images = np.random.default_rng(0).uniform(-1, 1, (4, 33, 31, 3)).astype(np.float32)
    for name in ("max_pool", "joined", "average_pool", "scores"):
        part = keras.Model(inputs, model.get_layer(name).output)
        export(part, calibration=images, path=tmp_path / f"{name}.tflite")
        found = costs[name]
        assert (found.kind, found.of_c) == ("estimated", True)
        assert found.error == pytest.approx(FORESEEN_ERROR)
        assert found.value == plan(tmp_path / f"{name}.tflite").arena_bytes

"""Models whose inputs come as a list or dict, or that declare none: Sequential."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut.export.artifacts import export
from edgecut.graph.predict import predict
from edgecut.head.attach import attach_head
from edgecut.keras2.bridge import cross_to_tf_keras
from tests.graph.models import settle

pytestmark = pytest.mark.tensorflow

L = keras.layers
IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 3)).astype("float32")


def sequential() -> keras.Model:
    layers = [keras.Input((8, 8, 3)), L.Conv2D(4, 3, name="conv"), L.ReLU(name="head_pool")]
    return settle(keras.Sequential(layers, name="sequential"))


@pytest.mark.parametrize("structure", ["list", "tuple", "dict"])
def test_images_are_fed_in_the_model_s_own_structure(structure: str) -> None:
    image = keras.Input((8, 8, 3), name="image")
    fed = {"list": [image], "tuple": (image,), "dict": {"image": image}}[structure]
    model = settle(keras.Model(fed, L.GlobalAveragePooling2D(name="pool")(L.Conv2D(4, 3, name="conv")(image))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        values = predict(model, IMAGES, lambda x: x)
    assert values.shape == (3, 4)


def test_a_sequential_model_crosses_to_keras_2() -> None:
    assert cross_to_tf_keras(sequential()).proof["max_abs_error"] < 1e-5


def test_a_sequential_model_takes_a_head() -> None:
    assert attach_head(sequential(), 5).output_shape == (None, 5)


def test_a_sequential_model_is_exported(tmp_path: Path) -> None:
    artifact = export(sequential(), "tflite", "float32", path=tmp_path / "s.tflite")
    assert artifact.outputs[0].shape == (1, 6, 6, 4)

"""A head is fitted on what the float file of the build puts out in front of it, or Keras where there is none."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut.export.tflite import convert, write_saved_model
from edgecut.graph.predict import predict
from edgecut.head.attach import attach_pool, head_behind
from edgecut.images.feed import PictureFeed
from edgecut.pipeline.features import features_of, float_file, head_weights, with_weights
from edgecut.records.progress import SILENT
from edgecut.records.recipe import Head

pytestmark = pytest.mark.tensorflow

HEAD = Head(classes=4)
FEED = PictureFeed((12, 12, 3), "tf", "normalized")
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), dtype=np.uint8)


def pooled(*layers: keras.Layer) -> keras.Model:
    entry = keras.Input((12, 12, 3))
    value = keras.layers.Conv2D(6, 3, kernel_initializer=keras.initializers.HeNormal(seed=0))(entry)
    for layer in layers:
        value = layer(value)
    return attach_pool(keras.Model(entry, value))


def test_the_float_file_with_the_fitted_head_is_the_one_that_is_converted_anew(tmp_path: Path) -> None:
    body, random = pooled(keras.layers.ReLU()), np.random.default_rng(1)
    file = float_file(body, HEAD, tmp_path / "float_file")
    assert file is not None
    kernel, bias = random.normal(size=(6, 4)).astype("float32"), random.normal(size=4).astype("float32")
    model = head_behind(body, 4, kernel=kernel, bias=bias)
    write_saved_model(model, tmp_path / "anew")
    assert with_weights(file, model).content == convert(tmp_path / "anew", model, "float32")
    assert all(map(np.array_equal, head_weights(model), (kernel, bias)))


def test_features_are_the_float_files(tmp_path: Path) -> None:
    body = pooled(keras.layers.ReLU())
    file = float_file(body, HEAD, tmp_path / "float_file")
    features = features_of(body, file, PIXELS, FEED, tmp_path, SILENT)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, predict(body, PIXELS, FEED.values), rtol=1e-5, atol=1e-6)


@keras.saving.register_keras_serializable("test_features")
class Unconverted(keras.layers.Layer):
    """TFLite has no operator for it."""

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return inputs + keras.ops.cast(keras.ops.erfinv(keras.ops.tanh(inputs)), "float32")


def test_what_the_converter_refuses_gives_its_features_in_keras(tmp_path: Path) -> None:
    body = pooled(Unconverted())
    assert float_file(body, HEAD, tmp_path / "float_file") is None
    features = features_of(body, None, PIXELS, FEED, tmp_path, SILENT)
    np.testing.assert_array_equal(features, predict(body, PIXELS, FEED.values))

"""Quantization-aware training of a model with a Conv2DTranspose: its file is what the converter makes of that layer."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut.compress.run import Compressed, compress
from edgecut.runtime.files import FileRunner
from edgecut.tflite.flatbuffer import read
from tests.compress.test_compress import floats, int8_file, pictures
from tests.graph.models import settle

pytestmark = pytest.mark.tensorflow

L = keras.layers


def decoder() -> keras.Model:
    """A Conv2DTranspose whose channels reach very differently far, as a BatchNormalization behind it may leave them."""
    x = image = keras.Input((8, 8, 3), name="image")
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="down")(
        L.Rescaling(1 / 127.5, -1, name="rescale")(x)
    )
    x = L.Conv2DTranspose(6, 3, strides=2, padding="same", use_bias=False, name="up")(x)
    x = L.ReLU(name="relu")(L.BatchNormalization(name="norm")(x))
    x = L.Conv2DTranspose(4, 2, strides=2, activation="relu", name="again")(x)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    model = settle(keras.Model(image, L.Dense(4, activation="softmax", name="scores")(x), name="decoder"))
    kernel = np.array(model.get_layer("up").kernel)
    factors = np.geomspace(1e-3, 1, 6).astype("float32")
    model.get_layer("up").kernel.assign(kernel * factors[None, None, :, None])
    norm = model.get_layer("norm")
    norm.moving_mean.assign(norm.moving_mean * factors)
    norm.moving_variance.assign(norm.moving_variance * factors**2)
    return model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Compressed, Path]:
    result = compress(decoder(), *pictures(), {"qat": True, "epochs": 1, "learning_rate": 1e-5})
    return result, int8_file(result, tmp_path_factory.mktemp("file"))


def test_it_is_left_to_the_converter_with_what_is_folded_into_it(trained) -> None:
    assert trained[0].stages[0].left_out[1:] == (
        "'up' (Conv2DTranspose): TFMOT gives its kernel one scale, where an int8 file has one for each channel",
        "'norm' (BatchNormalization): TFMOT takes a BatchNormalization behind a convolution alone, and it is behind "
        "'up'",
        "'relu' (ReLU): belongs to 'up', which is left as it is",
        "'again' (Conv2DTranspose): TFMOT gives its kernel one scale, where an int8 file has one for each channel",
    )


def test_its_kernel_has_a_scale_for_each_channel_and_the_normalization_is_in_it(trained) -> None:
    graph = read(trained[1])
    names = [operator.name for operator in graph.operators]
    assert names[names.index("CONV_2D") :] == ["CONV_2D", "TRANSPOSE_CONV", "TRANSPOSE_CONV", "MEAN", "FULLY_CONNECTED",
                                               "SOFTMAX"]  # fmt: skip
    kernels = [graph.tensors[x.inputs[1]] for x in graph.operators if x.name == "TRANSPOSE_CONV"]
    assert [len(kernel.scales) for kernel in kernels] == [6, 4]


def test_the_file_computes_what_the_trained_model_does(trained) -> None:
    result, path = trained
    images = floats(pictures()[0])
    assert np.abs(FileRunner(path).predict(images) - np.asarray(result.model(images))).max() < 0.05

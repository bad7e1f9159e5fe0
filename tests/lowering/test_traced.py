"""What the converter writes wrongly, or as operators that TFLM lacks, is traced as operators of equal values."""

from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut import export
from edgecut.graph.calls import calls
from edgecut.graph.live import layer_calls
from edgecut.lowering.lower import lowering
from edgecut.runtime.files import FileRunner
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.ops import operator_counts

pytestmark = pytest.mark.tensorflow

L = keras.layers

TRANSPOSED = {
    "scalar": lambda x: L.Conv2DTranspose(3, 2, strides=2, use_bias=False)(x) + 0.5,
    "scaled": lambda x: L.Rescaling(2.0, offset=0.5)(L.Conv2DTranspose(3, 2, strides=2, use_bias=False)(x)),
    "zero_bias": lambda x: keras.ops.relu(L.Conv2DTranspose(3, 2, strides=2)(x) - 0.1),
    "hard_sigmoid": lambda x: L.Conv2DTranspose(3, 2, use_bias=False, activation="hard_sigmoid")(x),
    "sequence": lambda x: L.Conv1DTranspose(3, 2, strides=2, use_bias=False)(L.Reshape((16, 2))(x)) + 0.5,
    "plain": lambda x: L.Conv2DTranspose(3, 2, use_bias=False)(x),
}
"""A transposed convolution without a bias, and what the converter takes for its bias."""

REPEATED = {
    "image": (L.UpSampling2D((2, 3)), {"RESIZE_NEAREST_NEIGHBOR": 1}),
    "smooth": (L.UpSampling2D(2, interpolation="bilinear"), {"RESIZE_BILINEAR": 1}),
    "sequence": (L.UpSampling1D(3), {"RESHAPE": 2, "RESIZE_NEAREST_NEIGHBOR": 1}),
    "volume": (L.UpSampling3D((2, 1, 2)), {"RESHAPE": 3, "RESIZE_NEAREST_NEIGHBOR": 2}),
    "vector": (L.RepeatVector(5), {"RESHAPE": 2, "RESIZE_NEAREST_NEIGHBOR": 1}),
}
SHAPES = {"image": (4, 5, 3), "smooth": (4, 5, 3), "sequence": (7, 3), "volume": (3, 4, 5, 2), "vector": (6,)}


def images(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")


@pytest.mark.parametrize("kind", TRANSPOSED)
def test_what_is_added_to_a_transposed_convolution_without_a_bias_is_computed_right(kind: str, tmp_path: Path) -> None:
    image = keras.Input((4, 4, 2))
    model, x = keras.Model(image, TRANSPOSED[kind](image)), images((4, 4, 2))
    expected = np.asarray(model(x))
    for precision, tolerance in {"float32": 1e-6, "float16": 2e-3, "int8": 3e-2}.items():
        export(model, "tflite", precision, x, tmp_path / "m.tflite")
        outputs = FileRunner(tmp_path / "m.tflite").predict(x)
        np.testing.assert_allclose(outputs, expected, atol=tolerance * np.abs(expected).max(), err_msg=precision)


def test_a_transposed_convolution_without_a_bias_gets_one_of_zeros(tmp_path: Path) -> None:
    image = keras.Input((4, 4, 2))
    model = keras.Model(image, TRANSPOSED["plain"](image))
    export(model, "tflite", "float32", path=tmp_path / "m.tflite")
    # Zeros alone: what made the converter write a bias, the smallest number, isn't left in the file.
    assert not FileRunner(tmp_path / "m.tflite").predict(np.zeros((1, 4, 4, 2), "float32")).any()


@pytest.mark.parametrize("kind", REPEATED)
def test_repeated_values_are_equal_and_need_no_tile(kind: str, tmp_path: Path) -> None:
    layer, operators = REPEATED[kind]
    source = keras.Input(SHAPES[kind])
    model, x = keras.Model(source, layer(source)), images(SHAPES[kind])
    export(model, "tflite", "float32", path=tmp_path / "m.tflite")
    written = read(tmp_path / "m.tflite")
    assert operator_counts(written) == operators
    outputs, expected = FileRunner(tmp_path / "m.tflite").predict(x), np.asarray(model(x))
    if kind == "smooth":
        np.testing.assert_allclose(outputs, expected, atol=1e-6)
    else:
        np.testing.assert_array_equal(outputs, expected)
    graph = calls(model)
    assert operator_counts(lowering(layer_calls(graph), "float32")(graph.outputs)) == operators

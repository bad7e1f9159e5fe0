"""What a TFLite file holds and tf2onnx alone has no form for is computed by ONNX Runtime as Keras does."""

from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut import export
from edgecut.runtime.files import FileRunner

pytestmark = pytest.mark.tensorflow

L = keras.layers

ACTIVATIONS = {
    "gelu": L.Activation("gelu"),
    "gelu_tanh": lambda x: keras.ops.gelu(x, approximate=True),
    "hard_tanh": L.Activation("hard_tanh"),
    "fused_hard_tanh": L.Conv2D(4, 3, activation="hard_tanh"),
    "dense_gelu": L.Dense(4, activation="gelu"),
}


MOVES = {
    "glu": lambda x: keras.ops.glu(x, axis=1),
    "flip": lambda x: keras.ops.flip(x, 1),
    "gru": lambda x: L.GRU(3, unroll=True)(L.Reshape((6, 18))(x)),
}


@pytest.mark.parametrize("kind", MOVES)
def test_int8_tensors_that_are_split_turned_and_joined_load_in_onnx_runtime(kind: str, tmp_path: Path) -> None:
    image = keras.Input((6, 6, 3))
    model = keras.Model(image, MOVES[kind](image))
    x = np.random.default_rng(0).normal(0, 1, (4, 6, 6, 3)).astype("float32")
    expected = np.asarray(model(x))
    export(model, "onnx", "int8", x, tmp_path / "m.onnx")
    outputs = FileRunner(tmp_path / "m.onnx").predict(x)
    np.testing.assert_allclose(outputs, expected, atol=8e-2 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_an_activation_is_computed_by_onnx_runtime_as_by_keras(kind: str, tmp_path: Path) -> None:
    image = keras.Input((6, 6, 3))
    model = keras.Model(image, ACTIVATIONS[kind](image))
    x = np.random.default_rng(0).normal(0, 2, (4, 6, 6, 3)).astype("float32")
    expected = np.asarray(model(x))
    for precision, tolerance in {"float32": 2e-6, "int8": 8e-2}.items():
        export(model, "onnx", precision, x, tmp_path / "m.onnx")
        outputs = FileRunner(tmp_path / "m.onnx").predict(x)
        np.testing.assert_allclose(outputs, expected, atol=tolerance * np.abs(expected).max(), err_msg=precision)

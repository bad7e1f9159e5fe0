"""An .onnx file becomes a Keras model that computes the same and reads back the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecut.source.onnx import convert, prove
from tests.source.onnx.graphs import one, save, weight

pytestmark = pytest.mark.tensorflow


def small_cnn(path: Path, batch: int | str = "N") -> Path:
    """Convolutions with and without groups, a normalization, pools, a residual, a classifier."""
    nodes = [
        one("Conv", "x", "stem.weight", outputs=["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        one("BatchNormalization", "a", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", outputs=["b"]),
        one("Clip", "b", "low", "high", outputs=["c"]),
        one("Conv", "c", "dw.weight", "dw.bias", outputs=["d"], group=8, pads=[1, 1, 1, 1]),
        one("Relu", "d", outputs=["e"]),
        one("Add", "c", "e", outputs=["f"]),
        one("MaxPool", "f", outputs=["g"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        one("Flatten", "g", outputs=["h"]),
        one("Gemm", "h", "fc.weight", "fc.bias", outputs=["i"], transB=1),
        one("Softmax", "i", axis=1),
    ]
    constants = {
        "stem.weight": weight(8, 3, 3, 3),
        **{f"bn.{name}": np.abs(weight(8)) + 0.5 for name in ("weight", "bias", "running_mean", "running_var")},
        "low": np.float32(0),
        "high": np.float32(6),
        "dw.weight": weight(8, 1, 3, 3),
        "dw.bias": weight(8),
        "fc.weight": weight(5, 8 * 4 * 4),
        "fc.bias": weight(5),
    }
    return save(path, nodes, {"x": [batch, 3, 16, 16]}, constants)


@pytest.mark.parametrize("batch", ["N", 1])
def test_a_cnn_is_imported_without_a_permute(tmp_path: Path, batch: int | str) -> None:
    path = small_cnn(tmp_path / "cnn.onnx", batch)
    imported = convert(path)
    kinds = [type(operation).__name__ for operation in imported.model.operations]
    assert prove(imported, path).relative_error < 1e-5
    assert imported.model.input_shape == (None, 16, 16, 3)
    assert kinds == [
        "InputLayer", "ZeroPadding2D", "Conv2D", "BatchNormalization", "ReLU", "DepthwiseConv2D", "ReLU", "Add",
        "ZeroPadding2D", "MaxPooling2D", "Reshape", "Dense", "Softmax",
    ]  # fmt: skip
    assert [operation.name for operation in imported.model.operations][2:4] == ["stem", "bn"]
    assert imported.node_names["stem"] == ("Conv_0",)


def test_the_saved_model_reads_back_with_difference_0(tmp_path: Path) -> None:
    import keras

    imported = convert(small_cnn(tmp_path / "cnn.onnx"))
    imported.model.save(tmp_path / "cnn.keras")
    again = keras.models.load_model(tmp_path / "cnn.keras")
    x = np.random.default_rng(1).random((3, 16, 16, 3), np.float32)
    assert np.array_equal(imported.model(x).numpy(), again(x).numpy())

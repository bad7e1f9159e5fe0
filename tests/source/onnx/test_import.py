"""An .onnx file becomes a Keras model that computes the same and reads back the same."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgecut.errors import SourceError
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


def test_a_longer_chain_than_keras_follows_is_refused_with_a_cut(tmp_path: Path) -> None:
    names = ["x", *(f"t{k}" for k in range(1, 1000)), "y"]
    nodes = [one("Softsign" if k % 2 else "Tanh", a, outputs=[b]) for k, (a, b) in enumerate(pairwise(names))]
    path = save(tmp_path / "chain.onnx", nodes, {"x": ["N", 2]}, {})
    with pytest.raises(SourceError) as caught:
        convert(path)
    assert str(caught.value) == (
        f"{path}: can't be imported: of its 1000 nodes more follow one another than Keras makes a model of; cut it "
        f"off, and import the part: edgecut cut {path} --to t501 -o part.onnx"
    )
    assert len(convert(path, outputs=["t501"]).model.layers) == 502

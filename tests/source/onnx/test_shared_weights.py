"""A weight that several nodes take is one layer, called as often."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecut.source.onnx import convert, prove
from tests.source.onnx.graphs import one, save, weight

pytestmark = pytest.mark.tensorflow

NORM = ("scale", "bias", "mean", "var")


def _tower(x: str, tag: str, matrix: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Convolution, normalization, ReLU, mean and a product; `matrix` makes the tensor m{tag}."""
    return [
        one("Conv", x, "conv.weight", outputs=[f"c{tag}"], name=f"/conv{tag}/Conv"),
        one("BatchNormalization", f"c{tag}", *NORM, outputs=[f"n{tag}"], name=f"/norm{tag}/BatchNormalization"),
        one("Relu", f"n{tag}", outputs=[f"r{tag}"], name=f"/relu{tag}/Relu"),
        one("GlobalAveragePool", f"r{tag}", outputs=[f"p{tag}"], name=f"/pool{tag}/GlobalAveragePool"),
        one("Flatten", f"p{tag}", outputs=[f"f{tag}"], name=f"/Flatten{tag}", axis=1),
        *matrix,
        one("MatMul", f"f{tag}", f"m{tag}", outputs=[f"y{tag}"], name=f"/fc{tag}/MatMul"),
    ]


def _constants() -> dict[str, np.ndarray]:
    norm = {name: np.abs(weight(6)) + np.float32(0.5) for name in NORM}
    return {"conv.weight": weight(6, 3, 3, 3), **norm, "fc.weight": weight(4, 6)}


def test_towers_of_the_same_weights_are_one_tower_called_twice(tmp_path: Path) -> None:
    nodes = [
        node
        for x, tag in (("left", ""), ("right", "_1"))
        for node in _tower(x, tag, [one("Transpose", "fc.weight", outputs=[f"m{tag}"], name=f"/T{tag}", perm=[1, 0])])
    ]
    nodes.append(one("Sub", "y", "y_1", outputs=["apart"], name="/Sub"))
    inputs = {"left": ["N", 3, 8, 8], "right": ["N", 3, 10, 10]}
    path = save(tmp_path / "pair.onnx", nodes, inputs, _constants(), ["apart"])
    imported = convert(path)
    assert prove(imported, path).relative_error < 1e-5
    assert imported.model.count_params() == sum(value.size for value in _constants().values())
    weighted = [layer for layer in imported.model.layers if layer.weights]
    assert [(type(layer).__name__, len(layer._inbound_nodes)) for layer in weighted] == [
        ("Conv2D", 2),
        ("BatchNormalization", 2),
        ("Dense", 2),
    ]
    assert imported.node_names[weighted[0].name] == ("/conv/Conv", "/conv_1/Conv")
    imported.model.save(tmp_path / "pair.keras")
    assert convert(path).model.count_params() == imported.model.count_params()


def test_equal_vectors_of_unlike_modules_stay_two_layers(tmp_path: Path) -> None:
    nodes = [
        one("Conv", "x", "a.weight", outputs=["a"], name="/a/Conv"),
        one("BatchNormalization", "a", *NORM, outputs=["an"], name="/an/BatchNormalization"),
        one("Conv", "an", "b.weight", outputs=["b"], name="/b/Conv"),
        one("BatchNormalization", "b", *NORM, outputs=["y"], name="/bn/BatchNormalization"),
    ]
    constants = {name: np.ones(3, np.float32) for name in NORM}
    constants |= {"a.weight": weight(3, 3, 3, 3), "b.weight": weight(3, 3, 3, 3)}
    path = save(tmp_path / "net.onnx", nodes, {"x": ["N", 3, 8, 8]}, constants)
    imported = convert(path)
    assert prove(imported, path).relative_error < 1e-5
    assert [type(layer).__name__ for layer in imported.model.layers if layer.weights] == [
        "Conv2D",
        "BatchNormalization",
        "Conv2D",
        "BatchNormalization",
    ]


def test_a_weight_that_two_convolutions_take_with_other_strides_is_two_layers(tmp_path: Path) -> None:
    nodes = [
        one("Conv", "x", "w", outputs=["a"], name="/a/Conv", pads=[1] * 4),
        one("Conv", "a", "w", outputs=["b"], name="/b/Conv", pads=[1] * 4, strides=[2, 2]),
        one("Conv", "b", "w", outputs=["y"], name="/c/Conv", pads=[1] * 4),
    ]
    path = save(tmp_path / "net.onnx", nodes, {"x": ["N", 3, 8, 8]}, {"w": weight(3, 3, 3, 3)})
    imported = convert(path)
    assert prove(imported, path).relative_error < 1e-5
    assert [len(layer._inbound_nodes) for layer in imported.model.layers if layer.weights] == [2, 1]

"""An ONNX model's names don't depend on which of its equal constants the converter's sets had first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecut.export.onnx_order import settle
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.patch import constants

TINY = Path(__file__).parents[1] / "fixtures" / "tiny.int8.tflite"


def settled(names: dict[str, str], bias: np.ndarray, size: str) -> onnx.ModelProto:
    """A model whose bias is its own zero point as well; names: what the converter's sets called things this time."""
    bias_name, slope, count = names["bias"], names["slope"], len(bias)
    open_shape = [size, count]
    nodes = [
        helper.make_node("DequantizeLinear", [bias_name, "scale__4", bias_name], ["real__5"], axis=0),
        helper.make_node("Add", ["x", "real__5"], ["sum"]),
        helper.make_node("PRelu", ["sum", slope], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, open_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, open_shape)],
        [
            numpy_helper.from_array(bias, bias_name),
            numpy_helper.from_array(np.float32(0.5), "scale__4"),
            numpy_helper.from_array(np.zeros((1, count), np.float32), slope),
        ],
    )  # fmt: skip
    model = helper.make_model(graph)
    settle(model, read(TINY), TINY.read_bytes())
    onnx.checker.check_model(model)
    return model


def test_equal_constants_have_one_name_whichever_the_converter_kept() -> None:
    source = read(TINY)
    held = constants(TINY.read_bytes(), source)
    index = next(k for k, array in sorted(held.items()) if array.dtype == np.int32 and array.ndim == 1)
    own = source.tensors[index].name
    ways = [
        ({"bias": own, "slope": "Reshape:0"}, "unk__7"),
        ({"bias": "zero_point__2", "slope": "Transpose:0"}, "unk__911"),
    ]
    models = [settled(names, held[index], size) for names, size in ways]
    assert [x.name for x in models[0].graph.initializer] == [own, "scale", "PRelu:1"]
    assert models[0].SerializeToString(deterministic=True) == models[1].SerializeToString(deterministic=True)

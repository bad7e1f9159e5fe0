"""What travels as uint8 in an int8 .onnx file computes what it did as int8, whatever moves it."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecut.export.onnx import carry_bytes

INT8 = TensorProto.INT8
CONSTANTS = {
    "scale": np.float32(0.5), "zero": np.int8(-3), "shape": np.array([2, 12], np.int64), "ends": np.array([-9]),
    "last": np.array([3]), "back": np.array([-1]), "index": np.array([3, 0]), "more": np.ones((2, 4, 3), np.int8),
    "half": np.array([2, 2]), "lengths": np.array([4, 4]),
}  # fmt: skip
node = helper.make_node
MOVES = {
    "split": [node("Split", ["x", "half"], ["a", "b"], axis=1), node("Concat", ["b", "a"], ["y"], axis=1)],
    "flip": [node("Slice", ["x", "last", "ends", "back", "back"], ["y"])],
    "gather": [node("Gather", ["x", "index"], ["y"], axis=1)],
    "reverse": [node("ReverseSequence", ["x", "lengths"], ["y"], time_axis=1, batch_axis=0)],
    "reshape": [node("Reshape", ["x", "shape"], ["y"])],
    "constant": [node("Concat", ["x", "more"], ["y"], axis=1)],
    "sign": [node("Sign", ["x"], ["a"]), node("Transpose", ["a"], ["y"], perm=[1, 0, 2])],
}  # fmt: skip


@pytest.mark.parametrize("where", ["input", "middle", "output"])
@pytest.mark.parametrize("kind", MOVES)
def test_a_file_loads_and_computes_the_same(kind: str, where: str) -> None:
    grid = ["scale", "zero"]
    before = [node("DequantizeLinear", ["in", *grid], ["f"]), node("QuantizeLinear", ["f", *grid], ["x"])]
    after = [node("DequantizeLinear", ["y", *grid], ["g"]), node("QuantizeLinear", ["g", *grid], ["out"])]
    nodes = [*(before if where != "input" else []), *MOVES[kind], *(after if where != "output" else [])]
    ends = "x" if where == "input" else "in", "y" if where == "output" else "out"
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(ends[0], INT8, [2, 4, 3])],
        [helper.make_tensor_value_info(ends[1], INT8, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in CONSTANTS.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    x = np.random.default_rng(0).integers(-128, 128, (2, 4, 3)).astype(np.int8)
    expected = run(model, ends, x)
    carry_bytes(model.graph)
    np.testing.assert_array_equal(run(model, ends, x), expected)


def run(model: onnx.ModelProto, ends: tuple[str, str], x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (result,) = session.run([ends[1]], {ends[0]: x})
    assert result.dtype == np.int8
    return result

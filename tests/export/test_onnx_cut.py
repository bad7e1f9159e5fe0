"""Cutting .onnx files, held against the interior tensors of the original in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecut.errors import ExportError, GraphError, SourceError
from edgecut.export.onnx_cut import cut_onnx, image_tensors, network, value_types, whole_model

FIXTURES = Path(__file__).parents[1] / "fixtures"


def session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def interior(content: bytes, feeds: dict) -> dict:
    """Every tensor of a file that depends on its inputs, for one input."""
    model = whole_model(content)
    known, own = value_types(model), {value.name for value in model.graph.output}
    names = [name for name in network(model).fed if name in known and name not in feeds]
    model.graph.output.extend(known[name] for name in names if name not in own)
    return {**feeds, **dict(zip(names, session(model.SerializeToString()).run(names, feeds), strict=True))}


def model_of(
    nodes: Sequence[onnx.NodeProto], inputs: dict, outputs: dict, constants: dict | None = None, **extra: object
) -> bytes:
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8, **extra)
    return made.SerializeToString()


def refusal(content: bytes, to: list, start: list | None = None, error: type[Exception] = GraphError) -> str:
    with pytest.raises(error) as caught:
        cut_onnx(content, to, start or [])
    return str(caught.value)


@pytest.mark.parametrize("name", ["tiny.float32", "tiny.int8"])
def test_every_cut_is_bit_equal_to_the_original(name: str) -> None:
    content = (FIXTURES / f"{name}.onnx").read_bytes()
    model = whole_model(content)
    info, last = model.graph.input[0], model.graph.output[0].name
    random = np.random.default_rng(0)
    x = random.integers(-128, 128, (1, 12, 12, 1)) if "int8" in name else random.uniform(-1, 1, (1, 12, 12, 1))
    dtype = helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
    values = interior(content, {info.name: x.astype(dtype)})
    compared = 0
    for tensor in network(model).fed[1:]:
        head = session(cut_onnx(content, [tensor])).run(None, {info.name: values[info.name]})[0]
        np.testing.assert_array_equal(head, values[tensor], err_msg=f"to {tensor}")
        if tensor != last:
            tail = session(cut_onnx(content, [], [tensor])).run(None, {tensor: values[tensor]})[0]
            np.testing.assert_array_equal(tail, values[last], err_msg=f"from {tensor}")
        compared += 1
    assert compared == {"tiny.float32": 11, "tiny.int8": 23}[name]


def test_what_nothing_uses_is_dropped() -> None:
    content = (FIXTURES / "tiny.int8.onnx").read_bytes()
    first = next(k for k, node in enumerate(whole_model(content).graph.node) if node.op_type == "Conv")
    part = whole_model(cut_onnx(content, [first]))
    used = {name for node in part.graph.node for name in node.input}
    assert {tensor.name for tensor in part.graph.initializer} <= used
    assert sorted(node.op_type for node in part.graph.node) == [
        "Conv", "DequantizeLinear", "DequantizeLinear", "DequantizeLinear", "Reshape",
    ]  # fmt: skip
    assert [o.version for o in part.opset_import] == [o.version for o in whole_model(content).opset_import]


def test_a_value_that_a_body_takes_from_outside_is_kept() -> None:
    """extract_model of the onnx package drops the Abs here, and the part it writes can't be loaded."""
    body = [helper.make_graph([helper.make_node("Add", ["abs", "abs"], ["both"])], "then", [],
                              [helper.make_tensor_value_info("both", TensorProto.FLOAT, [2])]),
            helper.make_graph([helper.make_node("Neg", ["abs"], ["negative"])], "else", [],
                              [helper.make_tensor_value_info("negative", TensorProto.FLOAT, [2])])]  # fmt: skip
    content = model_of(
        [
            helper.make_node("Abs", ["x"], ["abs"]),
            helper.make_node("If", ["yes"], ["y"], then_branch=body[0], else_branch=body[1]),
            helper.make_node("Neg", ["y"], ["z"]),
        ],
        {"x": [2]}, {"z": [2]}, {"yes": np.array(True)},
    )  # fmt: skip
    part = cut_onnx(content, ["y"])
    assert [node.op_type for node in whole_model(part).graph.node] == ["Abs", "If"]
    np.testing.assert_array_equal(session(part).run(None, {"x": np.float32([-1, 2])})[0], np.float32([2, 4]))
    tail = cut_onnx(content, [], ["abs"])
    assert [value.name for value in whole_model(tail).graph.input] == ["abs"]


def test_a_constant_that_is_listed_as_an_input_stays_a_constant() -> None:
    content = model_of(
        [helper.make_node("Mul", ["x", "w"], ["a"]), helper.make_node("Abs", ["a"], ["y"])],
        {"x": [2], "w": [2]}, {"y": [2]}, {"w": np.float32([3, -4])},
    )  # fmt: skip
    part = cut_onnx(content, ["a"])
    assert [value.name for value in whole_model(part).graph.input] == ["x"]
    np.testing.assert_array_equal(session(part).run(None, {"x": np.float32([1, 1])})[0], np.float32([3, -4]))


def test_functions_that_the_part_calls_are_kept_and_others_dropped() -> None:
    def function(name: str, inner: onnx.NodeProto) -> onnx.FunctionProto:
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
        return helper.make_function("own", name, ["a"], ["b"], [inner], opsets)

    content = model_of(
        [helper.make_node("Twice", ["x"], ["m"], domain="own"), helper.make_node("Other", ["m"], ["y"], domain="own")],
        {"x": [2]}, {"y": [2]},
        functions=[
            function("Twice", helper.make_node("Inner", ["a"], ["b"], domain="own")),
            function("Inner", helper.make_node("Add", ["a", "a"], ["b"])),
            function("Other", helper.make_node("Neg", ["a"], ["b"])),
        ],
    )  # fmt: skip
    model = whole_model(content)
    model.graph.value_info.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, [2]))
    part = cut_onnx(model.SerializeToString(), ["m"])
    assert [f.name for f in whole_model(part).functions] == ["Twice", "Inner"]
    np.testing.assert_array_equal(session(part).run(None, {"x": np.float32([1, 2])})[0], np.float32([2, 4]))


def residual() -> bytes:
    return model_of(
        [
            helper.make_node("Relu", ["x"], ["a"], name="first"),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Add", ["a", "b"], ["sum"]),
            helper.make_node("Relu", ["sum"], ["y"]),
        ],
        {"x": [1, 4]}, {"y": [1, 4]},
    )  # fmt: skip


def test_a_start_that_is_bypassed_names_what_bypasses_it_and_the_nearest_that_is_not() -> None:
    """extract_model of the onnx package writes a model here that lacks the input 'a'."""
    assert refusal(residual(), [], ["b"]) == (
        "from 'b': the rest also needs 'a'; name all of them, or start at 'a' or 'sum'"
    )


def test_all_tensors_of_a_frontier_named_are_a_legal_start() -> None:
    part = cut_onnx(residual(), [], ["b", "a"])
    got = session(part).run(None, {"a": np.float32([[1, 2, 3, 4]]), "b": np.float32([[1, 1, 1, -9]])})
    np.testing.assert_array_equal(got[0], np.float32([[2, 3, 4, 0]]))


def test_a_node_is_named_by_itself_or_its_place() -> None:
    by_tensor = cut_onnx(residual(), ["a"])
    assert cut_onnx(residual(), ["first"]) == by_tensor
    assert cut_onnx(residual(), [0]) == by_tensor


def test_a_name_of_fused_operators_is_found_by_its_beginning() -> None:
    content = (FIXTURES / "tiny.float32.onnx").read_bytes()
    conv = next(node for node in whole_model(content).graph.node if node.op_type == "Conv")
    assert conv.output[0] == "tiny_1/stem_1/Relu;tiny_1/stem_1/convolution"
    assert cut_onnx(content, ["tiny_1/stem_1/Relu"]) == cut_onnx(content, [conv.output[0]])


def test_an_unknown_name_offers_the_closest() -> None:
    assert refusal(residual(), ["summ"]) == "no tensor 'summ' (closest: 'sum')"


def test_a_position_outside_says_how_many_there_are() -> None:
    assert refusal(residual(), [4]) == "no node at position 4: the file has 4 nodes, 0 to 3"


def test_what_only_constants_feed_is_no_start() -> None:
    content = model_of(
        [helper.make_node("Neg", ["w"], ["n"]), helper.make_node("Add", ["x", "n"], ["y"])],
        {"x": [2]}, {"y": [2]}, {"w": np.float32([1, 2])},
    )  # fmt: skip
    expected = "'n' is computed from constants alone; name a tensor that an input feeds"
    assert refusal(content, [], [0]) == expected
    assert refusal(content, ["w"]) == "'w' is a constant of the file; name a tensor that is computed from the input"


def test_an_interior_tensor_of_unknown_type_is_refused() -> None:
    content = model_of(
        [helper.make_node("Foreign", [a], [b], domain="own") for a, b in ("xm", "my")],
        {"x": [2]}, {"y": [2]},
    )  # fmt: skip
    assert refusal(content, ["m"], error=ExportError) == (
        "cut: the type of 'm' can't be told from the file; cut at a tensor next to it"
    )


def test_weights_in_other_files_are_refused() -> None:
    model = whole_model((FIXTURES / "tiny.float32.onnx").read_bytes())
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    assert refusal(model.SerializeToString(), [0], error=SourceError) == (
        "model: keeps weights in other files (external data); save it in one file first"
    )


def test_images_inside_are_told_from_the_input_by_the_operators_around_them() -> None:
    content = (FIXTURES / "tiny.float32.onnx").read_bytes()
    model = whole_model(content)
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    relu = next(node for node in model.graph.node if conv.output[0] in node.input)
    names = [model.graph.input[0].name, conv.output[0], relu.output[0], model.graph.output[0].name]
    assert image_tensors(model, names) == (conv.output[0], relu.output[0])

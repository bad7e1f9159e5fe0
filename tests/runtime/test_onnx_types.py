"""Types, sizes and versions of ONNX files that few models have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecut.bench.cutproof import cut_file
from edgecut.errors import EdgecutError
from edgecut.runtime.onnx_graph import read_onnx


def saved(path: Path, graph: onnx.GraphProto, *, opset: int = 18, ir_version: int = 10) -> Path:
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version), path)
    return path


def two_identities(path: Path, kind: int, shape: list[int]) -> Path:
    ends = [helper.make_tensor_value_info(name, kind, shape) for name in "xz"]
    nodes = [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Identity", ["y"], ["z"])]
    return saved(path, helper.make_graph(nodes, "graph", ends[:1], ends[1:]), opset=21)


def refusal(path: Path, *, to: str | int | None = 0, start: str | int | None = None) -> str:
    before = set(path.parent.iterdir())
    with pytest.raises(EdgecutError) as caught:
        cut_file(path, to, start, path.with_name("part.onnx"))
    assert set(path.parent.iterdir()) == before
    return str(caught.value)


@pytest.mark.parametrize("shape", [[2], [0, 3], []])
@pytest.mark.parametrize("kind", ["FLOAT", "UINT8", "INT16", "INT32", "INT64", "BOOL", "FLOAT16", "DOUBLE", "UINT64"])
def test_a_part_of_any_type_and_size_is_proven(tmp_path: Path, kind: str, shape: list[int]) -> None:
    path = two_identities(tmp_path / "m.onnx", TensorProto.DataType.Value(kind), shape)
    assert cut_file(path, 0, None, tmp_path / "part.onnx").proof.exact is True


def test_a_part_that_takes_text_is_proven(tmp_path: Path) -> None:
    path = two_identities(tmp_path / "m.onnx", TensorProto.STRING, [2])
    assert cut_file(path, 0, None, tmp_path / "part.onnx").proof.exact is True


@pytest.mark.parametrize(
    ("kind", "name"),
    [("BFLOAT16", "bfloat16"), ("FLOAT8E4M3FN", "float8_e4m3fn"), ("FLOAT8E5M2", "float8_e5m2")],
)
def test_a_type_that_the_runtime_can_t_be_given_is_named(tmp_path: Path, kind: str, name: str) -> None:
    path = two_identities(tmp_path / "m.onnx", TensorProto.DataType.Value(kind), [2])
    assert refusal(path) == (
        f"cut: the file: ONNX Runtime failed while running it: it takes {name}, which can't be given to it from Python"
    )


@pytest.mark.parametrize("kind", ["UINT4", "INT2", "FLOAT4E2M1", "COMPLEX64"])
def test_a_type_that_the_runtime_doesn_t_know_is_its_refusal(tmp_path: Path, kind: str) -> None:
    path = two_identities(tmp_path / "m.onnx", TensorProto.DataType.Value(kind), [2])
    assert refusal(path).startswith("cut: the file: ONNX Runtime can't run it: [ONNXRuntimeError]")


TENSOR = helper.make_tensor_type_proto(TensorProto.FLOAT, [2])
OTHERS = {
    "a sequence": helper.make_sequence_type_proto(TENSOR),
    "an optional": helper.make_optional_type_proto(TENSOR),
    "a map": helper.make_map_type_proto(TensorProto.INT64, TENSOR),
    "a sparse tensor": helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, [2]),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("side", ["takes", "puts out"])
def test_what_is_no_tensor_is_named(tmp_path: Path, kind: str, side: str) -> None:
    other, plain = helper.make_value_info("other", OTHERS[kind]), helper.make_tensor_value_info("plain", 1, [2])
    source, target = (other, plain) if side == "takes" else (plain, other)
    nodes = [helper.make_node("Identity", [source.name], [target.name])]
    path = saved(tmp_path / "m.onnx", helper.make_graph(nodes, "graph", [source], [target]))
    with pytest.raises(EdgecutError) as caught:
        read_onnx(path)
    assert str(caught.value) == (
        f"{path}: {side} 'other', {kind}; a file whose inputs and outputs are tensors is expected, so export it "
        "without that"
    )


@pytest.mark.parametrize(("to", "start"), [(0, None), (None, 0)])
def test_a_part_can_t_end_or_begin_at_a_sequence(tmp_path: Path, to: int | None, start: int | None) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    nodes = [
        helper.make_node("SequenceConstruct", ["x", "x"], ["pair"]),
        helper.make_node("Constant", [], ["first"], value_int=0),
        helper.make_node("SequenceAt", ["pair", "first"], ["y"]),
    ]
    path = saved(tmp_path / "m.onnx", helper.make_graph(nodes, "graph", ends[:1], ends[1:]))
    assert refusal(path, to=to, start=start) == (
        "'pair' is a sequence, and a part begins and ends at tensors; cut at one next to it"
    )


@pytest.mark.parametrize("declared", [True, False])
def test_a_file_of_ir_version_3_is_cut(tmp_path: Path, declared: bool) -> None:
    kernel = np.ones((2, 3, 3, 3), np.float32)
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 8, 8]), ("kernel", list(kernel.shape)), ("y", [1, 2, 6, 6]))
    }
    nodes = [helper.make_node("Conv", ["x", "kernel"], ["c"]), helper.make_node("Relu", ["c"], ["y"])]
    inputs = [values["x"], values["kernel"]] if declared else [values["x"]]
    graph = helper.make_graph(nodes, "graph", inputs, [values["y"]], [numpy_helper.from_array(kernel, "kernel")])
    path = saved(tmp_path / "m.onnx", graph, opset=8, ir_version=3)
    step = cut_file(path, 0, None, tmp_path / "part.onnx")
    assert (step.proof.exact, step.after.inputs) == (True, {"x": (1, 3, 8, 8)})
    part = onnx.load(tmp_path / "part.onnx")
    assert (part.ir_version, [value.name for value in part.graph.input]) == (3, ["x", "kernel"])


def test_a_text_that_is_no_utf_8_is_damage(tmp_path: Path) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xz"]
    nodes = [helper.make_node("Relu", ["x"], ["y"], strange=1), helper.make_node("Relu", ["y"], ["z"])]
    path = saved(tmp_path / "m.onnx", helper.make_graph(nodes, "graph", ends[:1], ends[1:]))
    path.write_bytes(path.read_bytes().replace(b"strange", b"str\xffnge"))
    assert "'utf-8' codec can't decode byte 0xff" in refusal(path)

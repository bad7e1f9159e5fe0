"""onnx's own passes over foreign models: what they die of ends a child process."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edgecut.errors import ExportError, RunError, SourceError
from edgecut.export.onnx_cut import cut_onnx
from edgecut.runtime.onnx_graph import read_onnx, with_shapes
from edgecut.runtime.onnx_native import Pass, Refused, passed


def model(*nodes: onnx.NodeProto, functions: tuple[onnx.FunctionProto, ...] = ()) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y"))
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    graph = helper.make_graph(list(nodes), "g", [x], [y])
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8)


def function(name: str, *nodes: onnx.NodeProto) -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["x"], ["y"], list(nodes), opsets)


def endless() -> onnx.ModelProto:
    """Functions that call each other: inference and inlining descend until the stack ends."""
    a, b = (helper.make_node(name, ["x"], ["y"], domain="own") for name in ("a", "b"))
    return model(a, functions=(function("a", b), function("b", a)))


def test_shapes_are_inferred_as_onnx_infers_them() -> None:
    source = model(helper.make_node("Relu", ["x"], ["t"]), helper.make_node("Relu", ["t"], ["y"]))
    assert with_shapes(source, "m.onnx") == onnx.shape_inference.infer_shapes(source)
    assert with_shapes(source, "m", data_prop=True) == onnx.shape_inference.infer_shapes(source, data_prop=True)


def test_shapes_that_contradict_each_other_leave_the_model_as_it_is() -> None:
    source = model(helper.make_node("Relu", ["x"], ["t"]), helper.make_node("Relu", ["t"], ["y"]))
    source.graph.value_info.append(helper.make_tensor_value_info("t", TensorProto.FLOAT, [1, 5, 6]))
    assert with_shapes(source, "m.onnx") == source


def test_what_onnx_refuses_is_its_own_sentence() -> None:
    with pytest.raises(Refused) as refusal:
        passed("check", model(helper.make_node("Relu", ["x", "x"], ["y"])), "m.onnx")
    assert "Node with schema(::Relu" in str(refusal.value)


def test_functions_are_put_in_place() -> None:
    source = model(
        helper.make_node("a", ["x"], ["y"], domain="own"),
        functions=(function("a", helper.make_node("Relu", ["x"], ["y"])),),
    )
    assert [node.op_type for node in passed("inline", source, "m").graph.node] == ["Relu"]


def test_functions_that_call_each_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(endless().SerializeToString())
    with pytest.raises(SourceError) as refusal:
        read_onnx(path)
    assert str(refusal.value) == (
        f"{path}: is a damaged .onnx file (Cycle detected in model-local function references: own::b -> own::a -> "
        "own::b. Model-local functions must not be recursive); get it again"
    )


@pytest.mark.parametrize("pass_", ["check", "infer", "inline"])
def test_a_pass_that_takes_more_than_the_limit_is_one_sentence(
    pass_: Pass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "bytes=32MiB")
    with pytest.raises(RunError) as refusal:
        passed(pass_, model(helper.make_node("Relu", ["x"], ["y"])), "m.onnx")
    assert str(refusal.value) == (
        "m.onnx: the child process that ran it needs more than 32 MiB of address space; EDGECUT_LIMITS='bytes=64MiB' "
        "raises the limit"
    )


def test_a_cut_of_a_model_that_the_checker_refuses_is_an_error_of_the_export() -> None:
    source = model(helper.make_node("Relu", ["x"], ["y"], foreign=1))
    with pytest.raises(ExportError) as refusal:
        cut_onnx(source.SerializeToString(), ["y"])
    assert str(refusal.value).startswith("cut: the part is no valid ONNX model: Unrecognized attribute: foreign")

"""An If whose condition constants and fixed sizes decide is the branch that it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from edgecut.runtime.onnx_branches import inlined
from edgecut.source.onnx import convert, prove, survey
from tests.source.onnx.graphs import one, save, weight

pytestmark = pytest.mark.tensorflow


def _branch(nodes: list[onnx.NodeProto], output: str) -> onnx.GraphProto:
    return helper.make_graph(nodes, "branch", [], [onnx.ValueInfoProto(name=output)])


def _constant(name: str, *values: int) -> onnx.NodeProto:
    return one("Constant", outputs=[name], value_ints=list(values), name=f"/{name}")


def _squeeze(x: str, tag: str, axis: int) -> list[onnx.NodeProto]:
    """What torch writes for squeeze(axis) where it doesn't know the shape: both branches call their tensors alike."""
    then = _branch([_constant("axes", axis), one("Squeeze", x, "axes", outputs=["inner"], name="/Squeeze")], "inner")
    other = _branch([one("Identity", x, outputs=["inner"], name="/Identity")], "inner")
    return [
        one("Shape", x, outputs=[f"shape{tag}"]),
        _constant(f"axis{tag}", axis),
        one("Gather", f"shape{tag}", f"axis{tag}", outputs=[f"size{tag}"]),
        _constant(f"one{tag}", 1),
        one("Equal", f"size{tag}", f"one{tag}", outputs=[f"is_one{tag}"]),
        one("If", f"is_one{tag}", outputs=[f"y{tag}"], name=f"/If{tag}", then_branch=then, else_branch=other),
    ]


def _is_the_file(path: Path, *sizes: int) -> bool:
    """Whether the graph without Ifs computes what the untouched file computes: the import's proof runs the former."""
    x = np.random.default_rng(0).normal(size=sizes).astype(np.float32)
    models = [onnx.load(path), inlined(onnx.load(path))]
    files, chosen = (onnxruntime.InferenceSession(m.SerializeToString()).run(None, {"x": x})[0] for m in models)
    return bool(np.array_equal(files, chosen)) and "If" not in {node.op_type for node in models[1].graph.node}


def test_the_squeezes_of_a_torch_file_are_had(tmp_path: Path) -> None:
    nodes = [
        one("Conv", "x", "w", outputs=["c"], name="/conv/Conv"),
        *_squeeze("c", "_a", 3),
        *_squeeze("y_a", "_b", 1),
        one("MatMul", "y_b", "fc", name="/fc/MatMul"),
    ]
    path = save(tmp_path / "net.onnx", nodes, {"x": ["N", 3, 8, 5]}, {"w": weight(4, 3, 1, 5), "fc": weight(8, 2)})
    assert not survey(path).refused
    imported = convert(path)
    assert prove(imported, path).relative_error < 1e-5
    assert _is_the_file(path, 2, 3, 8, 5)
    assert imported.model.output_shape == (None, 4, 2)


@pytest.mark.parametrize(("flag", "operator"), [(True, "Relu"), (False, "Tanh")])
def test_the_branch_of_a_constant_is_taken_with_its_own_constants(tmp_path: Path, flag: bool, operator: str) -> None:
    def branch(activation: str) -> onnx.GraphProto:
        graph = _branch([one(activation, "x", outputs=["a"]), one("Mul", "a", "by", outputs=["b"])], "b")
        graph.initializer.append(onnx.numpy_helper.from_array(weight(4), "by"))
        return graph

    inside = one("If", "flag", outputs=["deep"], name="/in", then_branch=branch("Relu"), else_branch=branch("Tanh"))
    outside = one(
        "If", "flag", name="/out", then_branch=_branch([inside], "deep"), else_branch=_branch([inside], "deep")
    )
    path = save(tmp_path / "net.onnx", [outside], {"x": ["N", 4]}, {"flag": np.asarray(flag)})
    assert dict(survey(path).operators)[operator] == 1
    assert prove(convert(path), path).relative_error < 1e-5
    assert _is_the_file(path, 2, 4)


def test_a_condition_on_an_open_size_stays_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", _squeeze("x", "", 1), {"x": ["N", "C", 5]}, {}, ["y"])
    assert [item.operator for item in survey(path).refused] == ["If"]


def test_a_condition_that_nothing_can_compute_stays_refused(tmp_path: Path) -> None:
    nodes = [one("Gather", "flags", "place", outputs=["flag"]), _squeeze("x", "", 1)[-1]]
    nodes[1].input[0] = "flag"
    constants = {"flags": np.asarray([True]), "place": np.asarray(7)}
    path = save(tmp_path / "net.onnx", nodes, {"x": ["N", 1, 5]}, constants, ["y"])
    assert [item.operator for item in survey(path).refused] == ["If"]

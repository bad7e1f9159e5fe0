"""A file that can't be read is refused with all its faults, one clause each, before TensorFlow is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edgecut.errors import SourceError
from edgecut.render.imports import import_table
from edgecut.source.onnx import survey
from edgecut.source.onnx.reading import external_files, read_file
from tests.source.onnx.torch_cnn import torch_cnn

Change = Callable[[onnx.ModelProto], object]


def _opset_99(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 99


def _from_nowhere(model: onnx.ModelProto) -> None:
    model.graph.node[3].input[0] = "gone"


def _without_shape(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")


def _of_texts(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING


def _cut_weight(model: onnx.ModelProto) -> None:
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "fc.bias")
    weight.raw_data = weight.raw_data[:-4]


def _two_faults(model: onnx.ModelProto) -> None:
    _opset_99(model)
    _of_texts(model)


NEWEST = onnx.defs.onnx_opset_version()
OPSET = f"is of opset 99, and {NEWEST} is the newest that is known; export it with an earlier opset"
TEXTS = "takes 'input' of texts, where numbers are expected"


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (_opset_99, OPSET),
        (_from_nowhere, "takes 'gone' from nowhere; it is damaged, get the file again"),
        (_without_shape, "doesn't say how many dimensions its input 'input' has; export it with a shape"),
        (_of_texts, TEXTS),
        (_cut_weight, "'fc.bias' holds 16 bytes where its shape (5,) needs 20; it is damaged, get the file again"),
        (_two_faults, f"{OPSET}; {TEXTS}"),
    ],
)
def test_a_damaged_graph_is_told_with_all_its_faults(tmp_path: Path, change: Change, faults: str) -> None:
    model = onnx.load(torch_cnn(tmp_path / "cnn.onnx"))
    change(model)
    (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(SourceError) as caught:
        read_file(tmp_path / "bad.onnx")
    assert str(caught.value) == f"{tmp_path / 'bad.onnx'}: {faults}"


@pytest.mark.parametrize("content", [b"hello, I am no model at all", b"\x08"])
def test_a_foreign_or_truncated_file_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    whole = torch_cnn(path).read_bytes()
    path.write_bytes(content if len(content) > 1 else whole[: len(whole) // 2])
    with pytest.raises(SourceError) as caught:
        read_file(path)
    assert str(caught.value) == f"{path}: is no .onnx file, or a damaged one; get it again"


@pytest.fixture
def external(tmp_path: Path) -> Path:
    """A file whose weights lie in w.bin beside it."""
    model = onnx.load(torch_cnn(tmp_path / "inside.onnx"))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=64)
    return tmp_path / "m.onnx"


def _elsewhere(path: Path, location: str) -> None:
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = location if entry.key == "location" else entry.value
    path.write_bytes(model.SerializeToString())


def test_weights_in_another_file_are_found(external: Path) -> None:
    assert external_files(external) == ("w.bin",)
    assert read_file(external).size_bytes == external.stat().st_size + (external.parent / "w.bin").stat().st_size


def test_weights_that_are_missing_cut_off_or_outside_are_one_fault(external: Path) -> None:
    held = sum(1 for t in onnx.load(external, load_external_data=False).graph.initializer if t.external_data)
    named = f"keeps 'stem.0.weight' and {held - 1} more"
    weights = external.parent / "w.bin"
    weights.write_bytes(weights.read_bytes()[:10])
    faults = {f"{named} beyond the end of 'w.bin', which has 10 bytes; get it again": "w.bin"}
    faults |= {f"{named} in 'gone.bin', which isn't there; put it beside the file": "gone.bin"}
    outside = "which is outside of its folder; put that beside the file, and say so in it"
    faults |= {f"{named} in {location!r}, {outside}": location for location in ("../w.bin", "/etc/passwd")}
    for sentence, location in faults.items():
        _elsewhere(external, location)
        with pytest.raises(SourceError) as caught:
            read_file(external)
        assert str(caught.value) == f"{external}: {sentence}"


def test_an_operator_of_a_foreign_domain_is_refused_with_the_cut_before_it(tmp_path: Path) -> None:
    model = onnx.load(torch_cnn(tmp_path / "m.onnx"))
    model.graph.node[2].domain, model.graph.node[2].op_type = "com.acme", "Magic"
    model.opset_import.append(helper.make_opsetid("com.acme", 1))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    found = survey(tmp_path / "m.onnx")
    assert [(item.operator, item.reason) for item in found.refused] == [("com.acme.Magic", "of the domain com.acme")]
    assert found.cuts == ("/stem/stem.1/BatchNormalization_output_0",)


def _wired(nodes: Sequence[tuple[str, str, str]], ends: Sequence[str] = ("y",)) -> onnx.ModelProto:
    """A model of (operator, inputs, output), its inputs set apart by blanks, that takes x and puts out `ends`."""
    made = [helper.make_node(operator, inputs.split(), [output]) for operator, inputs, output in nodes]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", *ends)]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 4], [1.0, 2.0, 3.0, 4.0])
    graph = helper.make_graph(made, "g", values[:1], values[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        (_wired([("Add", "x y", "y")]), "takes 'y' before it is made (its nodes are out of order, or in a circle)"),
        (
            _wired([("Relu", "a", "y"), ("Relu", "x", "a")]),
            "takes 'a' before it is made (its nodes are out of order, or in a circle)",
        ),
        (_wired([("Relu", "x", "y")], ["y", "z"]), "takes 'z' from nowhere"),
        (_wired([("Relu", "x", "y"), ("Tanh", "x", "y")]), "makes 'y' more than once"),
        (_wired([("Relu", "x", "w"), ("Add", "x w", "y")]), "makes 'w' more than once"),
    ],
)
def test_wires_that_lead_nowhere_or_back_are_told(tmp_path: Path, model: onnx.ModelProto, fault: str) -> None:
    (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(SourceError) as caught:
        survey(tmp_path / "bad.onnx")
    remedy = "export it again" if "before" in fault else "it is damaged, get the file again"
    assert str(caught.value) == f"{tmp_path / 'bad.onnx'}: {fault}; {remedy}"


def test_an_output_that_no_input_changes_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    alone = f"{path}: puts out 'y', which no value of its inputs changes"
    cut = f"{alone}; leave it out: edgecut cut {path} --to z -o part.onnx"
    both = _wired([("Relu", "w", "y"), ("Relu", "x", "z")], ["y", "z"])
    for model, sentence in ((_wired([("Relu", "w", "y")]), alone), (both, cut)):
        path.write_bytes(model.SerializeToString())
        with pytest.raises(SourceError) as caught:
            survey(path)
        assert str(caught.value) == sentence


def test_a_function_that_calls_itself_is_told(tmp_path: Path) -> None:
    model = _wired([("Relu", "x", "y")])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("loc", 1)]
    call = helper.make_node("F", ["a"], ["b"], domain="loc")
    model.functions.append(helper.make_function("loc", "F", ["a"], ["b"], [call], opsets))
    model.graph.node[0].op_type, model.graph.node[0].domain = "F", "loc"
    model.opset_import.append(opsets[1])
    (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(SourceError) as caught:
        read_file(tmp_path / "bad.onnx")
    assert str(caught.value) == (
        f"{tmp_path / 'bad.onnx'}: is a damaged .onnx file (Cycle detected in model-local function references: "
        "loc::F -> loc::F. Model-local functions must not be recursive); get it again"
    )


def test_a_name_that_no_file_can_have_is_no_file(external: Path) -> None:
    held = sum(1 for t in onnx.load(external, load_external_data=False).graph.initializer if t.external_data)
    named = f"{external}: keeps 'stem.0.weight' and {held - 1} more in"
    faults = {
        "a\0b": "which is outside of its folder; put that beside the file, and say so in it",
        "a" * 300: "which isn't there; put it beside the file",
    }
    for location, sentence in faults.items():
        _elsewhere(external, location)
        with pytest.raises(SourceError) as caught:
            read_file(external)
        assert str(caught.value) == f"{named} {location!r}, {sentence}"


def test_names_of_several_lines_are_told_in_one(tmp_path: Path) -> None:
    model = _wired([("Zap\nedgecut: error: none", "x", "y")])
    model.graph.node[0].name, model.graph.node[0].domain, model.producer_name = "n\nwrote all", "acme", "p\nwrote all"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    surveyed = survey(tmp_path / "m.onnx")
    assert surveyed.exporter == "p wrote all"
    assert surveyed.operators == {"acme.Zap edgecut: error: none": 1}
    table = import_table(surveyed.operators, {}, surveyed.refused)
    assert [row[2] for row in table.rows] == ["refused: of the domain acme; at 'n\\nwrote all'"]

"""What an import would give, told without TensorFlow, and files that can't be imported."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgecut.errors import SourceError
from edgecut.source.onnx import survey
from edgecut.source.onnx.nodes import read_network
from edgecut.source.onnx.reading import read_file
from edgecut.source.onnx.survey import refusal
from edgecut.source.onnx.tracing import fixed_shapes, graph_inputs, trace
from tests.source.onnx.graphs import one, save, weight


def fails(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        survey(path)
    return str(caught.value).replace(str(path), "FILE")


def detector(path: Path) -> Path:
    """A backbone, and behind it boxes that depend on the data."""
    nodes = [
        one("Conv", "x", "w", outputs=["features"]),
        one("Relu", "features", outputs=["r"]),
        one("NonZero", "r", outputs=["places"]),
        one("Foreign", "r", outputs=["more"], domain="com.example"),
        one("NonZero", "more", outputs=["y"]),
    ]
    return save(path, nodes, {"x": ["N", 3, 8, 8]}, {"w": weight(4, 3, 3, 3)}, ["places", "y"])


def test_all_that_stands_in_the_way_is_said_at_once_with_the_cut_that_avoids_it(tmp_path: Path) -> None:
    found = survey(detector(tmp_path / "d.onnx"))
    assert refusal(found) == (
        "can't be imported: NonZero (puts out as many places as the data says) at 'NonZero_2', 'NonZero_4'; "
        "com.example.Foreign (of the domain com.example) at 'Foreign_3'; cut it off, and import the part: edgecut cut "
        f"{tmp_path / 'd.onnx'} --to r -o part.onnx"
    )
    assert found.cuts == ("r",)
    assert found.operators == {"NonZero": 2, "Conv": 1, "Relu": 1, "com.example.Foreign": 1}


def test_a_part_without_the_obstacle_has_none(tmp_path: Path) -> None:
    file = read_file(detector(tmp_path / "d.onnx"))
    assert [node.operator for node in read_network(file, ["r"]).nodes] == ["Conv", "Relu"]
    with pytest.raises(SourceError, match=re.escape("has no tensor 'rr' (closest: 'r'")):
        read_network(file, ["rr"])


def test_a_loop_is_refused_by_name(tmp_path: Path) -> None:
    body = helper.make_graph(
        [one("Add", "outer", "outer", outputs=["z"])], "body", [], [helper.make_tensor_value_info("z", 1, None)]
    )
    nodes = [one("Relu", "x", outputs=["outer"]), one("If", "flag", then_branch=body, else_branch=body)]
    path = save(tmp_path / "if.onnx", nodes, {"x": ["N", 4], "flag": []}, {}, types={"flag": TensorProto.BOOL})
    assert refusal(survey(path)) == (
        "can't be imported: If (chooses what to compute by the data) at 'If_1'; cut it off, and import the part: "
        f"edgecut cut {path} --to outer -o part.onnx"
    )


def test_a_quantized_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    nodes = [one("QuantizeLinear", "x", "s", outputs=["q"]), one("DequantizeLinear", "q", "s")]
    path = save(tmp_path / "q.onnx", nodes, {"x": ["N", 4]}, {"s": np.float32(0.1)})
    found = survey(path)
    assert found.quantized
    reason = "the file is quantized already; give the float file that it was made of, or pass --dequantize"
    assert refusal(found) == (
        f"can't be imported: QuantizeLinear ({reason}) at 'QuantizeLinear_0'; "
        f"DequantizeLinear ({reason}) at 'DequantizeLinear_1'"
    )


def test_external_data_outside_of_the_folder_and_missing_are_refused_at_once(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [one("Add", "x", "a", outputs=["b"]), one("Add", "b", "c")], {"x": [1, 2]}, {})
    model = onnx.load(path)
    for name, location in (("a", "../weights.bin"), ("c", "weights.bin")):
        tensor = TensorProto(name=name, data_type=1, dims=[2], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=location)
        model.graph.initializer.append(tensor)
    path.write_bytes(model.SerializeToString())
    assert fails(path) == (
        "FILE: keeps 'a' in '../weights.bin', which is outside of its folder; put that beside the file, and say so in "
        "it; keeps 'c' in 'weights.bin', which isn't there; put it beside the file"
    )
    (tmp_path / "weights.bin").write_bytes(b"1234")
    assert "keeps 'c' beyond the end of 'weights.bin', which has 4 bytes; get it again" in fails(path)


def test_external_data_beside_the_file_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [one("Mul", "x", "a")], {"x": ["N", 2]}, {"a": np.arange(2, dtype=np.float32)})
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    file = read_file(path)
    assert file.size_bytes == path.stat().st_size + 8
    network = read_network(file)
    assert trace(file, network, fixed_shapes(file, None)).constants["a"].tolist() == [0, 1]


def test_damage_is_told(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [one("Mul", "x", "a")], {"x": ["N", 2]}, {"a": np.arange(2, dtype=np.float32)})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert fails(path) == "FILE: is no .onnx file, or a damaged one; get it again"
    model = onnx.load_model_from_string(content)
    model.graph.initializer[0].dims[0] = 2**40
    path.write_bytes(model.SerializeToString())
    assert fails(path) == (
        "FILE: 'a' holds 8 bytes where its shape (1099511627776,) needs 4398046511104; it is damaged, get the file "
        "again"
    )
    model.opset_import[0].version = 5
    path.write_bytes(model.SerializeToString())
    assert "is of opset 5, and 7 or later is expected; export it with a later opset" in fails(path)


def test_open_sizes_are_named_as_the_file_names_them(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [one("Relu", "x")], {"x": ["N", 3, "height", "width"]}, {})
    file = read_file(path)
    assert survey(path).open_inputs == ("x",)
    with pytest.raises(SourceError) as caught:
        fixed_shapes(file, None)
    assert str(caught.value) == (
        f"{path}: leaves sizes of 'x' open: (N, 3, height, width); pass shape= (--shape) without the batch"
    )
    assert fixed_shapes(file, (3, 8, 9)) == {"x": (3, 8, 9)}
    with pytest.raises(
        SourceError, match=re.escape("takes 'x' as (3, ?, ?) behind the batch, and shape= says (4, 8, 9)")
    ):
        fixed_shapes(file, (4, 8, 9))


def test_a_batch_that_isn_t_first_is_seen(tmp_path: Path) -> None:
    nodes = [one("Identity", "x", outputs=["a"]), one("Identity", "h")]
    file = read_file(save(tmp_path / "m.onnx", nodes, {"x": ["N", 7, 4], "h": [2, "N", 5]}, {}, ["a", "y"]))
    assert [(t.name, t.batch_axis, t.inner_shape) for t in graph_inputs(file)] == [("x", 0, (7, 4)), ("h", 1, (2, 5))]


def test_a_file_that_onnx_runtime_can_t_run_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [one("Reshape", "x", "s")], {"x": ["N", 4]}, {"s": np.asarray([3, 5], np.int64)})
    file = read_file(path)
    with pytest.raises(SourceError, match="ONNX Runtime can not run it: "):
        trace(file, read_network(file), fixed_shapes(file, None))


def test_what_the_exporter_folded_is_said(tmp_path: Path) -> None:
    nodes = [one("Conv", "x", "w")]
    path = save(tmp_path / "m.onnx", nodes, {"x": [1, 3, 8, 8]}, {"w": weight(4, 3, 3, 3)}, producer="pytorch")
    batch, folded, channels = survey(path).notes
    assert batch.startswith("takes one input at a time; the model made of it takes any number")
    assert folded.startswith("its BatchNormalization is folded into the convolutions")
    assert channels.endswith("(preprocess torch): a gray stem is exact only on raw pixels")

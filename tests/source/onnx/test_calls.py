"""The calls of an .onnx file's model are told by a child process without TensorFlow as the live model has them."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import pytest

from edgecut.graph.flow_json import from_json, to_json
from edgecut.graph.layer_call import UnsaidError
from edgecut.graph.points import points_of, totals
from edgecut.lowering.lower import lowering
from edgecut.records.recipe import Source
from edgecut.source.onnx import convert
from edgecut.source.onnx.calls import read_calls
from tests.source.onnx.graphs import one, save
from tests.source.onnx.torch_cnn import torch_cnn

pytestmark = pytest.mark.tensorflow


def test_calls_are_those_of_the_live_model(tmp_path: Path) -> None:
    path = torch_cnn(tmp_path / "cnn.onnx")
    told, imported = read_calls(Source(model=str(path))), convert(path)
    from edgecut.graph.live import dataflow

    live = dataflow(imported.model)
    assert points_of(told.flow) == points_of(live)
    assert totals(told.flow) == totals(live)
    assert [call.config for call in told.flow] == [call.config for call in live]
    assert lowering(told.flow.calls, "int8")(*told.flow.flat_outputs) == lowering(live.calls, "int8")(
        *live.flat_outputs
    )
    assert (told.nodes, told.notes) == (imported.node_names, imported.notes)


def test_calls_are_the_same_as_json_and_back(tmp_path: Path) -> None:
    flow = read_calls(Source(model=str(torch_cnn(tmp_path / "cnn.onnx")))).flow
    again = from_json(to_json(flow))
    assert to_json(again) == to_json(flow)
    assert [astuple(point) for point in points_of(again)] == [astuple(point) for point in points_of(flow)]


def test_sizes_that_the_file_leaves_open_are_those_of_the_source(tmp_path: Path) -> None:
    path = torch_cnn(tmp_path / "cnn.onnx", size="side")
    told = read_calls(Source(model=str(path), shape=(3, 64, 64)))
    assert told.flow.flat_inputs[0].shape == (None, 64, 64, 3)


def test_a_file_that_the_import_refuses_is_left_to_it(tmp_path: Path) -> None:
    path = save(tmp_path / "odd.onnx", [one("NonMaxSuppression", "x", "x")], {"x": [1, 3, 4]}, {})
    with pytest.raises(UnsaidError) as error:
        read_calls(Source(model=str(path)))
    assert str(error.value) == ""

"""A file that leaves its input's height and width open isn't timed at one pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecut.bench.measure import bench, bench_files
from edgecut.errors import DocumentError, SourceError
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Bench
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.write import Draft
from tests.command_line import run


def _onnx(path: Path, *sizes: str | int) -> Path:
    data = helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    kernel = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "g", [data], [made], [kernel])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_an_open_height_is_refused_and_an_open_batch_is_not(tmp_path: Path) -> None:
    path = _onnx(tmp_path / "open.onnx", "N", 3, "H", "W")
    with pytest.raises(SourceError) as caught:
        bench(path)
    assert str(caught.value) == (
        f"{path}: leaves the size of its input 'x' (?×3×?×?) open, and one size is timed; export it with fixed sizes"
    )
    rows = bench(_onnx(tmp_path / "batch.onnx", "N", 3, 8, 8), runs=1, warmup=0)
    assert [row.value is not None for row in rows if row.metric == "latency"] == [True]


def test_of_several_files_the_open_ones_are_told_together(tmp_path: Path) -> None:
    files = {name: _onnx(tmp_path / name, 1, 3, "H", 8) for name in ("a.onnx", "b.onnx")}
    with pytest.raises(DocumentError) as caught:
        bench_files(files, [find_profile("host")], Bench())
    assert [line.split(": ")[0] for line in str(caught.value).split("\n")] == [str(path) for path in files.values()]


def test_inspect_says_at_which_size_it_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "inspect", str(_onnx(tmp_path / "open.onnx", "N", 3, "H", "W")))
    assert (answer.code, answer.err) == (
        0,
        "edgecut: open.onnx leaves the size of its input 'x' (?×3×?×?) open; multiply-accumulates are of size 1\n",
    )


def test_the_open_axes_of_a_tflite_file_are_known(tmp_path: Path) -> None:
    draft = Draft()
    x, y = (draft.tensor((1, 1, 1, 2), "float32") for _ in range(2))
    draft._tensors[x].shapeSignature = np.array([-1, -1, -1, 2], np.int32)
    draft.operator("RELU", [x], [y])
    path = tmp_path / "m.tflite"
    path.write_bytes(draft.file([x], [y]))
    assert read(path).tensors[0].open_axes == (0, 1, 2)
    with pytest.raises(SourceError, match=r"leaves the size of its input 't0' \(\?×\?×\?×2\) open"):
        bench(path)

"""What an artifact's file says about itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
import pytest

from edgecut.export.readback import guess_precision, read_artifact
from edgecut.runtime.onnx_graph import read_onnx

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8", "int16x8"])
def test_precision_is_read_from_a_tflite_file(precision: str) -> None:
    assert guess_precision(FIXTURES / f"tiny.{precision}.tflite") == precision


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_precision_is_read_from_an_onnx_file(precision: str) -> None:
    assert guess_precision(FIXTURES / f"tiny.{precision}.onnx") == precision


@pytest.mark.real
def test_precision_is_that_of_the_kernels_not_of_the_inputs(real: Path) -> None:
    assert guess_precision(real / "visual_wake_words.tflite") == "int8"


def test_artifact_is_what_the_file_says() -> None:
    path = FIXTURES / "tiny.int8.tflite"
    artifact = read_artifact(path, name="tiny.int8", precision="int8", expects="raw", relative_to=FIXTURES.parent)
    assert artifact.path == "fixtures/tiny.int8.tflite"
    assert artifact.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert artifact.size_bytes == path.stat().st_size
    assert artifact.operators == {
        "CONV_2D": 2, "DEPTHWISE_CONV_2D": 1, "AVERAGE_POOL_2D": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1,
    }  # fmt: skip
    assert (artifact.inputs[0].dtype, artifact.inputs[0].expects) == ("int8", "raw")
    assert (artifact.outputs[0].scale, artifact.outputs[0].zero_point) == (1 / 256, -128)


def test_onnx_int8_file_has_the_scales_and_macs_of_its_tflite_twin() -> None:
    a = read_artifact(FIXTURES / "tiny.int8.tflite", name="a", precision="int8")
    b = read_artifact(FIXTURES / "tiny.int8.onnx", name="b", precision="int8")
    for left, right in zip(a.inputs + a.outputs, b.inputs + b.outputs, strict=True):
        assert (left.shape, left.dtype) == (right.shape, right.dtype)
        assert (left.scale, left.zero_point) == (right.scale, right.zero_point)
    assert a.macs == b.macs == 47_232


def test_onnx_node_outside_the_table_makes_the_count_unknown(tmp_path: Path) -> None:
    model = onnx.load(FIXTURES / "tiny.float32.onnx")
    model.graph.node[-1].domain = "com.example"
    onnx.save(model, tmp_path / "strange.onnx")
    graph = read_onnx(tmp_path / "strange.onnx")
    assert graph.macs is None
    assert graph.nodes[-1].macs is None


def test_open_batch_of_an_onnx_file_is_minus_one_and_counts_as_one(tmp_path: Path) -> None:
    model = onnx.load(FIXTURES / "tiny.float32.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, tmp_path / "open.onnx")
    graph = read_onnx(tmp_path / "open.onnx")
    assert graph.inputs[0].shape == (-1, 12, 12, 1)
    assert graph.macs == 47_232

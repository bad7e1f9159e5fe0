"""Running files on arrays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from edgecut.errors import RequestError, RunError, SourceError
from edgecut.records.artifact import TensorSpec
from edgecut.runtime.files import FileRunner, dequantize, quantize
from edgecut.runtime.session import first_line, runtime_words
from edgecut.sandbox.child import the_child
from edgecut.sandbox.limits import Limits, read_limits
from edgecut.sandbox.wire import receive, send

FIXTURES = Path(__file__).parents[1] / "fixtures"
INT8 = FIXTURES / "tiny.int8.tflite"
SPEC = TensorSpec(name="x", shape=(1, 2), dtype="int8", scale=0.5, zero_point=-1)


def images(count: int = 16) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (count, 12, 12, 1)).astype(np.float32)


def test_float_file_gives_what_a_plain_litert_loop_gives() -> None:
    x = images()
    interpreter = Interpreter(str(FIXTURES / "tiny.float32.tflite"))
    interpreter.allocate_tensors()
    expected = []
    for row in x:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], row[None])
        interpreter.invoke()
        expected.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    np.testing.assert_array_equal(FileRunner(FIXTURES / "tiny.float32.tflite").predict(x), np.stack(expected))


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("tiny.float32.onnx", 1e-6),
        ("tiny.float16.tflite", 1e-4),
        ("tiny.dynamic.tflite", 1e-3),
        ("tiny.int16x8.tflite", 5e-3),
        ("tiny.int8.tflite", 1 / 128),
        ("tiny.int8.onnx", 1 / 128),
    ],
)
def test_every_precision_is_near_the_float_file(name: str, tolerance: float) -> None:
    x = images()
    expected = FileRunner(FIXTURES / "tiny.float32.tflite").predict(x)
    outputs = FileRunner(FIXTURES / name).predict(x)
    assert (outputs.dtype, outputs.shape) == (np.float32, (16, 4))
    assert np.abs(outputs - expected).max() <= tolerance


def test_onnx_int8_of_the_tiny_network_agrees_with_tflite_int8_to_one_step() -> None:
    x = np.random.default_rng(2).integers(-128, 128, (64, 12, 12, 1)).astype(np.int8)
    a, b = FileRunner(INT8).predict_raw(x), FileRunner(FIXTURES / "tiny.int8.onnx").predict_raw(x)
    assert (a.dtype, b.dtype) == (np.int8, np.int8)
    assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_predict_is_quantize_then_raw_then_dequantize() -> None:
    runner, x = FileRunner(INT8), images()
    raw = runner.predict_raw(quantize(x, runner.inputs[0]))
    np.testing.assert_array_equal(runner.predict(x), dequantize(raw, runner.outputs[0]))


def test_results_don_t_change_when_the_runner_runs_again() -> None:
    runner = FileRunner(INT8)
    first = runner.predict(images())
    copy = first.copy()
    runner.predict(-images())
    np.testing.assert_array_equal(first, copy)


def test_no_images_give_no_rows() -> None:
    assert FileRunner(INT8).predict(images(0)).shape == (0, 4)


def test_halves_are_rounded_away_from_zero_and_ends_are_clipped() -> None:
    x = np.array([0.25, -0.25, 0.75, -0.75, 1e9, -1e9, 0.24999999], np.float32)
    assert quantize(x, SPEC).tolist() == [0, -2, 1, -3, 127, -128, -1 + (np.float32(0.24999999) >= 0.25)]


def test_a_value_just_below_a_half_is_rounded_down() -> None:
    whole = SPEC.model_copy(update={"scale": 1.0, "zero_point": 0})
    assert quantize(np.array([np.nextafter(np.float32(0.5), np.float32(0))]), whole).tolist() == [0]


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=50))
def test_integers_survive_dequantize_and_quantize(values: list[int]) -> None:
    """quantize(dequantize(q)) == q for every int8 value."""
    q = np.array(values, np.int8)
    np.testing.assert_array_equal(quantize(dequantize(q, SPEC), SPEC), q)


def test_many_values_are_quantized_as_each_alone() -> None:
    x = np.random.default_rng(0).uniform(-100, 100, (3, 40_000)).astype(np.float32)[:, ::2]
    np.testing.assert_array_equal(
        quantize(x, SPEC), np.concatenate([quantize(row[:100], SPEC) for row in x.reshape(-1, 100)]).reshape(x.shape)
    )


def test_bytes_without_a_scale_are_rounded_and_clipped_alone() -> None:
    spec = TensorSpec(name="x", shape=(1, 3), dtype="uint8")
    assert quantize(np.array([-3.0, 1.5, 300.0], np.float32), spec).tolist() == [0, 2, 255]
    assert dequantize(np.array([7], np.uint8), spec).tolist() == [7.0]


def test_values_that_aren_t_finite_are_refused() -> None:
    x = images(1)
    x[0, 0, 0, 0] = np.nan
    with pytest.raises(RunError) as caught:
        FileRunner(INT8).predict(x)
    assert str(caught.value) == f"{INT8}: the images hold values that aren't finite, so they can't be quantized"


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(RunError) as caught:
        FileRunner(INT8).predict(np.zeros((2, 12, 12, 3), np.float32))
    assert str(caught.value) == f"{INT8}: takes images of shape (1, 12, 12, 1), found an array of (2, 12, 12, 3)"


def test_raw_images_of_another_dtype_are_refused() -> None:
    with pytest.raises(RunError) as caught:
        FileRunner(INT8).predict_raw(images())
    assert str(caught.value) == f"{INT8}: takes int8, found an array of float32"


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    shutil.copy(INT8, tmp_path / "model.bin")
    with pytest.raises(SourceError) as caught:
        FileRunner(tmp_path / "model.bin")
    assert str(caught.value) == f"{tmp_path / 'model.bin'}: is neither a .tflite nor an .onnx file by its name"


def test_foreign_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_text("hello world")
    with pytest.raises(SourceError) as caught:
        FileRunner(tmp_path / "m.onnx")
    assert str(caught.value) == f"{tmp_path / 'm.onnx'}: is no .onnx file, or a damaged one; get it again"


def test_empty_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    with pytest.raises(SourceError) as caught:
        FileRunner(tmp_path / "m.onnx")
    assert (
        str(caught.value) == f"{tmp_path / 'm.onnx'}: holds no ONNX graph; a model with at least one node is expected"
    )


def endless(path: Path) -> Path:
    """An .onnx file whose loop takes 2**62 turns."""

    def tensor(name: str, kind: int = onnx.TensorProto.FLOAT, shape: tuple[int, ...] = (1, 4)) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    goes_on = tensor("goes_on", onnx.TensorProto.BOOL, ())
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["goes_on"]), helper.make_node("Relu", ["value"], ["next"])], "body",
        [tensor("turn", onnx.TensorProto.INT64, ()), tensor("on", onnx.TensorProto.BOOL, ()), tensor("value")],
        [goes_on, tensor("next")],
    )  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "", "x"], ["y"], body=body)], "graph", [tensor("x")], [tensor("y")],
        [helper.make_tensor("turns", onnx.TensorProto.INT64, (), [2**62])],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_runtime_s_message_becomes_one_line() -> None:
    assert first_line(ValueError("\n  first thing.\nsecond")) == "first thing"
    assert first_line(ValueError()) == "ValueError"
    loading = "[ONNXRuntimeError] : 1 : FAIL : Load model from /tmp/a b/m.onnx failed:This is an invalid model."
    assert first_line(loading) == "[ONNXRuntimeError] : 1 : FAIL : This is an invalid model"


def test_loading_writes_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    FileRunner(INT8).predict(images(1))
    FileRunner(FIXTURES / "tiny.int8.onnx").predict(images(1))
    assert capfd.readouterr() == ("", "")


def test_a_loop_without_an_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = endless(tmp_path / "endless.onnx")
    monkeypatch.setenv("EDGECUT_LIMITS", "seconds=0.5")
    with pytest.raises(RunError) as caught:
        FileRunner(path).predict(np.ones((1, 4), np.float32))
    assert str(caught.value) == (
        f"{path}: the child process that ran it was stopped after 0.5 s; a loop in the file may have no end, else "
        "EDGECUT_LIMITS='seconds=1' raises the limit"
    )
    assert capfd.readouterr() == ("", "")


def test_a_child_that_dies_is_one_sentence_and_the_next_file_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "seconds=2")
    sound, path = FileRunner(INT8), endless(tmp_path / "endless.onnx")
    before, broken = sound.predict(images()), FileRunner(path)
    process = the_child()._process
    os.kill(process.pid, signal.SIGSEGV)
    with pytest.raises(RunError) as caught:
        broken.predict(np.ones((1, 4), np.float32))
    assert str(caught.value) == (
        f"{path}: the child process that ran it was stopped by SIGSEGV; it last wrote: nothing"
    )
    np.testing.assert_array_equal(sound.predict(images()), before)
    assert process.poll() is not None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't keep the limit")
def test_a_file_that_needs_more_than_the_address_space_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "bytes=3GiB")
    shape = helper.make_tensor("shape", onnx.TensorProto.INT64, (1,), [2**30])
    value = helper.make_tensor("one", onnx.TensorProto.FLOAT, (1,), [1.0])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["large"], value=value),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 4)) for name in "xy"]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [shape])
    path = tmp_path / "large.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(RunError) as caught:
        FileRunner(path).predict(np.ones((1, 4), np.float32))
    assert str(caught.value) == (
        f"{path}: the child process that ran it needs more than 3 GiB of address space; EDGECUT_LIMITS='bytes=6GiB' "
        "raises the limit"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10", "EDGECUT_LIMITS: '10' is neither seconds=... nor bytes=...; 'seconds=60,bytes=4GiB' is the form"),
        ("seconds=soon", "EDGECUT_LIMITS: 'soon' is not a time such as '50 ms'; 'seconds=60,bytes=4GiB' is the form"),
        ("bytes=0", "EDGECUT_LIMITS: 'bytes=0' lets nothing run; give more than 0"),
    ],
)
def test_limits_of_another_form_are_refused(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", text)
    with pytest.raises(RequestError) as caught:
        FileRunner(INT8)
    assert str(caught.value) == message


def test_limits_are_read_with_their_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "seconds=2min, bytes=6GiB")
    assert read_limits() == Limits(120.0, 6 << 30, frozenset({"seconds", "bytes"}))
    assert read_limits().address_bytes_for(1 << 30) == 6 << 30
    assert Limits().address_bytes_for(1 << 30) == 12 << 30


def test_nothing_of_a_child_is_left_when_its_parent_ends() -> None:
    script = (
        f"from edgecut.runtime.files import FileRunner\nfrom edgecut.sandbox.child import the_child\n"
        f"FileRunner({str(INT8)!r})\nprint(the_child()._process.pid)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_texts_and_empty_arrays_pass_the_wire() -> None:
    first, second = os.pipe()
    arrays = [np.array(["a", "bcd"], object), np.zeros((0, 3), np.int8), np.array(2.5), np.array([b"x"], object)]
    with os.fdopen(second, "wb") as sink, os.fdopen(first, "rb") as source:
        send(sink, {"x": 1}, arrays)
        message = receive(source)
    assert message is not None
    header, values = message
    assert (header, [value.tolist() for value in values]) == ({"x": 1}, [["a", "bcd"], [], 2.5, [b"x"]])
    assert values[1].shape == (0, 3)


def test_what_runs_a_file_is_told_with_its_kernels() -> None:
    told = [runtime_words("tflite", precision) for precision in ("int8", "float32", "int16x8")]
    assert told == ["LiteRT with XNNPACK", "LiteRT with XNNPACK", "LiteRT"]
    assert runtime_words("onnx", "int8") == "ONNX Runtime"

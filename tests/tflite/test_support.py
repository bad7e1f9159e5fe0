"""What a runtime makes of a file's operators, and when a file needs the most memory."""

from __future__ import annotations

import importlib.util
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from edgecut.render.memory_plot import Bar, arena_picture, memory_svg
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph, read
from edgecut.tflite.layers import layer_in
from edgecut.tflite.peak import live_tensors, memory_by_operator, peak
from edgecut.tflite.support import unsupported, verdicts
from tests.command_line import run

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
FACTS = ROOT / "tools" / "facts"


def graph_of(name: str, dtype: str = "int8", output: str = "model/pool_1/Op", result: str = "") -> TfliteGraph:
    tensors = (Tensor(0, "in", (1, 4, 4, 8), dtype), Tensor(1, output, (1, 8), result or dtype))
    return TfliteGraph(tensors, (Operator(0, name, 2, (0,), (1,)),), (0,), (1,))


def states(graph: TfliteGraph, *runtime: str) -> list[str]:
    return [verdict.state for verdict in verdicts(graph, *runtime)]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("model/activation_1/Relu;model/batch_normalization_1/FusedBatchNormV3", "activation_1"),
        ("tiny_1/stem_1/Relu;tiny_1/stem_1/convolution", "stem"),
        ("outer/inner/conv/Relu", "inner.conv"),
        ("model/dense/BiasAdd/ReadVariableOp", "dense"),
        ("StatefulPartitionedCall_1:0", ""),
        ("StatefulPartitionedCall/dense/MatMul", ""),
        ("Identity", ""),
        ("input_1", ""),
    ],
)
def test_a_tensor_name_tells_the_layer_that_made_it(name: str, layer: str) -> None:
    assert layer_in(name) == layer


def test_a_sum_is_refused_for_tflm_with_the_layer_and_the_remedy() -> None:
    (verdict,) = unsupported(verdicts(graph_of("SUM", output="net/total/Sum"), "tflm", "cmsis-nn"))
    assert verdict.sentence() == (
        "layer 'total': SUM (int8) is in TFLM's sources since 90b983c at the latest and missing from libraries that "
        "boards ship (\"Didn't find op SUM\"); the profile's runtime.version doesn't say '90b983c'; use a mean instead "
        "(GlobalAveragePooling2D), its size multiplied into the next layer's weights"
    )


def test_a_sum_is_taken_by_a_tflm_that_is_new_enough() -> None:
    assert states(graph_of("SUM"), "tflm", "", "90b983c") == ["supported"]


@pytest.mark.parametrize(
    ("runtime", "reason"),
    [
        ("tflm", "is computed in every run, and many libraries that boards ship don't register it"),
        ("litert", "is computed in every run, and XNNPACK takes no RESHAPE whose shape is computed"),
    ],
)
def test_a_batch_that_is_not_fixed_is_noticed_by_its_shape_operator(runtime: str, reason: str) -> None:
    (verdict,) = verdicts(graph_of("SHAPE", output="model/flatten/Shape", result="int32"), runtime)
    assert (verdict.state, verdict.sentence()) == (
        "slow",
        f"layer 'flatten': SHAPE (int8) {reason}; export with the batch fixed at 1: a dynamic batch is what leaves "
        "SHAPE, STRIDED_SLICE and PACK",
    )


def test_float_data_with_int8_weights_is_unsupported_by_tflm_and_taken_by_litert() -> None:
    """The interpreter itself refuses this file (tests/bench/test_measure.py)."""
    graph = read(FIXTURES / "tiny.dynamic.tflite")
    found = {v.operator: v for v in verdicts(graph, "tflm", "cmsis-nn")}
    weighted = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    assert {found[name].state for name in weighted if found[name].dtype == "dynamic"} == {"unsupported"}
    assert found["CONV_2D"].sentence() == (
        "layer 'pointwise': CONV_2D (dynamic) has float data and int8 weights, which TensorFlow Lite Micro doesn't mix"
    )
    assert found["SOFTMAX"].state != "unsupported"
    assert unsupported(verdicts(graph, "litert", "xnnpack")) == ()


def test_an_operator_that_tflm_never_had_is_unsupported() -> None:
    (verdict,) = verdicts(graph_of("GELU"), "tflm", "cmsis-nn")
    assert (verdict.state, verdict.reason) == ("unsupported", "is not registered in TensorFlow Lite Micro")


def test_a_dtype_without_kernel_is_unsupported() -> None:
    (verdict,) = verdicts(graph_of("HARD_SWISH", "int16"), "tflm")
    assert verdict.state == "unsupported"
    assert verdict.reason == "has no int16 kernel in TensorFlow Lite Micro, which takes float32, int8"


def test_the_pooling_operator_belongs_to_the_runtime() -> None:
    """MEAN has no CMSIS-NN kernel and AVERAGE_POOL_2D has; XNNPACK takes int8 MEAN and no int8 AVERAGE_POOL_2D."""
    mean, average = graph_of("MEAN"), graph_of("AVERAGE_POOL_2D")
    assert states(mean, "tflm", "cmsis-nn") + states(average, "tflm", "cmsis-nn") == ["slow", "supported"]
    assert states(mean, "litert") + states(average, "litert") == ["supported", "slow"]


def test_int16_is_never_on_the_fast_path_of_litert() -> None:
    assert states(graph_of("CONV_2D", "int16"), "litert") == ["slow"]


def test_an_npu_leaves_float_to_the_processor() -> None:
    assert states(graph_of("MEAN", "float32"), "tflm", "ethos-u") == ["slow"]
    assert states(graph_of("MEAN"), "tflm", "ethos-u") == ["supported"]


def test_a_runtime_whose_kernels_are_unknown_gets_no_verdict() -> None:
    assert verdicts(graph_of("MEAN"), "vendor") == ()
    assert verdicts(graph_of("MEAN"), "vendor", "X-CUBE-AI") == ()


def test_what_the_mvp_has_no_kernel_for_runs_on_the_processor() -> None:
    assert states(graph_of("CONV_2D"), "tflm", "mvp") + states(graph_of("RESHAPE"), "tflm", "mvp") == ["supported"] * 2
    (verdict,) = verdicts(graph_of("SOFTMAX"), "tflm", "mvp")
    assert (verdict.state, verdict.reason) == ("slow", "in int8 has no kernel on the MVP and runs on the processor")
    assert states(graph_of("CONV_2D", "int16"), "tflm", "mvp") == ["slow"]


def test_tinyengine_ends_on_what_its_converter_does_not_take() -> None:
    assert states(graph_of("MEAN"), "vendor", "TinyEngine") == ["supported"]
    (softmax,) = verdicts(graph_of("SOFTMAX"), "vendor", "TinyEngine")
    assert (softmax.state, softmax.reason) == ("unsupported", "isn't taken by TinyEngine's converter")
    (wide,) = verdicts(graph_of("CONV_2D", "int16"), "vendor", "TinyEngine")
    assert (wide.state, wide.reason) == ("unsupported", "has int16 data, and TinyEngine's kernels are for int8")


def test_the_tables_are_those_of_the_facts() -> None:
    spec = importlib.util.spec_from_file_location("make_support", ROOT / "tools" / "make_support.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    sys.modules["make_support"] = maker
    spec.loader.exec_module(maker)
    assert maker.module(FACTS) == (ROOT / "edgecut" / "tflite" / "support_tables.py").read_text()


def test_the_peak_names_the_operator_and_the_tensors_largest_first() -> None:
    moment = peak(read(FIXTURES / "tiny.int8.tflite"))
    assert moment is not None
    assert (moment.operator, moment.name, moment.live_bytes) == (2, "CONV_2D", 5472)
    assert [(t.layer, t.size_bytes) for t in moment.tensors] == [("pointwise", 5184), ("depthwise", 288)]


def test_the_peak_is_the_largest_of_the_operators() -> None:
    graph = read(FIXTURES / "tiny.float32.tflite")
    moment = peak(graph)
    assert moment is not None
    assert moment.live_bytes == max(memory_by_operator(graph))
    assert sum(t.size_bytes for t in moment.tensors) <= moment.live_bytes <= moment.planned_bytes


def test_tensors_that_live_together_never_share_memory() -> None:
    tensors = live_tensors(read(FIXTURES / "tiny.int8.tflite"))
    for a in tensors:
        for b in tensors:
            if a.index < b.index and a.first <= b.last and b.first <= a.last:
                assert a.offset + a.size_bytes <= b.offset or b.offset + b.size_bytes <= a.offset


def test_a_graph_without_operators_has_no_peak() -> None:
    assert peak(TfliteGraph((Tensor(0, "x", (1, 4), "int8"),), (), (0,), (0,))) is None


def test_the_picture_has_a_bar_for_each_tensor_and_marks_the_peak() -> None:
    bars = [Bar("a<b", -1, 0, 0, 16), Bar("c", 0, 1, 16, 32), Bar("d", 1, 2, 0, 16)]
    svg = ET.fromstring(memory_svg(arena_picture("x & y.tflite", bars, ["CONV_2D", "MEAN"], 0, 48)))
    found = [e for e in svg.iter() if e.tag.endswith("rect")]
    assert [e.get("class") for e in found] == ["peak", "peak", "bar"]
    assert found[0][0].text == "a<b: 16 B, operators 0 to 0"


def test_inspect_says_the_peak_and_the_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "memory.svg"
    path = str(FIXTURES / "tiny.int8.tflite")
    result = run(capsys, "inspect", path, "--profile", "raspberry-pi-4", "--picture", str(picture))
    assert result.code == 0
    assert "memory: the most is alive at operator 2, CONV_2D: 5.34 KiB of an arena head of 5.34 KiB" in result.out
    assert "raspberry-pi-4: slow: layer 'pool': AVERAGE_POOL_2D (int8) isn't taken by XNNPACK in int8" in result.out
    assert picture.read_text().startswith("<svg")

"""Latency from a profile's facts: the sum, the band, the lower bound, and every reason for having none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgecut.bench.predict import predict_latency
from edgecut.export.readback import tflite_precision
from edgecut.records.document import parse
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph

CONV_MACS, DEPTHWISE_MACS, DENSE_MACS = 4 * 4 * 8 * 27, 4 * 4 * 8 * 9, 8 * 10


def graph(dtype: str = "int8", weights: str | None = None, *extra: str) -> TfliteGraph:
    """Convolution 3x3x3 -> 8 on 4x4, depthwise 3x3, dense 8 -> 10, and named operators behind."""
    w = weights or dtype
    tensors = (
        Tensor(0, "in", (1, 4, 4, 3), dtype), Tensor(1, "cw", (8, 3, 3, 3), w),
        Tensor(2, "c", (1, 4, 4, 8), dtype), Tensor(3, "dw", (1, 3, 3, 8), w),
        Tensor(4, "d", (1, 4, 4, 8), dtype), Tensor(5, "fw", (10, 8), w),
        Tensor(6, "f", (1, 10), dtype), Tensor(7, "half", (10, 8), "float16"),
    )  # fmt: skip
    rows = [("CONV_2D", (0, 1), 2), ("DEPTHWISE_CONV_2D", (2, 3), 4), ("FULLY_CONNECTED", (4, 5), 6)]
    rows += [(name, (6,), 6) for name in extra]
    operators = tuple(Operator(k, name, 1, ins, (out,)) for k, (name, ins, out) in enumerate(rows))
    return TfliteGraph(tensors, operators, (0,), (6,))


def profile(latency: dict[str, Any] | None, **changes: Any) -> Profile:
    tables: dict[str, Any] = {
        "id": "board", "title": "Board", "class": "microcontroller", "cpu": {"clock_hz": 1_000_000},
        "runtime": {"name": "tflm", "precisions": ["int8", "float32"]},
    }  # fmt: skip
    if latency is not None:
        tables["latency"] = {"error_p50": 0.1, "error_p90": 0.3, "kind": "published", **latency}
    return parse(Profile, {**tables, **changes}, "board.toml")


CYCLES = {"conv": 2.0, "depthwise": 10.0, "dense": 3.0}


def test_cycles_per_mac_by_class_over_the_clock() -> None:
    estimate = predict_latency(graph(), profile(CYCLES), "model.int8")
    assert estimate.value == pytest.approx((2 * CONV_MACS + 10 * DEPTHWISE_MACS + 3 * DENSE_MACS) / 1e6)
    assert (estimate.kind, estimate.where, estimate.profile, estimate.unit) == ("estimated", "board", "board", "s")
    assert (estimate.artifact, estimate.error) == ("model.int8", 0.3)
    assert estimate.conditions == {"precision": "int8", "error_p50": 0.1}


def test_one_rate_for_the_whole_model() -> None:
    estimate = predict_latency(graph("float32"), profile({"float32_macs_per_s": 1e6, "int8_macs_per_s": 4e6}), "m")
    assert estimate.value == pytest.approx((CONV_MACS + DEPTHWISE_MACS + DENSE_MACS) / 1e6)
    assert estimate.method == "MACs / MACs per second of float32"


def test_the_method_names_what_the_facts_rest_on() -> None:
    estimate = predict_latency(graph(), profile({**CYCLES, "basis": "TFLM, MLPerf Tiny v1.2"}), "m")
    assert estimate.method == "cycles per MAC by operator class / clock (TFLM, MLPerf Tiny v1.2)"


def test_simulated_facts_give_a_simulated_latency() -> None:
    assert predict_latency(graph(), profile({**CYCLES, "kind": "simulated"}), "m").kind == "simulated"


def test_an_operator_that_is_not_modelled_makes_a_lower_bound() -> None:
    estimate = predict_latency(graph("int8", None, "WHILE", "SOFTMAX"), profile(CYCLES), "m")
    assert estimate.value == predict_latency(graph(), profile(CYCLES), "m").value
    assert (estimate.conditions["at_least"], estimate.conditions["not_modelled"]) == (True, ["WHILE"])


@pytest.mark.parametrize(
    ("dtype", "device", "reason"),
    [
        ("int8", profile(None), "profile 'board' has no latency facts"),
        ("int8", profile(CYCLES, cpu={}), "profile 'board' has cycles per MAC and no cpu.clock_hz"),
        (
            "int8",
            profile({"conv": 2.0, "dense": 1.0}),
            f"profile 'board' has no latency.depthwise, and the file has {DEPTHWISE_MACS} such MACs",
        ),
        ("int16", profile(CYCLES), "the file computes in int16x8, and profile 'board' runs int8, float32"),
        (
            "float32",
            profile(CYCLES),
            "profile 'board' has cycles per MAC of int8 files, and this one is float32",
        ),
        ("float32", profile({"int8_macs_per_s": 1e6}), "profile 'board' has no latency facts for float32"),
    ],
)
def test_what_can_not_be_predicted_says_why(dtype: str, device: Profile, reason: str) -> None:
    estimate = predict_latency(graph(dtype), device, "m")
    assert (estimate.value, estimate.reason, estimate.kind) == (None, reason, "unknown")


@pytest.mark.parametrize(
    ("scales", "taken"), [((0.5,), "per-tensor"), ((0.5,) * 8, "per-channel"), ((), "per-channel")]
)
def test_facts_of_one_scheme_say_nothing_of_the_other(scales: tuple[float, ...], taken: str) -> None:
    """Files that aren't written yet, which have no scales, are taken to be as edgecut writes them."""
    plain = graph()
    tensors = tuple(replace(t, scales=scales, is_constant=True) if t.name in {"cw", "dw"} else t for t in plain.tensors)
    given = replace(plain, tensors=tensors)
    other = {"per-tensor": "per-channel", "per-channel": "per-tensor"}[taken]
    runtime = {"name": "vendor", "precisions": ["int8"]}
    assert predict_latency(given, profile(CYCLES, runtime={**runtime, "weights": taken}), "m").value is not None
    refused = predict_latency(given, profile(CYCLES, runtime={**runtime, "weights": other}), "m")
    assert (refused.value, refused.reason) == (
        None,
        f"profile 'board' is of files with weights quantized {other}, and this one's are {taken}",
    )


def test_a_file_without_anything_to_count_has_no_estimate_rather_than_zero() -> None:
    source = graph()
    empty = TfliteGraph(source.tensors, (Operator(0, "SOFTMAX", 1, (6,), (6,)),), (0,), (6,))
    estimate = predict_latency(empty, profile(CYCLES), "m")
    assert (estimate.value, estimate.reason) == (
        None,
        "the file has no operator with multiply-accumulates that could be counted",
    )


@pytest.mark.parametrize(
    ("dtype", "weights", "precision"),
    [("int8", None, "int8"), ("int16", "int8", "int16x8"), ("float32", "int8", "dynamic"),
     ("float32", None, "float32")],
)  # fmt: skip
def test_the_precision_is_that_of_the_arithmetic(dtype: str, weights: str | None, precision: str) -> None:
    assert tflite_precision(graph(dtype, weights)) == precision


def test_half_precision_weights_behind_dequantize_are_float16() -> None:
    source = graph("float32")
    dequantize = tuple(Operator(9 + k, "DEQUANTIZE", 1, (7,), (k,)) for k in (1, 3, 5))
    halves = TfliteGraph(source.tensors, (*dequantize, *source.operators), (0,), (6,))
    assert tflite_precision(halves) == "float16"


def test_the_shipped_board_predicts_its_own_benchmark_within_its_band(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ResNet-8 on NUCLEO-L4R5ZI: 389.56 ms published (MLPerf Tiny v1.1, Krai)."""
    image, result = (Tensor(k, "x", (1, 32, 32, 1), "int8") for k in (0, 2))
    kernel = Tensor(1, "w", (1, 1, 1, 12_500_992 // 1024), "int8")
    conv = Operator(0, "CONV_2D", 1, (0, 1), (2,))
    resnet = TfliteGraph((image, kernel, result), (conv,), (0,), (2,))
    estimate = predict_latency(resnet, find_profile("nucleo-l4r5zi"), "ic")
    assert estimate.value is not None
    assert estimate.error is not None
    assert abs(0.38956 / estimate.value - 1) < estimate.error

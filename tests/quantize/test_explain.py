from __future__ import annotations

import numpy as np
import pytest

from edgecut.errors import RequestError
from edgecut.quantize.causes import whole_causes
from edgecut.quantize.explain import Reference, explain
from edgecut.quantize.names import LayerOutput
from edgecut.quantize.numbers import Numbers, numbers_of, render
from edgecut.quantize.pairs import pair
from edgecut.records.explanation import Explanation, LayerError
from edgecut.tflite.flatbuffer import parse
from tests.quantized import FIXTURES, FLOAT, INT8, images, reference, scaled_float

TWINS = pair(INT8, FLOAT)
STEM, DEPTHWISE, POINTWISE = (TWINS.graph.operators[k].outputs[0] for k in range(3))


def explained(content: bytes = INT8, pixels: np.ndarray | None = None) -> Explanation:
    fed = images() if pixels is None else pixels
    return explain(content, "tiny.int8.tflite", fed, reference(fed))


def layer(found: Explanation, name: str) -> LayerError:
    return next(row for row in found.layers if row.name == name)


def with_ranges(scale: float) -> bytes:
    """The file with the ranges of its first three layers scaled; pool shares the scale of pointwise."""
    numbers = numbers_of(TWINS)
    pool = TWINS.graph.operators[3].outputs[0]
    ranges = {i: (0.0, 255 * TWINS.graph.tensors[i].scales[0] * scale) for i in (STEM, DEPTHWISE, POINTWISE, pool)}
    return render(TWINS, Numbers(numbers.weights, numbers.biases, ranges))


def with_bias(shift: float) -> bytes:
    numbers = numbers_of(TWINS)
    return render(TWINS, Numbers(numbers.weights, {**numbers.biases, 1: numbers.biases[1] + shift}))


def test_every_layer_is_named_as_in_the_source_in_execution_order() -> None:
    assert [row.name for row in explained().layers] == ["stem", "depthwise", "pointwise", "pool"]


def test_a_sound_file_collapses_nowhere_and_is_suspected_of_nothing() -> None:
    explanation = explained()
    assert (explanation.collapses_at, explanation.shift_starts_at, explanation.suspicions, explanation.in_float) == (
        None,
        None,
        (),
        (),
    )
    assert all(row.sqnr > 25 for row in explanation.layers)


def test_a_layers_figures_are_those_of_an_independent_loop() -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    pixels = images()
    reference_values = reference(pixels).values["depthwise"].astype(np.float64)
    interpreter = Interpreter(
        model_content=INT8, experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )  # fmt: skip
    interpreter.allocate_tensors()
    scale, zero = interpreter.get_input_details()[0]["quantization"]
    tensor = TWINS.graph.tensors[DEPTHWISE]
    got = []
    for image in pixels:
        codes = np.clip(np.floor(image / np.float32(scale) + 0.5) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], codes[None])
        interpreter.invoke()
        got.append((interpreter.get_tensor(DEPTHWISE)[0].astype(float) - tensor.zero_points[0]) * tensor.scales[0])
    errors = np.stack(got) - reference_values
    row = layer(explained(), "depthwise")
    assert row.sqnr == pytest.approx(10 * np.log10((reference_values**2).sum() / (errors**2).sum()), abs=1e-3)
    variance = reference_values.var(axis=(0, 1, 2)).sum()
    assert row.mean_shift == pytest.approx(np.sqrt((errors.mean(axis=(0, 1, 2)) ** 2).sum() / variance), rel=1e-3)
    assert row.used == pytest.approx((reference_values.min(), reference_values.max()))


def test_a_shifted_bias_is_a_biased_mean_that_starts_there() -> None:
    explanation = explained(with_bias(0.05))
    row = layer(explanation, "depthwise")
    assert (explanation.shift_starts_at, row.cause) == ("depthwise", "biased mean")
    assert row.shift_share > 0.6
    assert row.added == max(r.added or 0 for r in explanation.layers)
    assert explanation.suspicions[0].cause == "biased mean"
    assert explanation.suspicions[0].sentence.startswith("a mean shift starts at 'depthwise': ")


def test_ranges_that_the_images_exceed_are_uncalibrated() -> None:
    explanation = explained(with_ranges(0.3))
    assert [suspicion.cause for suspicion in explanation.suspicions] == ["uncalibrated"]
    assert explanation.suspicions[0].figure == pytest.approx(3 / 4)
    assert layer(explanation, "stem").saturation > 0.02
    assert "calibrate on images of the device's kind" in explanation.suspicions[0].sentence


def test_a_range_far_beyond_the_values_is_a_range_outlier() -> None:
    explanation = explained(with_ranges(20.0))
    row = layer(explanation, "depthwise")
    assert row.cause == "range outlier"
    assert row.use is not None
    assert row.use < 0.06
    assert row.reason.startswith("the range reaches to 7, and 99.9 % of the values are within 0.")


def test_channels_with_few_steps_are_unequal_channels() -> None:
    numbers = numbers_of(TWINS)
    factors = np.array([1.0, 1, 1, 1] + [0.02] * 4)
    weights = numbers.weights[1] * factors
    low = Numbers({**numbers.weights, 1: weights}, {**numbers.biases, 1: numbers.biases[1] * factors})
    explanation = explain(render(TWINS, low), "tiny", images(), reference(images(), scaled_float(1, factors)))
    row = layer(explanation, "depthwise")
    assert row.narrow == 0.5
    assert row.reason in {"", "50% of the channels get less than 16 of the 256 steps of 0 to 0.35"}


def test_operators_in_float_are_counted_and_named() -> None:
    content = (FIXTURES / "tiny.dynamic.tflite").read_bytes()
    explanation = explain(content, "tiny.dynamic.tflite", images(), reference(images()))
    assert explanation.in_float == (
        "stem (CONV_2D)", "depthwise (DEPTHWISE_CONV_2D)", "pointwise (CONV_2D)", "pool (AVERAGE_POOL_2D)",
        "tiny_1/scores_1/MatMul2 (FULLY_CONNECTED)", "StatefulPartitionedCall_1:0 (SOFTMAX)",
    )  # fmt: skip
    assert explanation.suspicions[-1].cause == "operator left in float"
    assert explanation.suspicions[-1].figure == 6


def test_int16_activations_are_explained_too() -> None:
    content = (FIXTURES / "tiny.int16x8.tflite").read_bytes()
    explanation = explain(content, "tiny.int16x8.tflite", images(), reference(images()))
    assert layer(explanation, "pointwise").sqnr > layer(explained(), "pointwise").sqnr


def test_the_shares_of_added_error_sum_to_one() -> None:
    assert sum(row.added or 0 for row in explained().layers) == pytest.approx(1)


def test_a_file_without_quantization_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        explain(FLOAT, "tiny.float32.tflite", images(), reference(images()))
    assert str(caught.value) == "tiny.float32.tflite: nothing in it is quantized, so there is nothing to explain"


def test_a_source_that_has_nothing_in_common_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        explain(INT8, "tiny.int8.tflite", images(), Reference(FLOAT, images(), (), {}))
    assert str(caught.value) == (
        "tiny.int8.tflite: no layer of the source model is found in it; give the model that it was made of"
    )


def test_the_fixture_is_what_these_tests_take_it_for() -> None:
    assert [op.name for op in parse(INT8, "x").operators][:3] == ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"]


def test_channels_that_equalization_scaled_a_little_are_no_shift() -> None:
    """A file whose pointwise layer is the source's times 1 to 2 by channel, as equalization leaves it."""
    factors = np.linspace(1.0, 2.0, reference(images()).values["pointwise"].shape[-1])
    explanation = explain(INT8, "m", images(), reference(images(), scaled_float(2, 1 / factors)))
    row = layer(explanation, "pointwise")
    assert row.sqnr_varying > 25
    assert row.mean_shift < 0.05
    assert explanation.shift_starts_at is None


def row(name: str, **figures: object) -> LayerError:
    return LayerError.model_validate(
        {"name": name, "operator": "CONV_2D", "dtype": "int8", "sqnr": 10.0, "sqnr_varying": 10.0, "mean_shift": 0.0,
         "shift_share": 0.0, "range": (0.0, 9.0), "used": (0.0, 9.0), **figures}
    )  # fmt: skip


def causes(*rows: LayerError) -> list[str]:
    return [found.cause for found in whole_causes(TWINS.graph, rows, (), images())]


def test_one_layer_that_is_exceeded_does_not_hide_a_mean_shift() -> None:
    shifted = row("a", mean_shift=0.1, shift_share=0.6)
    assert causes(shifted, *(row(x) for x in "bcdefgh"), row("head", clipping=4.0)) == ["biased mean"]


def test_ranges_that_an_activation_bounds_do_not_count_as_kept() -> None:
    bounded = [row(f"relu6_{k}", range=(0.0, 6.0)) for k in range(20)]
    exceeded = [row("a", clipping=50.0, saturation=0.001), row("b", clipping=5.0)]
    assert causes(*bounded, *exceeded) == ["uncalibrated"]
    assert causes(*(row(x) for x in "cdefghijkl"), *exceeded) == []


def test_a_tensor_inside_a_layer_is_compared_with_no_layers_output() -> None:
    """The source calls depthwise and pointwise one layer: the first has its own width, and no value of a layer."""
    fed = images()
    whole = reference(fed)
    layers = [LayerOutput("depthwise", (None, 6, 6, 8)), LayerOutput("pool", (None, 1, 1, 144))]
    random = np.random.default_rng(0).normal(size=whole.values["depthwise"].shape).astype(np.float32)
    explanation = explain(
        INT8, "m", fed, Reference(FLOAT, fed, layers, {"depthwise": random, "pool": whole.values["pool"]})
    )
    assert [row.name for row in explanation.layers] == ["pool"]
    assert len(explanation.unmatched) == 5


def test_operators_of_other_weights_are_compared_with_nothing() -> None:
    """A head fitted anew has the width of the source's, and computes something else."""
    other = np.random.default_rng(1).normal(size=144)
    explanation = explain(INT8, "m", images(), reference(images(), scaled_float(2, other)))
    assert [row.name for row in explanation.layers] == ["stem", "depthwise"]

"""What a cut is foreseen to become: the converter's own operators, multiply-accumulates and memory."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut.bench.at_cut import cut_costs
from edgecut.export.artifacts import export
from edgecut.graph.calls import calls
from edgecut.graph.edits import edit
from edgecut.graph.lowering import lowering
from edgecut.records.profile import find_profile
from edgecut.tflite.arena import cortex_m_arena_bytes, planned_bytes
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.ops import macs_by_class, operator_counts
from tests.graph.models import settle

L = keras.layers


def many_kinds() -> keras.Model:
    """Paddings that go and stay, activations fused and not, a gate, a residual, branches, a head."""
    image = keras.Input((24, 24, 3), name="image")
    x = L.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    x = L.Conv2D(8, 3, strides=2, use_bias=False, name="conv")(L.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(x))
    x = wide = L.ReLU(6.0, name="relu")(L.BatchNormalization(name="bn")(x))
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = L.Activation("silu", name="silu")(L.BatchNormalization(name="depthwise_bn")(x))
    gate = L.Conv2D(4, 1, activation="relu", name="squeeze")(L.GlobalAveragePooling2D(keepdims=True, name="mean")(x))
    gate = L.ReLU(6.0, name="gate")(L.Conv2D(8, 1, name="excite")(gate) + 3.0) * (1.0 / 6.0)
    x = L.Conv2D(8, 1, use_bias=False, name="project")(L.Multiply(name="gated")([x, gate]))
    x = L.Add(name="sum")([L.BatchNormalization(name="project_bn")(x), wide])
    pooled = L.MaxPooling2D(3, strides=2, name="max")(L.ZeroPadding2D(1, name="around")(x))
    sides = [pooled, L.SeparableConv2D(6, 3, strides=2, padding="same", activation="relu", name="separable")(x)]
    x = L.Activation("relu", name="late")(L.BatchNormalization(name="late_bn")(L.Concatenate(name="joined")(sides)))
    x = L.Dense(5, activation="softmax", name="scores")(L.GlobalAveragePooling2D(name="pool")(x))
    return settle(keras.Model(image, x, name="many_kinds"))


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("to", ["scores", "gated", "bn"])
def test_a_cut_is_foreseen_as_the_converter_writes_it(to: str, precision: str, tmp_path: Path) -> None:
    model = many_kinds()
    images = np.random.default_rng(0).uniform(0, 255, (4, 24, 24, 3)).astype("float32")
    path = tmp_path / "cut.tflite"
    export(edit(model, to=to, prove=False).model, "tflite", precision, calibration=images, path=path)
    written, graph = read(path), calls(model)
    foreseen = lowering(graph, precision)(graph.find(to).outputs[0])
    assert operator_counts(foreseen) == operator_counts(written)
    assert macs_by_class(foreseen) == macs_by_class(written)
    assert planned_bytes(foreseen) == planned_bytes(written)
    assert cortex_m_arena_bytes(foreseen) == cortex_m_arena_bytes(written)


def test_each_tensor_has_an_estimate_with_its_band_or_a_reason() -> None:
    graph = calls(many_kinds())
    costs = {cost.name: cost for cost in cut_costs(graph, find_profile("nucleo-l4r5zi"))}
    assert set(costs) == set(graph.tensor_name.values())
    assert costs["image"].latency.reason == "the file has no operator with multiply-accumulates that could be counted"
    last = costs["scores"]
    assert (last.latency.kind, last.arena.kind, last.arena.unit) == ("estimated", "estimated", "bytes")
    assert (last.arena.error or 0) > 0.10
    assert (last.latency.value or 0) > (costs["conv"].latency.value or 0) > 0


def test_an_open_size_leaves_both_open() -> None:
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, L.GlobalAveragePooling2D(name="pool")(L.Conv2D(4, 3, name="conv")(image)))
    costs = list(cut_costs(calls(model), find_profile("nucleo-l4r5zi")))
    assert {cost.arena.reason for cost in costs} == {"a size of the model is open"}
    assert {cost.latency.value for cost in costs} == {None}

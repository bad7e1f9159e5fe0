"""What a cut is foreseen to become: the converter's own operators, multiply-accumulates and memory."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut.bench.at_cut import FORESEEN_ERROR, cut_costs
from edgecut.export.artifacts import export
from edgecut.graph.calls import calls
from edgecut.graph.cuts import cut_points
from edgecut.graph.edits import edit
from edgecut.graph.live import dataflow, layer_calls
from edgecut.lowering.lower import lowering
from edgecut.records.profile_files import find_profile
from edgecut.tflite.arena import cortex_m_arena_bytes, planned_bytes
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.ops import macs, macs_by_class, not_modelled, operator_counts
from tests.graph.models import settle

pytestmark = pytest.mark.tensorflow

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
    foreseen = lowering(layer_calls(graph), precision)(graph.find(to).outputs[0])
    assert operator_counts(foreseen) == operator_counts(written)
    assert macs_by_class(foreseen) == macs_by_class(written)
    assert planned_bytes(foreseen) == planned_bytes(written)
    # The constants of small operators, each a record of the planner, are counted nearly.
    assert cortex_m_arena_bytes(foreseen) == pytest.approx(cortex_m_arena_bytes(written), rel=FORESEEN_ERROR)


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("trained", [True, False])
def test_a_relu_is_fused_into_a_transposed_convolution_that_has_a_bias(
    precision: str, trained: bool, tmp_path: Path
) -> None:
    image = keras.Input((8, 8, 4), name="image")
    x = L.Conv2DTranspose(4, 3, 2, "same", activation="relu", name="own")(image)
    x = L.ReLU(6.0, name="behind")(L.Conv2DTranspose(4, 3, 2, "same", use_bias=False, name="plain")(x))
    x = L.BatchNormalization(name="norm")(L.Conv2DTranspose(4, 3, 2, "same", use_bias=False, name="folded")(x))
    model = keras.Model(image, L.ReLU(name="fused")(x), name="upwards")
    if trained:
        settle(model)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 4)).astype("float32")
    path = tmp_path / "model.tflite"
    export(model, "tflite", precision, calibration=images, path=path)
    written, graph = read(path), calls(model)
    foreseen = lowering(layer_calls(graph), precision)(graph.find("fused").outputs[0])
    assert [operator.name for operator in foreseen.operators] == [operator.name for operator in written.operators]
    assert operator_counts(written)["TRANSPOSE_CONV"] == 3
    assert planned_bytes(foreseen) == planned_bytes(written)


def transformer() -> keras.Model:
    """Blocks of ConvNeXt, ViT with and without dropout, and MLP-Mixer, and attention written out."""
    image = keras.Input((16, 16, 3), name="image")
    x = side = L.LayerNormalization(epsilon=1e-6, name="norm_0")(L.Conv2D(16, 4, strides=4, name="patch")(image))
    x = L.LayerNormalization(name="norm_1")(L.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
    x = L.Dense(16, name="narrow")(L.Activation("gelu", name="gelu")(L.Dense(24, name="wide")(x)))
    x = L.Reshape((16, 16), name="tokens")(L.Add(name="sum_0")([x, side]))
    for k, options in enumerate(({"num_heads": 2, "key_dim": 8}, {"num_heads": 3, "key_dim": 4, "dropout": 0.1})):
        y = L.LayerNormalization(name=f"before_{k}", center=not k)(x)
        x = L.Add(name=f"attended_{k}")([x, L.MultiHeadAttention(**options, name=f"attention_{k}")(y, y)])
        y = L.Dense(20, activation="gelu", name=f"up_{k}")(L.LayerNormalization(name=f"behind_{k}", scale=False)(x))
        x = L.Add(name=f"block_{k}")([x, L.Dropout(0.1, name=f"drop_{k}")(L.Dense(16, name=f"down_{k}")(y))])
    y = L.Permute((2, 1), name="turned")(L.LayerNormalization(name="mixed")(x))
    x = L.Add(name="mix")([x, L.Permute((2, 1), name="back")(L.Dense(16, name="over_places")(y))])
    query, key, value = (L.Dense(8, name=name)(x) for name in ("query", "key", "value"))
    scores = L.Softmax(name="weights")(keras.ops.matmul(query, keras.ops.swapaxes(key, 1, 2)) / 3.0)
    x = L.EinsumDense("abc,cde->abde", (16, 3, 4), bias_axes="de", name="heads")(keras.ops.matmul(scores, value))
    x = L.EinsumDense("abcd,cde->abe", (16, 10), activation="relu", name="joined")(x)
    x = L.GlobalAveragePooling1D(name="pool")(x)
    model = settle(keras.Model(image, L.Dense(5, activation="softmax", name="scores")(x), name="transformer"))
    beta = model.get_layer("mixed").beta
    beta.assign(np.zeros(beta.shape))
    return model


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_normalization_and_attention_are_foreseen_as_the_converter_writes_them(precision: str, tmp_path: Path) -> None:
    model = transformer()
    images = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype("float32")
    path = tmp_path / "model.tflite"
    export(model, "tflite", precision, calibration=images, path=path)
    written, graph = read(path), calls(model)
    foreseen = lowering(layer_calls(graph), precision)(graph.find("scores").outputs[0])
    assert operator_counts(foreseen) == operator_counts(written)
    assert macs_by_class(foreseen) == macs_by_class(written)
    assert cut_points(graph)[-1].macs == macs(written)
    assert planned_bytes(foreseen) == planned_bytes(written)
    # The constants of small operators, each a record of the planner, are counted nearly.
    assert cortex_m_arena_bytes(foreseen) == pytest.approx(cortex_m_arena_bytes(written), rel=FORESEEN_ERROR)


def test_attention_under_a_mask_is_not_modelled() -> None:
    tokens = keras.Input((6, 8), name="tokens")
    model = keras.Model(tokens, L.MultiHeadAttention(2, 4, name="causal")(tokens, tokens, use_causal_mask=True))
    graph = calls(model)
    foreseen = lowering(layer_calls(graph), "float32")(graph.find("causal").outputs[0])
    assert not_modelled(foreseen) == ("MultiHeadAttention",)


def test_each_tensor_has_an_estimate_with_its_band_or_a_reason() -> None:
    graph = calls(many_kinds())
    costs = {cost.name: cost for cost in cut_costs(dataflow(graph), find_profile("nucleo-l4r5zi"))}
    assert set(costs) == set(graph.tensor_name.values())
    assert costs["image"].latency.reason == "the file has no operator with multiply-accumulates that could be counted"
    last = costs["scores"]
    assert (last.latency.kind, last.arena.kind, last.arena.unit) == ("estimated", "estimated", "bytes")
    assert (last.arena.error or 0) > 0.10
    assert (last.latency.value or 0) > (costs["conv"].latency.value or 0) > 0


def test_an_open_size_leaves_both_open() -> None:
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, L.GlobalAveragePooling2D(name="pool")(L.Conv2D(4, 3, name="conv")(image)))
    costs = list(cut_costs(dataflow(model), find_profile("nucleo-l4r5zi")))
    assert {cost.arena.reason for cost in costs} == {"a size of the model is open"}
    assert {cost.latency.value for cost in costs} == {None}


def window() -> keras.Model:
    """Layers along one axis: alone, in a row, with a normalization, padded, by channels, pooled."""
    samples = keras.Input((32, 4), name="samples")
    x = L.Conv1D(8, 5, padding="same", use_bias=False, name="conv")(samples)
    x = L.ReLU(name="relu")(L.BatchNormalization(name="bn")(x))
    x = L.Conv1D(6, 3, activation="relu", name="second")(L.MaxPooling1D(2, name="max")(x))
    x = L.Conv1D(6, 3, padding="causal", activation="relu", name="causal")(x)
    x = L.DepthwiseConv1D(3, padding="same", activation="relu", name="depthwise")(x)
    x = L.SeparableConv1D(8, 3, activation="relu", name="separable")(L.ZeroPadding1D(1, name="around")(x))
    x = L.Flatten(name="flat")(L.AveragePooling1D(2, name="average")(x))
    return settle(keras.Model(samples, L.Dense(3, name="scores")(x), name="window"))


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_layers_along_one_axis_are_foreseen_as_the_converter_writes_them(precision: str, tmp_path: Path) -> None:
    model = window()
    rows = np.random.default_rng(0).uniform(-1, 1, (4, 32, 4)).astype("float32")
    path = tmp_path / "model.tflite"
    export(model, "tflite", precision, calibration=rows, path=path)
    written, graph = read(path), calls(model)
    foreseen = lowering(layer_calls(graph), precision)(graph.find("scores").outputs[0])
    assert [operator.name for operator in foreseen.operators] == [operator.name for operator in written.operators]
    assert macs_by_class(foreseen) == macs_by_class(written)
    assert planned_bytes(foreseen) == planned_bytes(written)
    assert cortex_m_arena_bytes(foreseen) == pytest.approx(cortex_m_arena_bytes(written), rel=FORESEEN_ERROR)


def test_the_arena_of_a_layer_that_no_rule_foresees_is_unknown() -> None:
    steps = keras.Input((20, 8), name="steps")
    model = keras.Model(steps, L.Dense(3, name="scores")(L.GRU(12, name="gru")(steps)))
    costs = {cost.name: cost for cost in cut_costs(dataflow(model), find_profile("nucleo-l4r5zi"))}
    assert costs["steps"].arena.value is not None
    arena = costs["scores"].arena
    reason = "what a converter makes of GRU isn't foreseen; the written file tells"
    assert (arena.value, arena.reason) == (None, reason)

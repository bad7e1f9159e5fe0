"""The nineteen promises of the first documents, each kept: one test for each row."""

import keras
import numpy as np
import pytest

from edgecut import calls, cut, cut_points
from edgecut.errors import GraphError
from edgecut.graph.edits import edit
from edgecut.graph.saving import save
from edgecut.head.attach import attach_head
from edgecut.stem.edit import stem
from tests.graph import models
from tests.graph.seen import inputs_of, outputs, same, weights

pytestmark = pytest.mark.tensorflow

L = keras.layers
EXACT = {"inputs": 8, "max_abs_error": 0.0, "exact": True}


def sequential():
    return models.settle(
        keras.Sequential([
            keras.Input((12, 12, 3), name="image"),
            L.Conv2D(4, 3, activation="relu", name="conv1"),
            L.MaxPooling2D(2, name="pool1"),
            L.Conv2D(6, 3, activation="relu", name="conv2"),
            L.Flatten(name="flat"),
            L.Dense(10, activation="softmax", name="classes"),
        ])
    )  # fmt: skip


def test_01_the_input_layer_of_a_sequential_is_removed_by_starting_behind_a_named_layer():
    model = sequential()
    result = edit(model, start="conv1")
    assert result.model.input_shape == (None, 10, 10, 4)
    assert result.proof == EXACT
    assert [layer.name for layer in result.model.layers] == ["conv1_in", "pool1", "conv2", "flat", "classes"]


def test_02_a_functional_model_starts_at_any_legal_tensor_and_says_what_bypasses_the_others():
    model = models.residual()
    assert edit(model, start="block0_relu").proof == EXACT
    with pytest.raises(GraphError, match=r"^from 'block0_bn': the rest also needs 'stem'; .* or start at 'stem' or "):
        cut(model, start="block0_bn")
    assert edit(models.shared(), start="dense@0", multi=True).proof == EXACT  # the entry's layer is called again
    assert edit(models.nested(), start="backbone.block.c1").proof == EXACT  # a layer in a nested model


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv1, self.pool, self.flatten, self.dense = L.Conv2D(4, 3), L.MaxPooling2D(), L.Flatten(), L.Dense(5)

    def call(self, inputs):
        return self.dense(self.flatten(self.pool(self.conv1(inputs))))


def test_03_a_subclassed_model_loses_the_weights_in_front_of_its_new_start():
    model = Subclassed()
    model(np.zeros((1, 8, 8, 3), "float32"))
    result = edit(models.settle(model), start="conv1")
    assert result.proof == EXACT
    assert result.model.count_params() == model.dense.count_params()
    assert result.weights_dropped == model.conv1.count_params()


def test_04_the_new_input_is_declared_and_a_wrong_shape_is_refused_at_once():
    result = edit(sequential(), start="pool1")
    assert result.after["inputs"] == {"pool1_in": [None, 5, 5, 4]}
    with pytest.raises(ValueError, match="expected shape=\\(None, 5, 5, 4\\)"):
        result.model(np.zeros((1, 10, 10, 4), "float32"))


@pytest.mark.parametrize("position", [2, 3, -3])
def test_05_the_first_layers_are_removed_by_position_and_the_result_is_independent(position):
    model = sequential()
    held = weights(model)
    tail = cut(model, start=position)
    tail.trainable = False
    for weight in tail.weights:
        weight.assign(weight * 0)
    assert same(held, weights(model))
    assert all(layer.trainable for layer in model.layers)
    assert edit(model, start=position).proof == EXACT


def test_06_mobilenet_v2_starts_at_a_layer_inside_its_blocks():
    model = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, weights=None, classes=4)
    assert edit(model, start="block_2_add").proof == EXACT
    with pytest.raises(GraphError) as caught:
        cut(model, start="block_1_conv")
    assert str(caught.value).startswith("no layer 'block_1_conv' (closest: 'block_1_")


def test_07_every_cut_carries_its_proof():
    for name in calls(sequential()).names[1:]:
        assert edit(sequential(), to=name).proof == EXACT


def test_08_a_chain_in_the_middle_is_replaced_and_an_adapter_offered_where_the_width_differs():
    model = sequential()
    with pytest.raises(GraphError, match=r"has a kernel of shape .* add projection: 'conv2' is 6 wide .* place 9"):
        cut(model, replace=[("pool1", "conv2", "conv:9,3,2/depthwise:3")])
    x = keras.Input((10, 10, 4))
    body = models.settle(keras.Model(x, L.Conv2D(6, 3, name="new_b")(L.MaxPooling2D(2, name="new_a")(x)), name="body"))
    assert edit(model, replace=[("pool1", "conv2", body)]).proof == EXACT


def test_09_a_range_is_replaced_by_a_branch_and_a_merge():
    model = models.residual()
    result = edit(model, replace=[("block0_conv", "block0_add", "branch:conv:3,3/relu+conv:3,1/relu")])
    assert result.proof == EXACT
    assert "Concatenate" in [type(layer).__name__ for layer in result.model.layers]
    assert result.model.get_layer("block0_relu") is not None  # not one layer too many


def test_10_the_output_shape_and_the_values_of_the_result_are_checked_not_the_originals():
    model = sequential()
    result = edit(model, to="conv2")
    assert result.after["outputs"] == {"conv2": [None, 3, 3, 6]}
    assert result.before["outputs"] == {"classes": [None, 10]}
    values = inputs_of(model)
    assert outputs(result.model, values)[0].shape == (3, 3, 3, 6)


def test_11_the_first_convolution_takes_other_channels_with_weights_derived_from_its_own():
    model = models.residual()
    gray = stem(model, channels=1)
    assert gray.model.input_shape == (None, 8, 8, 1)
    image = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 1)).astype("float32")
    expected = model(np.repeat(image, 3, axis=-1), training=False)
    np.testing.assert_allclose(gray.model(image, training=False), expected, atol=1e-5)


def test_12_the_first_convolution_gets_another_kernel_and_width_with_a_projection_behind():
    result = edit(models.residual(), replace=[("stem", "stem", "conv:16,5")], project=True)
    assert result.proof == EXACT
    kernels = [tuple(layer.kernel.shape) for layer in result.model.layers if isinstance(layer, L.Conv2D)]
    assert kernels[:2] == [(5, 5, 3, 16), (1, 1, 16, 6)]


def test_13_a_batch_normalization_is_inserted_behind_the_first_convolution():
    result = edit(models.residual(), insert=[("stem", L.BatchNormalization(name="stem_bn"))])
    assert result.proof == EXACT
    assert [layer.name for layer in result.model.layers][:4] == ["image", "stem", "stem_bn", "block0_conv"]


def test_14_weights_are_carried_over_as_they_are_at_the_cut_not_later():
    model = sequential()
    result = cut(model, to="conv2")
    assert np.array_equal(result.get_layer("conv1").kernel, model.get_layer("conv1").kernel)
    assert result.get_layer("conv1") is not model.get_layer("conv1")


def test_15_a_truncation_is_by_name_and_says_what_the_tensor_is():
    model = keras.applications.MobileNetV3Small(input_shape=(32, 32, 3), weights=None, classes=4, dropout_rate=0.2)
    points = cut_points(model)
    assert (points[-1].type, points[-1].shape) == ("Activation", (None, 4))
    assert points[-2].type == "Flatten"  # of the logits: no feature at all
    pooled = next(point for point in points if point.type == "GlobalAveragePooling2D" and point.legal_start)
    assert cut(model, to=pooled.name).output_shape == pooled.shape


def test_16_dropped_layers_are_spliced_out_and_what_follows_stays():
    model = models.residual()
    result = edit(model, drop=["block0_conv..block0_add"])
    assert result.proof == EXACT
    assert [layer.name for layer in result.model.layers] == [
        "image", "stem", "block0_relu", "block1_conv", "block1_bn", "block1_add", "block1_relu", "pool",
    ]  # fmt: skip
    by_position = cut(model, drop="2..4")
    assert [layer.name for layer in by_position.layers] == [layer.name for layer in result.model.layers]


def test_17_a_head_behind_a_map_is_pooled_first():
    body = cut(models.residual(), to="block0_relu")
    assert attach_head(body, 10).output_shape == (None, 10)


def test_18_what_a_choice_of_the_cut_needs_is_known_for_every_tensor():
    for point in cut_points(models.chain()):
        assert point.macs is not None
        assert point.params >= 0
        assert point.activation_bytes > 0


def test_19_what_a_cut_saves_is_counted_and_read_back_from_its_file(tmp_path):
    model = models.chain()
    result = edit(model, to="relu_a")
    assert result.before["params"] - result.after["params"] == result.weights_dropped > 0
    assert save(result.model, tmp_path / "part.keras") == EXACT
    loaded = keras.models.load_model(tmp_path / "part.keras")
    assert loaded.count_params() == result.after["params"]

"""What torchvision's and timm's tests of feature extraction ask of theirs, asked of cut() and calls()."""

import keras
import numpy as np
import pytest

from edgecut import calls, cut, cut_points
from edgecut.errors import GraphError
from edgecut.graph.edits import edit
from tests.graph import models
from tests.graph.seen import inputs_of, outputs, same

pytestmark = pytest.mark.tensorflow

L = keras.layers


class Leaf(keras.layers.Layer):
    """A custom layer with layers inside: one node, not to be looked into."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = L.Dense(units)

    def build(self, input_shape):
        self.inner.build(input_shape)

    def call(self, x):
        return keras.ops.relu(self.inner(x))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_a_leaf_module_is_one_node():
    x = keras.Input((4,), name="x")
    model = keras.Model(x, Leaf(3, name="leaf")(x))
    assert calls(model).names == ("x", "leaf")
    assert edit(model, to="leaf").proof["exact"]


def test_every_node_can_be_asked_for_and_all_at_once():
    model = models.residual()
    names = list(calls(model).names[1:])
    values = inputs_of(model)
    together = outputs(cut(model, to=names), values)
    for name, expected in zip(names, together, strict=True):
        assert same(outputs(cut(model, to=name), values), [expected])


def test_the_order_of_the_outputs_is_the_order_asked_for():
    model = models.residual()
    assert [x.shape for x in cut(model, to=["pool", "stem"]).outputs] == [(None, 6), (None, 8, 8, 6)]
    assert [x.shape for x in cut(model, to=["stem", "pool"]).outputs] == [(None, 8, 8, 6), (None, 6)]


def test_a_repeated_module_is_told_apart_by_its_call():
    x = keras.Input((4,), name="x")
    relu, dense = L.ReLU(name="relu"), L.Dense(4, name="dense")
    model = models.settle(keras.Model(x, relu(dense(relu(dense(relu(x)))))))
    graph = calls(model)
    assert graph.names == ("x", "relu@0", "dense@0", "relu@1", "dense@1", "relu@2")
    values = inputs_of(model)
    assert not same(outputs(cut(model, to="relu@1"), values), outputs(cut(model, to="relu@2"), values))
    assert same(outputs(cut(model, to="relu@2"), values), outputs(model, values))


def test_operators_called_several_times_have_names_of_their_own():
    x = keras.Input((4,), name="x")
    model = keras.Model(x, ((x + 1.0) + 2.0) + 3.0)
    names = calls(model).names
    assert len(set(names)) == 4
    assert all(edit(model, to=name).proof["exact"] for name in names[1:])


def test_a_name_that_looks_like_a_suffix_is_the_layer_of_that_name():
    x = keras.Input((4,), name="x")
    model = keras.Model(x, L.Dense(3, name="dense_1")(L.Dense(2, name="dense")(x)))
    assert cut(model, to="dense_1").output_shape == (None, 3)
    assert cut(model, to="dense@0").output_shape == (None, 2)


def test_an_outer_name_stands_for_the_last_node_inside():
    model = models.nested()
    values = inputs_of(model)
    assert same(outputs(cut(model, to="backbone"), values), outputs(cut(model, to="backbone.bn"), values))
    assert same(outputs(cut(model, to="backbone.block"), values), outputs(cut(model, to="backbone.block.c2"), values))
    assert edit(model, start="backbone").proof["exact"]


def test_an_outer_name_can_be_replaced_and_dropped_whole():
    model = models.nested()
    result = edit(model, replace=[("backbone", "backbone", "conv:4,5")])
    assert result.proof["exact"]
    kept = [layer.name for layer in result.model.layers]
    assert (kept[0], kept[-2:]) == ("image", ["pool", "dense"])
    assert not any(name.startswith("backbone") for name in kept)
    assert not any("block" in layer.name for layer in cut(model, drop="backbone.block", project=True).layers)


def test_a_node_with_several_results_can_be_taken_whole_or_in_part():
    model = models.recurrent()
    assert [x.shape for x in cut(model, to="lstm").outputs] == [(None, 5, 3), (None, 3), (None, 3)]
    assert cut(model, to="lstm:1").output_shape == (None, 3)
    split = keras.Input((4,), name="x")
    left, right = keras.ops.split(split, 2, axis=1)
    halves = keras.Model(split, [left, right])
    name = calls(halves).names[1]
    assert len(cut(halves, to=name).outputs) == 2
    assert edit(halves, to=f"{name}:1").proof["exact"]


def test_training_and_inference_are_one_graph():
    x = keras.Input((4,), name="x")
    y = L.Dropout(0.5, name="drop", seed=1)(L.Dense(8, name="dense")(x))
    model = models.settle(keras.Model(x, L.BatchNormalization(name="bn")(y)))
    part = cut(model, to="bn")
    values = np.random.default_rng(0).random((16, 4)).astype("float32")
    assert np.array_equal(part(values, training=False), model(values, training=False))
    assert np.any(np.asarray(part.get_layer("drop")(values, training=True)) == 0)
    moving = np.array(part.get_layer("bn").moving_mean)
    part(values, training=True)
    assert not np.array_equal(moving, part.get_layer("bn").moving_mean)


def test_features_by_reduction_are_found_by_their_shapes():
    """timm's feature_info: the last tensor of each resolution, and how many channels it has."""
    model = keras.applications.MobileNetV2(input_shape=(64, 64, 3), alpha=0.35, weights=None, include_top=False)
    last = {}
    for point in cut_points(model):
        if len(point.shape) == 4 and point.legal_start and point.type != "InputLayer" and 64 % point.shape[1] == 0:
            last[64 // point.shape[1]] = point
    assert list(last) == [2, 4, 8, 16, 32]
    features = cut(model, to=[point.name for point in last.values()])
    assert [tuple(x.shape[1:3]) for x in features.outputs] == [(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)]
    assert [x.shape[-1] for x in features.outputs] == [point.shape[-1] for point in last.values()]


def test_an_unknown_node_offers_five():
    with pytest.raises(GraphError) as caught:
        cut(models.residual(), to="block_conv")
    assert str(caught.value).count("'") == 2 * 6


def test_weights_that_no_feature_needs_are_not_carried():
    model = models.chain()
    part = edit(model, to="relu_a")
    assert {layer.name for layer in part.model.layers} == {"image", "rescale", "conv_a", "bn_a", "relu_a"}
    assert part.weights_dropped == model.count_params() - part.model.count_params()

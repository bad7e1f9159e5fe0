"""Keras 2 models in Keras 3 and back: weights bit-equal, values equal, and what can't cross named."""

from __future__ import annotations

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from edgecut.errors import GraphError
from edgecut.graph.calls import calls
from edgecut.keras2.bridge import cross_to_keras, cross_to_tf_keras, from_tf_keras, to_tf_keras
from tests.graph import models

pytestmark = pytest.mark.tensorflow

L = tf_keras.layers


def settle(model: tf_keras.Model, seed: int = 0) -> tf_keras.Model:
    """Seeded random weights and statistics in a tf_keras model."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        positive = "variance" in weight.name or "gamma" in weight.name
        values = random.uniform(0.5, 1.5, weight.shape) if positive else random.normal(0, 0.3, weight.shape)
        weight.assign(values.astype("float32"))
    return model


def functional() -> tf_keras.Model:
    x = image = tf_keras.Input((9, 9, 3), name="image")
    x = L.ZeroPadding2D(((1, 0), (0, 1)), name="pad")(x)
    x = L.Conv2D(4, 3, strides=2, use_bias=False, name="conv")(x)
    x = L.BatchNormalization(name="bn")(x)
    x = L.ReLU(6.0, name="relu6")(x)
    x = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="relu6", name="dw")(x)
    x = L.SeparableConv2D(4, 3, padding="same", name="separable")(x)
    x = L.LeakyReLU(0.2, name="leaky")(x)
    x = L.Dropout(0.5, name="dropout")(x)
    return settle(tf_keras.Model(image, L.Flatten(name="flat")(x), name="functional"))


def sequential() -> tf_keras.Model:
    layers = [L.Conv2D(3, 3, input_shape=(6, 6, 2), name="c"), L.GlobalAveragePooling2D(name="p"), L.Dense(2, name="d")]
    return settle(tf_keras.Sequential(layers, name="sequential"))


def nested() -> tf_keras.Model:
    inner = tf_keras.Input((6, 6, 3), name="inner_in")
    block = tf_keras.Sequential([L.Conv2D(3, 3, padding="same", name="c1"), L.ReLU(name="r1")], name="block")
    backbone = tf_keras.Model(inner, L.BatchNormalization(name="bn")(block(inner)), name="backbone")
    x = image = tf_keras.Input((6, 6, 3), name="image")
    x = backbone(backbone(x), training=False)
    return settle(tf_keras.Model(image, L.GlobalMaxPooling2D(name="pool")(x), name="nested"))


def shared() -> tf_keras.Model:
    a, b = tf_keras.Input((4,), name="a"), tf_keras.Input((4,), name="b")
    dense = L.Dense(4, activation="tanh", name="dense")
    joined = L.Add(name="join")([dense(a), dense(b)])
    return settle(tf_keras.Model({"a": a, "b": b}, {"one": dense(joined), "two": joined}, name="shared"))


def operators() -> tf_keras.Model:
    x = image = tf_keras.Input((8, 8, 4), name="image")
    y = tf.nn.relu6(x + 3.0) / 6.0
    y = tf.concat([y[:, 1:, ::2], y[:, :-1, ::2]], axis=-1) * 2.0
    y = tf.reshape(tf.transpose(tf.reduce_mean(y, axis=[1], keepdims=True), [0, 2, 1, 3]), [-1, 32])
    y = tf.maximum(tf.sqrt(tf.square(y) + 1.0) - 1.0, tf.clip_by_value(y, 0.1, 0.9))
    return tf_keras.Model(image, L.Softmax(name="softmax")(y), name="operators")


def recurrent() -> tf_keras.Model:
    x = steps = tf_keras.Input((5, 4), name="steps")
    x = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")(x)
    x = L.TimeDistributed(L.Dense(4), name="each")(x)
    x = L.LayerNormalization(name="norm")(x)
    x = L.MultiHeadAttention(2, 3, name="attention")(x, x)
    return settle(tf_keras.Model(steps, L.GRU(2, name="gru")(x), name="recurrent"))


def hard() -> tf_keras.Model:
    x = image = tf_keras.Input((6,), name="image")
    x = L.Dense(5, activation="hard_sigmoid", name="dense")(x)
    return settle(tf_keras.Model(image, L.Activation("hard_sigmoid", name="gate")(x), name="hard"))


ALL = (functional, sequential, nested, shared, operators, recurrent, hard)


def inputs_of(model: tf_keras.Model) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.uniform(-2, 2, (3, *x.shape[1:])).astype("float32") for x in model.inputs]


def values_2(model: tf_keras.Model, given: list) -> list[np.ndarray]:
    packed = tf.nest.pack_sequence_as(model._nested_inputs, given)
    return [np.asarray(x) for x in tf.nest.flatten(model(packed, training=False))]


def values_3(model: keras.Model, given: list) -> list[np.ndarray]:
    packed = keras.tree.pack_sequence_as(model._inputs_struct, given)
    return [np.asarray(x) for x in keras.tree.flatten(model(packed, training=False))]


@pytest.mark.parametrize("build", ALL)
def test_a_keras_2_model_computes_the_same_in_keras_3(build) -> None:
    old = build()
    crossing = cross_to_keras(old)
    given = inputs_of(old)
    for a, b in zip(values_2(old, given), values_3(crossing.model, given), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
    proof = {key: crossing.proof[key] for key in ("inputs", "tolerance", "tolerance_reason")}
    assert proof == {
        "inputs": 2, "tolerance": 1e-4, "tolerance_reason": "Keras 2 and Keras 3 normalize and round in another order",
    }  # fmt: skip
    assert crossing.proof["max_abs_error"] < 1e-5
    assert crossing.proof["tensors"] >= len(old.layers)


@pytest.mark.parametrize("build", ALL)
def test_weights_cross_bit_equal(build) -> None:
    old = build()
    new = from_tf_keras(old)
    before = sorted(w.numpy().tobytes() for w in old.weights)
    after = sorted(np.asarray(w).tobytes() for w in new.weights)
    assert before == after


def test_names_structures_and_nested_models_stay_addressable() -> None:
    assert [call.name for call in calls(from_tf_keras(nested()))] == [
        "image", "backbone.block.c1@0", "backbone.block.r1@0", "backbone.bn@0", "backbone.block.c1@1",
        "backbone.block.r1@1", "backbone.bn@1", "pool",
    ]  # fmt: skip
    new = from_tf_keras(shared())
    assert (sorted(new.input), sorted(new.output)) == (["a", "b"], ["one", "two"])
    assert [call.name for call in calls(new)].count("dense@2") == 1


def test_keras_2s_hard_sigmoid_is_kept_and_its_name_means_its_value() -> None:
    old = hard()
    new = from_tf_keras(old)
    part = keras.Model(new.input, new.get_layer("dense").output)
    x = inputs_of(old)
    expected = np.clip(0.2 * (x[0] @ np.asarray(old.weights[0]) + np.asarray(old.weights[1])) + 0.5, 0, 1)
    np.testing.assert_allclose(values_3(part, x)[0], expected, atol=1e-6)
    assert np.abs(values_3(part, x)[0] - np.asarray(keras.ops.hard_sigmoid(5 * expected - 2.5))).max() > 0.01


@pytest.mark.parametrize("build", models.ALL)
def test_a_keras_3_model_computes_the_same_in_keras_2_and_comes_back(build) -> None:
    old = build()
    crossing = cross_to_tf_keras(old)
    given = inputs_of(crossing.model)
    back = from_tf_keras(crossing.model)
    for a, b, c in zip(values_3(old, given), values_2(crossing.model, given), values_3(back, given), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(c, a, rtol=1e-5, atol=1e-6)
    assert sorted(np.asarray(w).tobytes() for w in old.weights) == sorted(
        w.numpy().tobytes() for w in crossing.model.weights
    )


def test_keras_3s_hard_activations_cross_as_layers_that_keras_2_knows() -> None:
    x = image = keras.Input((6,), name="image")
    x = keras.layers.Dense(5, activation="hard_sigmoid", name="dense")(x)
    old = models.settle(keras.Model(image, keras.layers.Activation("hard_silu", name="silu")(x)))
    new = to_tf_keras(old)
    given = inputs_of(new)
    np.testing.assert_allclose(values_2(new, given)[0], values_3(old, given)[0], atol=1e-6)
    assert isinstance(new.get_layer("silu"), L.Multiply)


def test_masks_that_layers_attach_are_attached_in_keras_2_as_well() -> None:
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = keras.layers.Embedding(5, 4, mask_zero=True, name="words")(ids)
    x = keras.layers.LSTM(3, return_sequences=True, name="first")(keras.layers.Dropout(0.5, name="drop")(x))
    old = models.settle(keras.Model(ids, keras.layers.LSTM(2, name="second")(x), name="masked"))
    assert any(call.type in {"Mask", "NotEqual"} for call in calls(old))
    new = to_tf_keras(old)
    values = np.asarray([[1, 2, 0, 0, 0, 0], [3, 0, 4, 1, 0, 2]])
    np.testing.assert_allclose(new(values), old(values), atol=1e-6)
    assert np.abs(np.asarray(new(values[:1])) - np.asarray(new(values[:1, :2]))).max() < 1e-6


def test_nothing_is_shared_with_the_source() -> None:
    old = functional()
    before = [w.numpy().copy() for w in old.weights]
    for weight in from_tf_keras(old).weights:
        weight.assign(np.zeros(weight.shape))
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, old.weights, strict=True))


def test_a_class_without_counterpart_is_named() -> None:
    class Odd(L.Layer):
        def call(self, x):
            return x * 2.0

    x = tf_keras.Input((4,))
    with pytest.raises(GraphError) as caught:
        from_tf_keras(tf_keras.Model(x, Odd(name="odd")(x)))
    assert str(caught.value) == (
        "layer 'odd': the class Odd has no counterpart in Keras 3; register one of that name with "
        "keras.saving.register_keras_serializable"
    )


def test_a_function_without_counterpart_is_named() -> None:
    x = tf_keras.Input((4, 4, 1), name="x")
    with pytest.raises(GraphError) as caught:
        from_tf_keras(tf_keras.Model(x, tf.image.flip_left_right(x)))
    assert str(caught.value) == (
        "layer 'tf.image.flip_left_right': the function tf.image.flip_left_right has no counterpart in Keras 3"
    )


def test_an_activation_inside_a_recurrent_layer_that_differs_is_refused() -> None:
    x = tf_keras.Input((4, 3))
    old = tf_keras.Model(x, L.LSTM(2, recurrent_activation="hard_sigmoid", name="lstm")(x))
    with pytest.raises(GraphError) as caught:
        from_tf_keras(old)
    assert str(caught.value) == (
        "layer 'lstm' (LSTM): recurrent_activation 'hard_sigmoid' isn't the same in the other generation"
    )


def test_an_argument_without_counterpart_is_refused() -> None:
    x = tf_keras.Input((4, 3))
    old = tf_keras.Model(x, L.LSTM(2, time_major=True, name="lstm")(x))
    with pytest.raises(GraphError) as caught:
        from_tf_keras(old)
    assert (
        str(caught.value) == "layer 'lstm' (LSTM): time_major=True has no counterpart in the other generation of Keras"
    )


def test_a_layer_that_computes_something_else_is_found_inside_the_model() -> None:
    @keras.saving.register_keras_serializable(package="bridge_test")
    class Doubled(keras.layers.Layer):
        def call(self, x):
            return x * 3.0

    Two = type("Doubled", (L.Layer,), {"call": lambda self, x: x * 2.0})
    x = tf_keras.Input((4,), name="x")
    y = Two(name="wrong")(L.Dense(4, name="dense", kernel_initializer="ones")(x))
    with pytest.raises(GraphError) as caught:
        from_tf_keras(tf_keras.Model(x, L.Softmax(name="softmax")(y)))
    assert str(caught.value).startswith(
        "layer 'wrong' computes something else in the other generation of Keras: up to "
    )


def test_a_model_without_a_graph_is_refused() -> None:
    class Own(tf_keras.Model):
        def call(self, x):
            return x

    with pytest.raises(GraphError) as caught:
        from_tf_keras(Own(name="own"))
    assert str(caught.value) == "model 'own' (Own) has no graph of layers, only functions"


def test_tf_keras_does_not_change_what_keras_is() -> None:
    from_tf_keras(sequential())
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert tf.keras.__version__.startswith("3.")

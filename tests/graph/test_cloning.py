"""What Keras's own tests of clone_model ask (keras/src/models/cloning_test.py), asked of a copy and of its parts."""

import keras
import numpy as np
import pytest

from edgecut import calls, cut
from edgecut.graph.edits import edit
from tests.graph.seen import wiring

pytestmark = pytest.mark.tensorflow

L = keras.layers


def mlp(shared=False):
    inputs = keras.Input((3,), name="x")
    x = L.Dense(2, name="first")(inputs)
    if shared:
        layer = L.Dense(2, name="shared")
        x = layer(layer(x))
    return keras.Model(inputs, L.Dense(2, name="last")(x), name="mlp")


def nested_functional():
    inputs = keras.Input((4,), name="y")
    return keras.Model(inputs, L.Dense(2, name="after")(mlp()(L.Dense(3, name="before")(inputs))), name="middle")


def doubly_nested_functional():
    inputs = keras.Input((5,), name="z")
    return keras.Model(inputs, L.Dense(2, name="end")(nested_functional()(L.Dense(4, name="begin")(inputs))))


def cnn(shared=False):
    inputs = keras.Input((7, 3), name="x")
    x = L.Conv1D(2, 2, padding="same")(inputs)
    if shared:
        layer = L.Conv1D(2, 2, padding="same", name="shared")
        x = layer(layer(x))
    return keras.Model(inputs, L.Conv1D(2, 2, padding="same")(x))


def sequential(explicit=True):
    return keras.Sequential([*([keras.Input((3,))] if explicit else []), L.Dense(2), L.Dense(2)])


def nested_sequential():
    return keras.Sequential([L.Dense(2), sequential(explicit=False), L.Dense(2)])


def doubly_nested_sequential():
    return keras.Sequential([L.Dense(3), nested_sequential(), L.Dense(2)])


class Example(keras.Model):
    def __init__(self):
        super().__init__()
        self.d1 = L.Dense(2)
        self.d2 = L.Dense(2)

    def call(self, x):
        return self.d2(self.d1(x))


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (mlp, (3,)), (lambda: mlp(shared=True), (3,)), (cnn, (7, 3)), (lambda: cnn(shared=True), (7, 3)),
        (sequential, (3,)), (lambda: sequential(explicit=False), (3,)), (Example, (3,)), (nested_functional, (4,)),
        (doubly_nested_functional, (5,)), (nested_sequential, (3,)), (doubly_nested_sequential, (3,)),
    ],
)  # fmt: skip
def test_a_copy_computes_the_same_without_set_weights(build, shape):
    model = build()
    x = np.random.default_rng(0).random((2, *shape)).astype("float32")
    expected = model(x)
    before = wiring(model)
    copy = cut(model)
    assert np.array_equal(copy(x), expected)
    assert len(copy.weights) == len(model.weights)
    assert wiring(model) == before


def test_a_shared_layer_is_cloned_once():
    copy = cut(mlp(shared=True))
    assert len(copy.layers) == 4
    assert len(copy.get_layer("shared")._inbound_nodes) == 2


def test_structured_inputs_and_outputs_keep_their_structure():
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    total = x + y
    inputs, outputs = {"x": x, "y": y}, {"z1": total, "z2": L.Dense(5)(total)}
    copy = cut(keras.Model(inputs, outputs))
    keras.tree.assert_same_structure(copy.input, inputs)
    keras.tree.assert_same_structure(copy.output, outputs)


def test_a_layer_can_be_put_behind_each_dense_of_a_copy():
    model = mlp()
    x = np.ones((2, 3), "float32")
    copy = cut(model, insert=[("first", L.Dropout(0.5)), ("last", L.Dropout(0.5))])
    assert [type(layer).__name__ for layer in copy.layers] == ["InputLayer", "Dense", "Dropout", "Dense", "Dropout"]
    assert np.array_equal(copy(x, training=False), model(x))


def test_a_layer_can_be_put_inside_a_nested_model():
    model = doubly_nested_functional()
    result = edit(model, insert=[("middle.mlp.first", L.ReLU(name="inside"))])
    assert result.proof["exact"]
    assert [layer.name for layer in result.model.layers] == [
        "z", "begin", "middle.before", "middle.mlp.first", "inside", "middle.mlp.last", "middle.after", "end",
    ]  # fmt: skip


def test_every_layer_of_the_deepest_level_is_a_clone():
    model = doubly_nested_functional()
    own = {id(layer) for layer in model._flatten_layers()}
    assert not own & {id(layer) for layer in cut(model)._flatten_layers()}
    assert calls(cut(model)).names == calls(model).names


def test_a_copy_of_a_compiled_model_is_left_to_its_owner_to_compile():
    model = sequential()
    model.compile(optimizer="adam", loss="mse")
    assert not cut(model).compiled
    assert model.compiled

"""LAW 2: the user's model is never touched, whatever is asked and however it ends."""

import keras
import numpy as np
import pytest

from edgecut import cut
from edgecut.errors import GraphError
from edgecut.graph.cuts import cut_points
from edgecut.graph.edits import edit
from tests.graph import models
from tests.graph.seen import inputs_of, outputs, same, weights, wiring

pytestmark = pytest.mark.tensorflow

L = keras.layers


def explode(tensor):
    raise ValueError("the user's own mistake")


def two_tensors(tensor):
    return tensor, tensor


FAILURES = [
    ({"to": "nowhere"}, "no layer 'nowhere'"),
    ({"start": "block0_conv"}, "the rest also needs 'stem'"),
    ({"drop": "stem..block0_conv"}, "is also used behind the range"),
    ({"replace": [("block0_conv", "block0_bn", explode)]}, "what takes the place of 'block0_bn' can't take"),
    (
        {"insert": [("stem", explode)]},
        "what takes the place of 'stem' can't take (None, 8, 8, 6): the user's own mistake",
    ),
    ({"insert": [("stem", two_tensors)]}, "what takes the place of 'stem' puts out KerasTensor, KerasTensor"),
    ({"insert": [("block1_add", L.Conv2D(5, 1))]}, "add projection"),
    ({"insert": [("stem", L.Flatten())]}, "can't take"),
    ({"insert": [("stem", L.ReLU()), ("stem", L.ReLU())]}, "two edits change 'stem'; make them one"),
]


@pytest.mark.parametrize(("options", "message"), FAILURES)
def test_an_edit_that_fails_half_way_leaves_the_source_as_it_was(options, message):
    model = models.residual()
    if "block1_add" in str(options):
        model = keras.Model(model.input, L.Dense(2, name="after")(model.get_layer("block1_relu").output))
    before, held = wiring(model), weights(model)
    with pytest.raises(GraphError) as caught:
        cut(model, **options)
    assert message in str(caught.value)
    assert wiring(model) == before
    assert same(held, weights(model))


def test_a_function_that_calls_a_layer_of_the_source_shares_nothing_in_the_end():
    model = models.residual()
    before, held = wiring(model), weights(model)
    source_layer = model.get_layer("block0_conv")
    result = edit(model, replace=[("block1_conv", "block1_bn", lambda x: source_layer(x))])
    assert result.proof["exact"]
    assert wiring(model) == before
    assert not {id(v) for v in model.variables} & {id(v) for v in result.model.variables}
    for variable in result.model.variables:
        variable.assign(keras.ops.zeros_like(variable))
    assert same(held, weights(model))


def test_a_given_layer_and_a_given_model_are_copied():
    layer = L.Conv2D(6, 1, name="given")
    layer.build((None, 8, 8, 6))
    x = keras.Input((8, 8, 6))
    body = models.settle(keras.Model(x, L.Conv2D(6, 3, padding="same", name="inner")(x), name="body"))
    before = wiring(body)
    result = cut(models.residual(), insert=[("stem", layer)], replace=[("block0_conv", "block0_bn", body)])
    assert wiring(body) == before
    assert not layer._inbound_nodes
    copied = result.get_layer("given")
    assert copied is not layer
    assert np.array_equal(copied.kernel, layer.kernel)
    assert not {id(v) for v in (*body.variables, *layer.variables)} & {id(v) for v in result.variables}


def test_a_layer_given_twice_is_one_layer_called_twice():
    shared = L.Dense(6, name="twice")
    result = cut(models.residual(), insert=[("block0_relu", shared), ("block1_relu", shared)])
    assert len([layer for layer in result.layers if layer.name.startswith("twice")]) == 1
    assert len(result.get_layer("twice")._inbound_nodes) == 2


def test_training_the_result_leaves_the_source_alone():
    model = models.residual()
    held = weights(model)
    result = cut(model, to="block0_relu")
    result.compile("sgd", "mse")
    result.fit(np.ones((4, 8, 8, 3), "float32"), np.zeros((4, 8, 8, 6), "float32"), verbose=0)
    assert not same(weights(result), weights(cut(model, to="block0_relu")))
    assert same(held, weights(model))


def test_a_compiled_source_stays_compiled_and_a_frozen_one_frozen():
    model = models.residual()
    model.compile("sgd", "mse")
    model.trainable = False
    result = cut(model)
    assert model.compiled
    assert not result.trainable_variables
    result.trainable = True
    assert not model.trainable_variables


def test_an_edit_of_everything_is_still_free_of_the_source():
    model = models.nested()
    before = wiring(model)
    values = inputs_of(model)
    whole = outputs(model, values)
    for point in cut_points(model):
        cut(model, to=point.name)
    assert wiring(model) == before
    assert same(outputs(model, values), whole)

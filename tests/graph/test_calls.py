import keras
import numpy as np
import pytest

from edgecut.errors import GraphError
from edgecut.graph.calls import calls
from edgecut.graph.edits import edit
from tests.graph import models

pytestmark = pytest.mark.tensorflow


def test_the_list_begins_with_the_inputs_and_keeps_calling_order():
    assert calls(models.residual()).names == (
        "image", "stem", "block0_conv", "block0_bn", "block0_add", "block0_relu",
        "block1_conv", "block1_bn", "block1_add", "block1_relu", "pool",
    )  # fmt: skip


def test_nested_models_are_opened_under_their_path():
    graph = calls(models.nested())
    assert graph.names == (
        "image", "backbone.block.c1", "backbone.block.r1", "backbone.block.c2", "backbone.bn", "pool", "dense",
    )  # fmt: skip
    assert graph.find("backbone.bn").kwargs["training"] is False


@pytest.mark.parametrize("feed", [lambda x: [x], lambda x: (x,), lambda x: {"a": x}, lambda x: {"a": x, "b": x}])
def test_nested_models_are_opened_whatever_the_structure_of_their_inputs(feed):
    inner_in = feed(keras.Input((4,), name="a"))
    if isinstance(inner_in, dict):
        inner_in = {name: keras.Input((4,), name=name) for name in inner_in}
    y = keras.layers.Concatenate(name="join")([*keras.tree.flatten(inner_in), *keras.tree.flatten(inner_in)])
    inner = keras.Model(inner_in, keras.layers.Dense(3, name="dense")(y), name="inner")
    image = keras.Input((4,), name="image")
    model = models.settle(keras.Model(image, inner(feed(image)), name="outer"))
    assert calls(model).names == ("image", "inner.join", "inner.dense")
    assert edit(model, to="inner.join").proof["exact"]


def test_shapes_inside_a_nested_model_of_open_size_are_those_of_its_call():
    graph = calls(models.nested())
    assert graph.find("backbone.block.c1").outputs[0].shape == (None, 10, 10, 4)
    assert graph.find("backbone.bn").outputs[0].shape == (None, 8, 8, 4)


def test_each_call_of_a_shared_layer_has_its_own_name():
    graph = calls(models.shared())
    assert [name for name in graph.names if name.startswith("dense")] == ["dense@0", "dense@1", "dense@2"]
    with pytest.raises(
        GraphError, match=r"^layer 'dense' is called 3 times; say which: 'dense@0', 'dense@1', 'dense@2'$"
    ):
        graph.find("dense")


def test_an_output_of_several_is_named_by_its_index():
    graph = calls(models.recurrent())
    call, tensors = graph.tensors("lstm:2")
    assert call.name == "lstm"
    assert tensors == (call.outputs[2],)
    with pytest.raises(GraphError, match=r"^layer 'lstm' has 3 outputs, so 'lstm:3' names none of them$"):
        graph.tensors("lstm:3")


def test_positions_count_from_both_ends():
    graph = calls(models.residual())
    assert graph.find(1).name == "stem"
    assert graph.find(-1).name == "pool"
    with pytest.raises(GraphError, match=r"^no layer at position 11: the model has 11 calls, 0 to 10$"):
        graph.find(11)


def test_an_unknown_name_offers_the_closest():
    with pytest.raises(GraphError, match=r"^no layer 'block0_covn' \(closest: 'block0_conv', "):
        calls(models.residual()).find("block0_covn")


def test_a_model_with_its_own_call_inside_stays_one_call():
    class Doubled(keras.Sequential):
        def call(self, x, training=None, mask=None):
            return 2 * super().call(x)

    inner = Doubled([keras.layers.Dense(3, name="d")], name="inner")
    x = keras.Input((3,), name="x")
    graph = calls(keras.Model(x, inner(x)))
    assert graph.names == ("x", "inner")


def test_reading_the_calls_leaves_the_model_as_it_was():
    model = models.residual()
    nodes = [(len(op._inbound_nodes), len(op._outbound_nodes)) for op in model.operations]
    weights = [w.copy() for w in model.get_weights()]
    calls(model)
    assert nodes == [(len(op._inbound_nodes), len(op._outbound_nodes)) for op in model.operations]
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))

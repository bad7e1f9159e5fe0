import keras
import numpy as np
import pytest

from edgecut import cut
from edgecut.errors import GraphError
from edgecut.graph.calls import calls, flat
from edgecut.graph.cuts import cut_points
from edgecut.graph.edits import edit
from edgecut.graph.proof import call_flat, seeded_inputs
from tests.graph import models

pytestmark = pytest.mark.tensorflow


def outputs(model, arrays):
    return [np.asarray(x) for x in keras.tree.flatten(call_flat(model, arrays))]


def inputs_of(model, seed=3):
    return seeded_inputs(flat(calls(model).inputs), count=3, seed=seed)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("build", models.ALL)
def test_a_copy_is_bit_equal_and_keeps_the_structure(build):
    model = build()
    copy = cut(model)
    arrays = inputs_of(model)
    assert same(outputs(model, arrays), outputs(copy, arrays))
    assert keras.tree.map_structure(lambda x: x.shape, model.output) == keras.tree.map_structure(
        lambda x: x.shape, copy.output
    )
    keras.tree.assert_same_structure(model._inputs_struct, copy._inputs_struct)


@pytest.mark.parametrize("build", models.ALL)
def test_a_copy_shares_no_variable_and_no_layer_with_its_source(build):
    model = build()
    copy = cut(model)
    assert not {id(v) for v in model.variables} & {id(v) for v in copy.variables}
    assert not {id(layer) for layer in model._flatten_layers()} & {id(layer) for layer in copy._flatten_layers()}


@pytest.mark.parametrize("build", models.ALL)
def test_the_source_is_left_as_it_was(build):
    model = build()
    weights = [w.copy() for w in model.get_weights()]
    nodes = [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model._flatten_layers()]
    copy = cut(model, to=-2)
    for weight in copy.weights:
        weight.assign(weight * 0)
    copy.trainable = False
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    assert nodes == [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model._flatten_layers()]
    assert model.trainable


@pytest.mark.parametrize("build", models.ALL)
def test_every_cut_is_bit_equal_and_every_legal_tail_completes_it(build):
    """LAW: tail(head(x)) == model(x) for each legal start; the head is the source's own activation."""
    model = build()
    arrays = inputs_of(model)
    whole = outputs(model, arrays)
    for point in cut_points(model):
        if point.type == "InputLayer":
            continue
        result = edit(model, to=point.name)
        assert result.proof == {"inputs": 8, "max_abs_error": 0.0, "exact": True}, point.name
        if point.legal_start and len(model.inputs) == 1:
            tail = cut(model, start=point.name)
            assert same(outputs(tail, outputs(result.model, arrays)), whole), point.name


def test_an_illegal_start_is_refused_with_what_it_lacks():
    with pytest.raises(GraphError) as caught:
        cut(models.residual(), start="block0_conv")
    assert str(caught.value) == (
        "from 'block0_conv': the rest also needs 'stem'; name all of them, pass multi=True (--multi) to add them as "
        "inputs, or start at 'stem' or 'block0_add'"
    )


def test_multi_adds_the_entries_that_a_start_lacks():
    model = models.residual()
    tail = cut(model, start="block0_conv", multi=True)
    assert [x.shape for x in tail.inputs] == [(None, 8, 8, 6), (None, 8, 8, 6)]
    head = cut(model, to=["block0_conv", "stem"])
    arrays = inputs_of(model)
    assert same(outputs(tail, outputs(head, arrays)), outputs(model, arrays))


def test_a_start_that_no_output_depends_on_is_refused():
    model = models.structured()
    graph = cut(model, to="d2")
    assert [x.name for x in graph.inputs] == ["right"]
    with pytest.raises(GraphError, match=r"^from 'd1': the output 'd2' doesn't depend on it; start before it$"):
        cut(model, to="d2", start="d1")


def test_dropped_layers_leave_what_follows():
    model = models.residual()
    dropped = edit(model, drop="block0_conv..block0_bn")
    assert dropped.proof["exact"]
    assert [layer.name for layer in dropped.model.layers][:3] == ["image", "stem", "block0_add"]
    arrays = inputs_of(model)
    stem = outputs(cut(model, to="stem"), arrays)[0]
    expected = outputs(cut(model, start="block0_relu"), [np.maximum(stem + stem, 0)])
    np.testing.assert_allclose(outputs(dropped.model, arrays)[0], expected[0], rtol=1e-6)


def test_a_drop_across_a_branch_is_refused():
    with pytest.raises(GraphError) as caught:
        cut(models.residual(), drop="stem..block0_conv")
    assert str(caught.value) == (
        "drop 'stem..block0_conv': 'stem' is also used behind the range; end the range where the branches have met"
    )


def test_a_replaced_range_computes_what_its_replacement_does():
    model = models.residual()
    x = keras.Input((8, 8, 6))
    body = models.settle(keras.Model(x, keras.layers.Conv2D(6, 1, name="stem")(x)), seed=9)
    result = edit(model, replace=[("block0_conv", "block0_bn", body)])
    assert result.proof["exact"]
    assert len({layer.name for layer in result.model.layers}) == len(result.model.layers)
    assert not {id(v) for v in body.variables} & {id(v) for v in result.model.variables}


def test_an_inserted_layer_is_seen_by_all_that_follows():
    model = models.residual()
    result = cut(model, insert=[("stem", keras.layers.Rescaling(0.0))])
    arrays = inputs_of(model)
    zero = np.zeros((3, 8, 8, 6), "float32")
    assert same(outputs(result, arrays), outputs(cut(model, start="stem"), [zero]))


def test_a_width_that_does_not_fit_names_the_layer_and_both_shapes():
    with pytest.raises(GraphError) as caught:
        cut(models.chain(), drop="conv_b")
    assert str(caught.value) == (
        "layer 'dense' (Dense) has a kernel of shape (12, 5), and its new input asks for (8, 5); cut before it, or "
        "keep the shape that it was trained on; add projection: 'conv_b' is 12 wide and what takes its place 8, so "
        "pass project=True (edgecut cut --project)"
    )


def test_a_frozen_layer_stays_frozen_in_the_copy():
    model = models.chain()
    model.get_layer("bn_a").trainable = False
    copy = cut(model)
    assert not copy.get_layer("bn_a").trainable
    assert copy.get_layer("conv_a").trainable


def test_a_result_can_be_saved_and_loaded(tmp_path):
    model = models.nested()
    copy = cut(model, to="backbone.bn")
    copy.save(tmp_path / "cut.keras")
    loaded = keras.models.load_model(tmp_path / "cut.keras")
    arrays = inputs_of(model)
    assert same(outputs(copy, arrays), outputs(loaded, arrays))
    assert calls(loaded).names == (
        "image",
        "backbone.block.c1",
        "backbone.block.r1",
        "backbone.block.c2",
        "backbone.bn",
    )


@pytest.mark.parametrize(
    ("inputs", "left"),
    [
        (lambda a, b, c: {"p": {"a": a}, "b": b}, {"p": {"a": "a"}}),
        (lambda a, b, c: {"p": {"q": {"a": a, "c": c}}, "b": b}, {"p": {"q": {"a": "a"}}}),
        (lambda a, b, c: {"p": [c, a], "b": b}, {"p": ["a"]}),
        (lambda a, b, c: {"p": (c, {"a": a}), "b": b}, {"p": [{"a": "a"}]}),
        (lambda a, b, c: {"a": a, "b": {"b": b, "c": c}}, {"a": "a"}),
    ],
)
def test_a_part_of_nested_inputs_keeps_the_structure_of_those_that_it_uses(inputs, left):
    a, b, c = (keras.Input((4,), name=name) for name in "abc")
    dense = keras.layers.Dense(3, name="dense")(a)
    whole = keras.Model(inputs(a, b, c), keras.layers.Concatenate()([dense, b]))
    result = edit(whole, to="dense")
    assert keras.tree.map_structure(lambda x: x.name, result.model._inputs_struct) == left
    assert result.proof["exact"] is True


@pytest.mark.parametrize(
    ("behind", "refusal"),
    [
        (
            lambda: keras.layers.Normalization(mean=[0.1] * 2, variance=[1.0] * 2, name="behind"),
            "layer 'behind' (Normalization) can't take (None, 8, 8, 3): Incompatible shapes: [1,1,1,2] vs. [1,1,1,3]; "
            "add projection: 'conv' is 2 wide and what takes its place 3, so pass project=True (edgecut cut --project)",
        ),
        (
            lambda: keras.layers.SpectralNormalization(keras.layers.Conv2D(2, 1), name="behind"),
            "layer 'behind' (SpectralNormalization) can't take (8, 8, 8, 3): Input 0 with name 'None' of layer "
            "'behind' is incompatible with the layer: expected axis -1 of input shape to have value 2, but received "
            "input with shape (8, 8, 8, 3)",
        ),
    ],
)
def test_a_layer_that_stores_another_shape_is_refused_with_both(behind, refusal):
    image = keras.Input((8, 8, 3))
    inner = keras.layers.Conv2D(2, 3, name="conv")(image)
    whole = keras.Model(image, keras.layers.ReLU()(behind()(inner)))
    with pytest.raises(GraphError) as caught:
        edit(whole, drop="conv")
    assert str(caught.value) == refusal

import keras
import numpy as np
import pytest

from edgecut import cut
from edgecut.errors import GraphError
from edgecut.graph.blocks import GRAMMAR, block
from edgecut.graph.edits import edit
from tests.graph import models

pytestmark = pytest.mark.tensorflow

IMAGE, SEQUENCE, VECTOR = (None, 8, 8, 6), (None, 8, 6), (None, 6)


def built(text, shape=IMAGE, seed=0):
    x = keras.Input(batch_shape=shape)
    return keras.Model(x, block(text, x, seed=seed)(x))


@pytest.mark.parametrize(
    ("text", "shape", "kinds", "result"),
    [
        ("conv:5,3", IMAGE, ["Conv2D"], (None, 8, 8, 5)),
        ("conv:5,3,2", IMAGE, ["Conv2D"], (None, 4, 4, 5)),
        ("conv:5,3", SEQUENCE, ["Conv1D"], (None, 8, 5)),
        ("separable:5,3", IMAGE, ["SeparableConv2D"], (None, 8, 8, 5)),
        ("depthwise:3,2", IMAGE, ["DepthwiseConv2D"], (None, 4, 4, 6)),
        ("dense:4", VECTOR, ["Dense"], (None, 4)),
        ("conv:5,3/bn/relu6", IMAGE, ["Conv2D", "BatchNormalization", "ReLU"], (None, 8, 8, 5)),
        ("branch:conv:5,3+conv:3,1/relu", IMAGE, ["Conv2D", "Conv2D", "ReLU", "Concatenate"], (None, 8, 8, 8)),
        ("sum:conv:6,3+identity", IMAGE, ["Conv2D", "Add"], (None, 8, 8, 6)),
        ("Dropout:rate=0.25", IMAGE, ["Dropout"], IMAGE),
        ("Activation:activation=tanh/relu", IMAGE, ["Activation", "ReLU"], IMAGE),
    ],
)
def test_a_text_is_the_block_that_it_says(text, shape, kinds, result):
    model = built(text, shape)
    assert sorted(type(layer).__name__ for layer in model.layers[1:]) == sorted(kinds)
    assert model.output_shape == result


def test_a_blocks_weights_are_seeded_and_differ_from_each_other():
    first, again, other = built("conv:5,3/conv:5,3"), built("conv:5,3/conv:5,3"), built("conv:5,3/conv:5,3", seed=7)
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), again.get_weights(), strict=True))
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])
    branches = built("branch:conv:5,3+conv:5,3")
    assert not np.array_equal(branches.get_weights()[0], branches.get_weights()[2])


@pytest.mark.parametrize(
    ("text", "shape", "fault"),
    [
        ("cnv:5,3", IMAGE, "no block 'cnv' (closest: 'conv')"),
        ("conv:5", IMAGE, "'conv:5' has 1 numbers"),
        ("conv:5,x", IMAGE, "'conv:5,x' has something else than whole numbers above 0"),
        ("conv:0,3", IMAGE, "'conv:0,3' has something else than whole numbers above 0"),
        ("conv:5,3", VECTOR, "Conv needs (batch, steps, channels) or (batch, height, width, channels)"),
        ("branch:conv:5,3", IMAGE, "'branch:conv:5,3' names 1 branches; two or more joined by '+' are expected"),
        ("Dropuot:rate=0.2", IMAGE, "Keras has no layer 'Dropuot' (closest: 'Dropout', 'AlphaDropout', 'Dot')"),
        ("Dropout:0.2", IMAGE, "Dropout doesn't take '0.2' (name=value is expected)"),
    ],
)
def test_a_text_that_says_no_block_is_answered_with_the_grammar(text, shape, fault):
    with pytest.raises(GraphError) as caught:
        block(text, keras.Input(batch_shape=shape))
    assert str(caught.value) == f"block {text!r}: {fault}; expected: {GRAMMAR}"


def test_a_block_takes_the_place_of_a_range():
    result = edit(models.residual(), replace=[("block0_conv", "block0_add", "conv:6,3/relu")])
    assert result.proof["exact"]
    kinds = [type(layer).__name__ for layer in result.model.layers]
    assert kinds[:5] == ["InputLayer", "Conv2D", "Conv2D", "ReLU", "ReLU"]
    assert result.model.output_shape == models.residual().output_shape


def test_a_width_that_differs_is_projected_on_request():
    model = models.residual()
    swap = [("block0_conv", "block0_bn", "conv:9,3")]
    with pytest.raises(GraphError) as caught:
        cut(model, replace=swap)
    assert str(caught.value).endswith(
        "; add projection: 'block0_bn' is 6 wide and what takes its place 9, so pass project=True "
        "(edgecut cut --project)"
    )
    result = edit(model, replace=swap, project=True)
    assert result.proof["exact"]
    projection = result.model.get_layer("projection")
    assert tuple(projection.kernel.shape) == (1, 1, 9, 6)


def test_a_projection_is_not_added_where_the_width_fits():
    result = cut(models.residual(), replace=[("block0_conv", "block0_bn", "conv:6,3")], project=True)
    assert "projection" not in [layer.name for layer in result.layers]


def test_a_dropped_layer_of_another_width_can_be_bridged_by_a_projection():
    result = edit(models.chain(), drop="conv_b", project=True)
    assert result.proof["exact"]
    assert result.model.output_shape == (None, 5)

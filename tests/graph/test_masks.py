import keras
import numpy as np
import pytest

from edgecut import cut
from edgecut.errors import GraphError
from edgecut.graph.calls import calls
from edgecut.graph.cuts import cut_points, legal_starts
from edgecut.graph.edits import edit
from tests.graph import odd_models
from tests.graph.seen import outputs, same

pytestmark = pytest.mark.tensorflow

L = keras.layers


def test_a_mask_is_a_tensor_of_its_own_behind_the_layer_that_makes_it():
    graph = calls(odd_models.make(odd_models.masked_by_embedding))
    assert graph.names == ("ids", "emb", "emb:mask", "drop", "lstm_a", "lstm_b", "dense")
    (mask,) = graph.find("emb:mask").outputs
    assert (mask.shape, mask.dtype) == ((None, 7), "bool")
    assert mask in graph.find("lstm_a").inputs
    assert mask in graph.find("lstm_b").inputs  # return_sequences passes it on


def test_a_start_behind_a_masking_layer_is_illegal_without_the_mask():
    model = odd_models.make(odd_models.masked_by_embedding)
    assert legal_starts(calls(model)) == ("ids", "lstm_b", "dense")
    points = {point.name: point for point in cut_points(model)}
    assert points["drop"].bypass == ("emb:mask",)
    with pytest.raises(GraphError) as caught:
        cut(model, start="drop")
    assert str(caught.value) == (
        "from 'drop': the rest also needs 'emb:mask'; name all of them, pass multi=True (--multi) to add them as "
        "inputs, or start at 'ids' or 'lstm_b'"
    )


def test_the_mask_is_an_input_that_decides_which_steps_count():
    model = odd_models.make(odd_models.masked_by_embedding)
    result = edit(model, start="emb", multi=True)
    assert result.after["inputs"] == {"emb_in": [None, 7, 4], "emb_mask_in": [None, 7]}
    assert result.notes == ("'emb:mask' is a mask and an input of its own",)
    ids = np.asarray([[1, 2, 3, 0, 0, 0, 0], [4, 5, 6, 7, 8, 1, 0]])
    values = np.asarray(cut(model, to="emb")(ids))
    whole = [np.asarray(model(ids))]
    assert same(outputs(result.model, [keras.ops.convert_to_tensor(values), keras.ops.not_equal(ids, 0)]), whole)
    unmasked = outputs(result.model, [keras.ops.convert_to_tensor(values), keras.ops.ones(ids.shape, "bool")])
    assert not same(unmasked, whole)


def test_naming_the_mask_is_as_good_as_multi():
    model = odd_models.make(odd_models.masked_by_embedding)
    assert edit(model, start=["emb", "emb:mask"]).proof["exact"]


def test_a_mask_is_made_again_where_the_tensor_it_comes_from_is_an_entry():
    model = odd_models.make(odd_models.masked_by_embedding)
    result = edit(model, start=["emb", "ids"])
    assert list(result.after["inputs"]) == ["emb_in", "ids"]
    assert result.proof["exact"]


def test_a_layer_that_reads_the_attached_mask_alone_gets_it_attached():
    """Multiply and MultiHeadAttention look at the tensor, not at an argument."""
    for build, start in ((odd_models.masks_merged, "emb@0"), (odd_models.masked_attention, "emb")):
        result = edit(odd_models.make(build), start=start, multi=True)
        assert result.proof["exact"]
        assert any(layer.name.endswith("_masked") for layer in result.model.layers)


def test_a_dropped_masking_layer_takes_its_mask_along():
    model = odd_models.make(odd_models.masked_by_masking)
    result = edit(model, drop="masking")
    assert result.proof["exact"]
    steps = np.ones((2, 6, 3), "float32")
    steps[:, 3:] = 0
    unmasked = cut(model, start="masking", multi=True)
    expected = outputs(unmasked, [keras.ops.convert_to_tensor(steps), keras.ops.ones((2, 6), "bool")])
    assert same(outputs(result.model, [keras.ops.convert_to_tensor(steps)]), expected)


def test_a_mask_survives_what_is_inserted_behind_it():
    model = odd_models.make(odd_models.masked_by_embedding)
    result = edit(model, insert=[("emb", L.Activation("tanh"))])
    assert result.proof["exact"]
    ids = np.asarray([[1, 2, 3, 0, 0, 0, 0]])
    longer = np.asarray([[1, 2, 3, 0, 0, 0, 0]])
    longer[0, 3:] = 0
    assert same(outputs(result.model, [ids]), outputs(result.model, [longer]))
    short = keras.Model(*_inserted_by_hand(model))
    assert same(outputs(result.model, [ids]), [np.asarray(short(ids))])


def _inserted_by_hand(model):
    copy = cut(model)
    ids = keras.Input((7,), dtype="int32")
    x = L.Activation("tanh")(copy.get_layer("emb")(ids))
    for name in ("drop", "lstm_a", "lstm_b", "dense"):
        x = copy.get_layer(name)(x)
    return ids, x


def test_the_masks_of_a_nested_model_flow_out_of_it():
    graph = calls(odd_models.make(odd_models.masked_through_nested))
    assert graph.names == ("ids", "encoder.emb", "encoder.emb:mask", "decoder.lstm")
    assert graph.find("encoder.emb:mask").outputs[0] in graph.find("decoder.lstm").inputs


def test_a_model_without_masks_has_no_mask_calls():
    graph = calls(odd_models.make(odd_models.recurrent_layers))
    assert dict(graph.masks) == {}
    assert not any(name.endswith(":mask") for name in graph.names)

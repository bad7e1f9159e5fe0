import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgecut import calls, cut
from edgecut.errors import GraphError
from edgecut.graph.cuts import cut_points
from edgecut.graph.edits import edit
from tests.graph.models import settle
from tests.graph.seen import same, weights, wiring

L = keras.layers
EXACT = {"inputs": 8, "max_abs_error": 0.0, "exact": True}


class Network(keras.Model):
    """What a tutorial's network looks like: attributes, a list of blocks, a branch on training."""

    def __init__(self):
        super().__init__()
        self.conv1 = L.Conv2D(4, 3, activation="relu")
        self.pool = L.MaxPooling2D()
        self.blocks = [L.Conv2D(4, 3, padding="same") for _ in range(2)]
        self.norm = L.BatchNormalization()
        self.act = L.ReLU()
        self.flatten = L.Flatten()
        self.dense = L.Dense(3, name="classes")

    def call(self, inputs, training=None):
        x = self.pool(self.conv1(inputs))
        for block in self.blocks:
            x = self.act(self.norm(block(x), training=training) + x)
        return self.dense(self.flatten(x))


@pytest.fixture
def network():
    model = Network()
    model(np.zeros((2, 10, 10, 3), "float32"))
    return settle(model)


def test_layers_go_by_the_attributes_that_hold_them(network):
    assert calls(network).names == (
        "inputs", "conv1", "pool", "blocks.0", "norm@0", "add", "act@0", "blocks.1", "norm@1", "add_1", "act@1",
        "flatten", "classes",
    )  # fmt: skip


def test_a_layer_is_found_under_its_keras_name_and_its_attribute_too(network):
    graph = calls(network)
    assert graph.find("dense") is graph.find("classes")
    assert graph.find(network.conv1.name) is graph.find("conv1")
    assert graph.find("norm@1").operation is network.norm
    with pytest.raises(GraphError, match=r"^layer 'act' is called 2 times; say which: 'act@0', 'act@1'$"):
        graph.find("act")


def test_each_cut_and_each_tail_of_a_subclassed_model_is_exact(network):
    for point in (point for point in cut_points(network) if point.type != "InputLayer"):
        assert edit(network, to=point.name).proof == EXACT
        assert edit(network, start=point.name, multi=True).proof == EXACT


def test_the_result_holds_no_weight_of_what_was_cut_away(network):
    tail = edit(network, start="conv1")
    assert tail.weights_dropped == network.conv1.count_params()
    assert tail.model.count_params() == network.count_params() - network.conv1.count_params()


def test_tracing_leaves_the_model_as_it_was(network):
    before, held = wiring(network), weights(network)
    cut(network, to="pool")
    assert wiring(network) == before
    assert same(held, weights(network))


def test_the_batch_of_the_first_call_is_not_the_batch_of_the_result(network):
    assert cut(network, to="pool").input_shape == (None, 10, 10, 3)


class Untraceable(keras.Model):
    def __init__(self, broken):
        super().__init__()
        self.dense = L.Dense(3)
        self.broken = broken

    def call(self, x):
        return self.broken(self.dense(x))


def uses_tensorflow(x):
    return tf.nn.relu(x)


def branches_on_a_value(x):
    if keras.ops.sum(x) > 0:
        return x
    return -x


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


@pytest.mark.parametrize(
    ("broken", "text", "reason"),
    [
        (uses_tensorflow, "return tf.nn.relu(x)", "A KerasTensor cannot be used as input to a TensorFlow function"),
        (branches_on_a_value, "if keras.ops.sum(x) > 0:", "A symbolic KerasTensor cannot be used as a boolean"),
    ],
)
def test_untraceable_code_is_named_by_file_and_line(broken, text, reason):
    model = Untraceable(broken)
    model.name = "mine"
    model(np.ones((2, 4), "float32"))
    before = wiring(model)
    with pytest.raises(GraphError) as caught:
        cut(model)
    assert str(caught.value) == (
        f"model 'mine' (Untraceable) can't be traced: its call was stopped by {__file__}:{line_of(broken, text)}: "
        f"{text!r} ({reason}); use keras.ops instead of tf.*, numpy or a branch on values, or build it as a Functional "
        "model"
    )
    assert wiring(model) == before


def test_a_call_that_returns_no_tensor_is_refused():
    model = Untraceable(lambda x: (x, 3))
    model.name = "mine"
    model(np.ones((2, 4), "float32"))
    with pytest.raises(GraphError) as caught:
        cut(model)
    assert str(caught.value) == (
        "model 'mine' (Untraceable): its call returns a int, which doesn't come from its input through Keras "
        "operations; return tensors only"
    )


def test_an_unbuilt_model_says_how_to_build_it():
    model = Network()
    model.name = "mine"
    with pytest.raises(GraphError) as caught:
        cut(model)
    assert str(caught.value) == (
        "model 'mine' (Network) has no declared input; call it once on a batch of its real inputs, or, if it is "
        "Sequential, add a keras.Input in front"
    )
    with pytest.raises(GraphError, match=r"^model 'deferred' \(Sequential\) has no declared input; "):
        cut(keras.Sequential([L.Dense(3)], name="deferred"))


@pytest.mark.filterwarnings("ignore:.build.. was called")
def test_a_model_whose_layers_are_unbuilt_is_not_built_behind_its_owners_back():
    model = Network()
    model.name = "mine"
    model.build((None, 10, 10, 3))  # Keras marks it built, and its layers aren't
    with pytest.raises(GraphError) as caught:
        cut(model)
    assert str(caught.value) == (
        f"model 'mine' (Network): its layer {model.conv1.name!r} isn't built; call the model once on a batch of its "
        "real inputs first"
    )
    assert not model.conv1.built


class Texts(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = L.Embedding(9, 4, mask_zero=True)
        self.lstm = L.LSTM(3)
        self.dense = L.Dense(3)

    def call(self, inputs):
        return {"score": self.lstm(self.embed(inputs["ids"])) + self.dense(inputs["numbers"])}


def test_dict_inputs_and_outputs_keep_their_keys_and_ids_stay_integers():
    model = Texts()
    model({"ids": np.ones((2, 5), "int32"), "numbers": np.ones((2, 4), "float32")})
    copy = cut(settle(model))
    assert {key: x.dtype for key, x in copy.input.items()} == {"ids": "int32", "numbers": "float32"}
    assert list(copy.output) == ["score"]
    assert edit(model).proof == EXACT


class TwoArguments(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)

    def call(self, left, right):
        return self.dense(left) + self.dense(right)


def test_several_arguments_of_a_call_are_refused_with_the_way_round():
    model = TwoArguments()
    model.name = "mine"
    model(np.ones((2, 4), "float32"), np.ones((2, 4), "float32"))
    with pytest.raises(GraphError) as caught:
        cut(model)
    assert str(caught.value) == (
        "model 'mine' (TwoArguments) takes 'left', 'right', and Keras records the shape of 1 of them; let its call "
        "take one list or dict, or name them in Python: edgecut.cut(model, inputs={'left': keras.Input(...), ...})"
    )


def test_several_arguments_of_a_call_are_traced_on_the_inputs_that_are_named():
    model = TwoArguments()
    left, right = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4)).astype("float32")
    expected = np.asarray(model(left, right))
    given = {"right": keras.Input((4,), name="second"), "left": keras.Input((4,), name="first")}
    result = edit(model, inputs=given)
    assert result.proof["exact"]
    assert [x.name for x in result.model.inputs] == ["second", "first"]
    np.testing.assert_array_equal(np.asarray(result.model([right, left])), expected)
    first = cut(model, to="dense@0", inputs=given)
    assert [x.name for x in first.inputs] == ["first"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"left": keras.Input((4,))}, "its call takes 'left', 'right', found 'left'"),
        ({"left": keras.Input((4,)), "up": keras.Input((4,))}, "its call takes 'left', 'right', found 'left', 'up'"),
        ({"left": (4,), "right": (4,)}, "'left' is no keras.Input(...), nor a list or dict of them"),
    ],
    ids=["one is missing", "a slip", "a shape"],
)  # fmt: skip
def test_inputs_that_the_call_does_not_take_are_refused(inputs, said):
    model = TwoArguments()
    model.name = "mine"
    model(np.ones((2, 4), "float32"), np.ones((2, 4), "float32"))
    with pytest.raises(GraphError) as caught:
        cut(model, inputs=inputs)
    assert str(caught.value) == f"inputs= of model 'mine' (TwoArguments): {said}"


def test_inputs_of_a_model_that_declares_its_own_are_refused():
    x = keras.Input((4,))
    model = keras.Model(x, L.Dense(2)(x), name="mine")
    with pytest.raises(GraphError, match=r"^model 'mine' \(Functional\) declares its inputs; leave inputs= out$"):
        cut(model, inputs={"inputs": keras.Input((4,))})


class Block(keras.layers.Layer):
    """A layer as users write them: without **kwargs, so that Keras itself couldn't make it from its configuration."""

    def __init__(self, width):
        super().__init__()
        self.first = L.Dense(width, activation="relu")
        self.second = L.Dense(width)

    def call(self, x):
        return self.second(self.first(x)) + x


class Blocks(keras.Model):
    def __init__(self):
        super().__init__()
        self.block1 = Block(4)
        self.middle = keras.Sequential([L.Dense(4, name="a"), L.ReLU(name="b")])
        self.block2 = Block(4)

    def call(self, x):
        return self.block2(self.middle(self.block1(x)))


def test_custom_blocks_without_keyword_arguments_are_copied():
    model = Blocks()
    model(np.ones((2, 4), "float32"))
    settle(model)
    assert calls(model).names == ("x", "block1", "middle.a", "middle.b", "block2")
    for name in calls(model).names[1:]:
        assert edit(model, to=name).proof == EXACT


class Unrepeatable(keras.layers.Layer):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return {"lost": 1}


def test_a_layer_that_can_not_be_copied_is_named_with_the_remedy():
    x = keras.Input((4,), name="x")
    layer = Unrepeatable(L.Dense(3))
    layer.name = "mine"
    with pytest.raises(GraphError) as caught:
        cut(keras.Model(x, layer(x)))
    assert str(caught.value) == (
        "layer 'mine' (Unrepeatable) can't be copied from its configuration: Unrepeatable.__init__() missing 1 "
        "required positional argument: 'inner'; give the class a get_config() that its __init__ takes back"
    )


def test_a_lambda_that_holds_a_layer_is_refused():
    x, dense = keras.Input((4,), name="x"), L.Dense(3, name="held")
    dense.build((None, 4))
    model = keras.Model(x, L.Lambda(lambda t: dense(t), output_shape=(3,), name="mine")(x))
    with pytest.raises(GraphError) as caught:
        cut(model)
    assert str(caught.value) == (
        "layer 'mine' (Lambda) runs a function that holds Dense 'held', which a copy would share; make it a layer of "
        "its own"
    )

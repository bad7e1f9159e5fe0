"""Models of every kind that a plain convolutional chain isn't: builders of small ones."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tests.graph.models import settle

L = keras.layers
Builder = Callable[[], keras.Model]


def ids(name: str = "ids", size: int = 7) -> keras.KerasTensor:
    return keras.Input((size,), dtype="int32", name=name)


def steps(*shape: int, name: str = "steps") -> keras.KerasTensor:
    return keras.Input(shape or (6, 4), name=name)


def masked_by_embedding() -> keras.Model:
    x = t = ids()
    x = L.Embedding(9, 4, mask_zero=True, name="emb")(x)
    x = L.Dropout(0.3, name="drop")(x)
    x = L.LSTM(5, return_sequences=True, name="lstm_a")(x)
    return keras.Model(t, L.Dense(2, name="dense")(L.LSTM(3, name="lstm_b")(x)))


def masked_by_masking() -> keras.Model:
    a = steps(6, 3)
    x = L.Masking(name="masking")(a)
    x = L.Add(name="add")([x, L.Dense(3, name="inner")(x)])
    x = L.GlobalAveragePooling1D(name="pool")(L.Activation("tanh", name="act")(x))
    return keras.Model(a, L.Dense(2, name="dense")(x))


def masks_merged() -> keras.Model:
    t, u = ids(), ids("other")
    embed = L.Embedding(9, 4, mask_zero=True, name="emb")
    a, b = embed(t), embed(u)
    x = L.Concatenate(name="join")([a, L.Multiply(name="multiply")([a, b])])
    return keras.Model([t, u], L.Bidirectional(L.GRU(3), name="both")(x))


def masked_attention() -> keras.Model:
    t = ids()
    x = L.Embedding(9, 8, mask_zero=True, name="emb")(t)
    x = L.Add(name="add")([x, L.MultiHeadAttention(2, 4, name="attention")(x, x)])
    x = L.LayerNormalization(name="norm")(x)
    return keras.Model(t, L.GlobalAveragePooling1D(name="pool")(x))


def masked_through_nested() -> keras.Model:
    t, inner = ids(), ids("inner_ids")
    encoder = keras.Model(inner, L.Embedding(9, 4, mask_zero=True, name="emb")(inner), name="encoder")
    x = keras.Input((7, 4))
    decoder = keras.Model(x, L.LSTM(3, name="lstm")(x), name="decoder")
    return keras.Model(t, decoder(encoder(t)))


def mask_given() -> keras.Model:
    a, mask = steps(), keras.Input((6,), dtype="bool", name="mask")
    return keras.Model([a, mask], L.LSTM(4, name="lstm")(a, mask=mask))


def attention_scores() -> keras.Model:
    a = steps(6, 8)
    x = L.MultiHeadAttention(2, 4, name="causal")(a, a, use_causal_mask=True)
    x, scores = L.MultiHeadAttention(2, 4, name="scored")(x, a, return_attention_scores=True)
    return keras.Model(a, [x, scores])


def training_given() -> keras.Model:
    a = keras.Input((6,), name="a")
    x = L.BatchNormalization(name="bn")(L.Dense(4, name="first")(a), training=False)
    x = L.BatchNormalization(name="live_bn")(L.Dropout(0.5, name="live", seed=3)(x, training=True), training=True)
    return keras.Model(a, L.Dense(2, name="dense")(x))


def recurrent_layers() -> keras.Model:
    a = steps()
    x = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")(a)
    x = L.TimeDistributed(L.Dense(5), name="each")(x)
    x = L.RNN([L.LSTMCell(3), L.GRUCell(4)], return_sequences=True, name="stacked")(x)
    x, state = L.GRU(4, return_state=True, name="gru")(L.Conv1D(3, 2, name="conv")(x))
    return keras.Model(a, [x, state])


def state_passed_on() -> keras.Model:
    a = steps()
    x, h, c = L.LSTM(3, return_state=True, return_sequences=True, name="encode")(a)
    return keras.Model(a, [L.LSTM(3, name="decode")(a, initial_state=[h, c]), x])


def stateful() -> keras.Model:
    a = keras.Input(batch_shape=(2, 6, 4), name="steps")
    model = keras.Model(a, L.Dense(2, name="dense")(L.LSTM(3, stateful=True, name="lstm")(a)))
    model(np.ones((2, 6, 4), "float32"))
    return model


def lookups() -> keras.Model:
    words, numbers = keras.Input((3,), dtype="string", name="words"), keras.Input((3,), dtype="int64", name="numbers")
    strings, integers = L.StringLookup(name="strings"), L.IntegerLookup(name="integers", output_mode="multi_hot")
    strings.adapt(["a", "b", "the", "b"])
    integers.adapt([0, 1, 1, 5])
    x = L.Flatten(name="flat")(L.Embedding(20, 4, name="emb")(strings(words)))
    return keras.Model([words, numbers], L.Concatenate(name="join")([x, integers(numbers)]))


def text() -> keras.Model:
    words = keras.Input((1,), dtype="string", name="words")
    vectorize = L.TextVectorization(output_sequence_length=5, name="vectorize")
    vectorize.adapt(["a b the", "the of cut"])
    return keras.Model(words, L.GRU(3, name="gru")(L.Embedding(20, 4, mask_zero=True, name="emb")(vectorize(words))))


def hashed() -> keras.Model:
    words = keras.Input((3,), dtype="string", name="words")
    return keras.Model(words, L.Embedding(8, 2, name="emb")(L.Hashing(num_bins=7, name="hash")(words)))


def normalized() -> keras.Model:
    a = keras.Input((3,), name="a")
    data = np.random.default_rng(0).normal(2, 3, (50, 3)).astype("float32")
    norm, bins = L.Normalization(name="norm"), L.Discretization(num_bins=4, name="bins")
    norm.adapt(data)
    bins.adapt(data)
    fixed = L.Normalization(mean=[1, 2, 3], variance=[1, 4, 9], name="fixed")(a)
    codes = L.CategoryEncoding(num_tokens=5, output_mode="multi_hot", name="codes")(bins(a))
    return keras.Model(a, L.Concatenate(name="join")([norm(a), fixed, codes]))


def augmented() -> keras.Model:
    x = a = keras.Input((8, 8, 3), name="image")
    x = L.RandomContrast(0.2, name="contrast")(L.RandomRotation(0.1, name="turn")(L.RandomFlip(seed=1, name="flip")(x)))
    x = L.CenterCrop(3, 3, name="crop")(L.Resizing(4, 4, name="resize")(x))
    return keras.Model(a, L.Conv2D(2, 1, name="conv")(x))


class Scale(keras.Layer):
    """A custom layer that isn't registered."""

    def __init__(self, by=2.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), name="scale")

    def call(self, x):
        return x * self.scale * self.by

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("edgecut.tests")
class Shift(Scale):
    """A custom layer that is registered."""

    def call(self, x):
        return x + self.scale * self.by


def custom_layers() -> keras.Model:
    a = steps(5, 3)
    x = L.TimeDistributed(Scale(3.0, name="inner"), name="each")(a)
    return keras.Model(a, Shift(0.5, name="shift")(Scale(2.5, name="scale")(x)))


def swish(x):
    return keras.ops.sigmoid(x) * x


def custom_functions() -> keras.Model:
    a = keras.Input((3,), name="a")
    x = L.Dense(4, activation=swish, name="named")(a)
    x = L.Dense(4, activation=lambda t: t * t, name="unnamed")(x)
    return keras.Model(a, L.Activation(swish, name="act")(x))


def add_more(x, k=1, more=None):
    return x + k + (0 if more is None else more)


def lambdas() -> keras.Model:
    a = keras.Input((3,), name="a")
    x = L.Lambda(add_more, arguments={"k": 3, "more": np.ones(3, "float32")}, name="add_more")(a)
    x = L.Lambda(lambda t: t * 2, output_shape=(3,), name="twice")(x)
    x = L.TimeDistributed(L.Lambda(lambda t: t - 1, name="less"), name="each")(L.Reshape((3, 1), name="column")(x))
    return keras.Model(a, x)


def constants() -> keras.Model:
    a = keras.Input((3,), name="a")
    x = keras.ops.multiply(a + np.arange(3, dtype="float32"), tf.constant([1.0, 2.0, 3.0]))
    x = keras.ops.matmul(x, keras.Variable(np.ones((3, 2), "float32")))
    return keras.Model(a, (2.0 - x)[:, :1])


def structured_operators() -> keras.Model:
    a = steps()
    p, q = keras.ops.split(a, 2, axis=1)
    rows = keras.ops.unstack(p, axis=1)
    values, places = keras.ops.top_k(q, 2)
    joined = keras.ops.concatenate([rows[0], rows[2]], axis=-1)
    return keras.Model(a, {"joined": joined, "values": values, "places": places})


def sparse() -> keras.Model:
    a, codes = keras.Input((5,), name="a", sparse=True), keras.Input((3,), dtype="int32", name="codes")
    encoded = L.CategoryEncoding(5, output_mode="multi_hot", sparse=True, name="encode")(codes)
    return keras.Model([a, codes], [L.Dense(3, name="dense")(a), L.Dense(2, name="other")(encoded)])


class MaybeAdd(keras.Layer):
    def call(self, x, y=None):
        return x if y is None else x + y

    def compute_output_spec(self, x, y=None):
        return keras.KerasTensor(x.shape, x.dtype)


def optional() -> keras.Model:
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b", optional=True)
    return keras.Model([a, b], L.Dense(2, name="dense")(MaybeAdd(name="maybe")(a, b)))


def deep_structures() -> keras.Model:
    x, y, q0, q1 = (keras.Input((3,), name=name) for name in ("x", "y", "q0", "q1"))
    total = L.Add(name="add")([x, y, q0, q1])
    return keras.Model({"p": {"x": x, "y": y}, "q": [q0, q1]}, {"o": (total, [L.Dense(2, name="dense")(total)])})


def tuples() -> keras.Model:
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    return keras.Model((a, b), (L.Dense(2, name="dense")(a), a + b))


def nested_often() -> keras.Model:
    x = keras.Input((4,))
    inner = keras.Model(x, L.Dense(4, name="second")(L.Dense(4, name="first")(x)), name="inner")
    x = keras.Input((4,))
    middle = keras.Model(x, inner(inner(x)) + 1.0, name="middle")
    a = keras.Input((4,), name="a")
    return keras.Model(a, middle(middle(a)) + inner(a))


def inside_and_outside() -> keras.Model:
    dense, x, a = L.Dense(4, name="dense"), keras.Input((4,)), keras.Input((4,), name="a")
    inner = keras.Model(x, L.ReLU(name="relu")(dense(x)), name="inner")
    return keras.Model(a, dense(inner(dense(a))))


def nested_on_slices() -> keras.Model:
    x, a = keras.Input((4, 4, 1)), keras.Input((8, 8, 1), name="image")
    inner = keras.Model(x, L.Conv2D(2, 2, name="conv")(x), name="inner")
    return keras.Model(a, L.Add(name="add")([inner(a[:, :4, :4]), inner(a[:, 4:, 4:])]))


def nested_structures() -> keras.Model:
    x, y, a, b = (keras.Input((3,), name=name) for name in ("x", "y", "a", "b"))
    inner = keras.Model({"x": x, "y": y}, [x + y, L.Dense(2, name="dense")(x)], name="inner")
    return keras.Model([a, b], L.Concatenate(name="join")(inner({"y": b, "x": a})))


def from_the_middle() -> keras.Model:
    x = L.Conv2D(4, 3, name="before")(keras.Input((8, 8, 3), name="image"))
    return keras.Model(x, L.Flatten(name="flat")(L.Conv2D(4, 3, name="conv")(x)))


def passed_through() -> keras.Model:
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    return keras.Model([a, b], [a, L.Dense(2, name="dense")(a)])


def tied() -> keras.Model:
    t, embed = ids(), L.ReversibleEmbedding(9, 4, name="emb")
    return keras.Model(t, embed(L.Dense(4, name="dense")(embed(t)), reverse=True))


def quantized() -> keras.Model:
    a = keras.Input((8, 8, 3), name="image")
    x = L.Flatten(name="flat")(L.Conv2D(6, 3, activation="relu", name="conv")(a))
    model = keras.Model(a, L.Dense(3, name="dense")(x))
    model.quantize("int8")
    return model


def with_lora() -> keras.Model:
    a, dense = keras.Input((8,), name="a"), L.Dense(6, name="first")
    model = keras.Model(a, L.Dense(3, name="dense")(dense(a)))
    dense.enable_lora(2)
    return model


def mixed_precision() -> keras.Model:
    a, x = keras.Input((8, 8, 3), name="image"), keras.Input((6, 6, 6), name="inner_in")
    inner = keras.Model(x, L.BatchNormalization(name="bn", dtype="mixed_float16")(x), name="inner")
    x = inner(L.Conv2D(6, 3, activation="relu", name="conv", dtype="mixed_float16")(a))
    return keras.Model(a, L.Dense(3, name="dense", dtype="float32")(L.Flatten(name="flat", dtype="mixed_float16")(x)))


def other_types() -> keras.Model:
    a, b = keras.Input((8,), name="a", dtype="bool"), keras.Input((8,), name="b", dtype="float64")
    return keras.Model([a, b], keras.ops.where(a, L.Dense(8, name="dense", dtype="float64")(b), -b))


def sequentials() -> keras.Model:
    inner = keras.Sequential([L.Dense(3, name="d"), keras.Sequential([L.Dense(3, name="e")], name="ii")], name="i")
    return keras.Sequential([keras.Input((4,), name="a"), inner, L.Dense(2, name="o")])


def other_attention() -> keras.Model:
    a = steps(6, 8)
    x = L.Attention(name="attention")([a, a])
    x = L.Dot(axes=2, name="dot")([x, L.AdditiveAttention(name="additive")([a, x])])
    x = L.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d", name="project")(x)
    return keras.Model(a, keras.ops.einsum("abc,abd->acd", x, x))


UNSETTLED = {lookups, text, hashed, normalized, quantized, stateful}  # their state is what they learned
ALL: tuple[Builder, ...] = (
    masked_by_embedding, masked_by_masking, masks_merged, masked_attention, masked_through_nested, mask_given,
    attention_scores, training_given, recurrent_layers, state_passed_on, stateful, lookups, text, hashed, normalized,
    augmented, custom_layers, custom_functions, lambdas, constants, structured_operators, sparse, optional,
    deep_structures, tuples, nested_often, inside_and_outside, nested_on_slices, nested_structures, from_the_middle,
    passed_through, tied, quantized, with_lora, mixed_precision, other_types, sequentials, other_attention,
)  # fmt: skip


def make(build: Builder) -> keras.Model:
    """The model, with seeded random weights where it hasn't learned its own."""
    return build() if build in UNSETTLED else settle(build())

"""Small models of every shape that surgery meets, with weights and statistics that aren't trivial."""

from __future__ import annotations

import keras
import numpy as np

L = keras.layers


def settle(model: keras.Model, seed: int = 0) -> keras.Model:
    """Seeded random weights and BatchNormalization statistics, so that a lost one shows."""
    random = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False):
        for weight in layer._trainable_variables + layer._non_trainable_variables:
            if "seed" in weight.path or not weight.dtype.startswith("float"):
                continue
            positive = "variance" in weight.path or "gamma" in weight.path
            values = random.uniform(0.5, 1.5, weight.shape) if positive else random.normal(0, 0.3, weight.shape)
            weight.assign(values.astype("float32"))
        if isinstance(layer, L.Normalization):
            layer.finalize_state()
    return model


def chain() -> keras.Model:
    """Rescaling, convolutions, BatchNormalization, pooling, Dense."""
    x = inputs = keras.Input((16, 16, 3), name="image")
    x = L.Rescaling(1 / 127.5, offset=-1, name="rescale")(x)
    x = L.Conv2D(8, 3, strides=2, padding="same", name="conv_a")(x)
    x = L.BatchNormalization(name="bn_a")(x)
    x = L.ReLU(name="relu_a")(x)
    x = L.DepthwiseConv2D(3, padding="same", name="dw_b")(x)
    x = L.Conv2D(12, 1, name="conv_b")(x)
    x = L.ReLU(6.0, name="relu_b")(x)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    return settle(keras.Model(inputs, L.Dense(5, activation="softmax", name="dense")(x), name="chain"))


def residual() -> keras.Model:
    """Two residual blocks."""
    x = inputs = keras.Input((8, 8, 3), name="image")
    x = L.Conv2D(6, 3, padding="same", name="stem")(x)
    for k in range(2):
        y = L.Conv2D(6, 3, padding="same", name=f"block{k}_conv")(x)
        y = L.BatchNormalization(name=f"block{k}_bn")(y)
        x = L.Add(name=f"block{k}_add")([x, y])
        x = L.ReLU(name=f"block{k}_relu")(x)
    return settle(keras.Model(inputs, L.GlobalAveragePooling2D(name="pool")(x), name="residual"))


def nested() -> keras.Model:
    """A Functional backbone, within it a Sequential; the backbone is built on an open size."""
    block = keras.Sequential([L.Conv2D(4, 3, name="c1"), L.ReLU(name="r1"), L.Conv2D(4, 3, name="c2")], name="block")
    inner_in = keras.Input((None, None, 3), name="inner_in")
    backbone = keras.Model(inner_in, L.BatchNormalization(name="bn")(block(inner_in)), name="backbone")
    x = inputs = keras.Input((12, 12, 3), name="image")
    x = backbone(x, training=False)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    return settle(keras.Model(inputs, L.Dense(3, name="dense")(x), name="nested"))


def shared() -> keras.Model:
    """One Dense called three times, and an operator in between."""
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    dense = L.Dense(6, name="dense")
    x = dense(a) + dense(b) * 2.0
    return settle(keras.Model([a, b], dense(x), name="shared"))


def structured() -> keras.Model:
    """Dict in, dict out."""
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    joined = L.Concatenate(name="join")([left, right])
    outputs = {"sum": L.Dense(2, name="d1")(joined), "other": L.Dense(3, name="d2")(right)}
    return settle(keras.Model({"left": left, "right": right}, outputs, name="structured"))


def recurrent() -> keras.Model:
    """A layer with several outputs."""
    x = inputs = keras.Input((5, 4), name="steps")
    y, h, c = L.LSTM(3, return_sequences=True, return_state=True, name="lstm")(x)
    x = L.Concatenate(name="join")([L.GlobalAveragePooling1D(name="pool")(y), h, c])
    return settle(keras.Model(inputs, L.Dense(2, name="dense")(x), name="recurrent"))


ALL = (chain, residual, nested, shared, structured, recurrent)

"""Small models of layers that become other operators than one, and a loop that explains a file independently."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers

SIZE = (8, 8, 3)


def _conv(x: keras.KerasTensor, name: str = "first", filters: int = 8) -> keras.KerasTensor:
    return layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)


def _head(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.GlobalAveragePooling2D(name="pool")(x) if len(x.shape) == 4 else x
    x = layers.Flatten(name="flat")(x) if len(x.shape) == 3 else x
    return layers.Dense(5, name="scores")(x)


def separable(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.SeparableConv2D(8, 3, padding="same", name="separable_1")(_conv(x))
    x = layers.ReLU(name="relu_1")(layers.BatchNormalization(name="norm_1")(x))
    return _head(layers.SeparableConv2D(8, 3, padding="same", activation="relu", name="separable_2")(x))


def attention(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Reshape((64, 8), name="tokens")(_conv(x))
    seen = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    return _head(layers.Add(name="sum")([x, seen]))


def normalized(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.LayerNormalization(name="layer_norm")(_conv(x))
    x = layers.GroupNormalization(4, name="group_norm")(_conv(x, "second"))
    return _head(layers.UnitNormalization(name="unit")(x))


def activated(x: keras.KerasTensor) -> keras.KerasTensor:
    for place, kind in enumerate(("gelu", "silu", "hard_silu", "leaky_relu", "elu", "softplus", "mish", "relu6")):
        x = layers.Activation(kind, name=f"act_{kind}")(layers.Conv2D(8, 3, padding="same", name=f"conv_{place}")(x))
    return layers.Softmax(name="softmax")(_head(layers.PReLU(shared_axes=[1, 2], name="prelu")(x)))


def nested(x: keras.KerasTensor) -> keras.KerasTensor:
    inner = keras.Input((8, 8, 8))
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(inner)
    y = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(y))
    block = keras.Model(inner, layers.Dropout(0.2, name="drop")(y), name="block")
    return _head(block(block(_conv(x))))


def shared(x: keras.KerasTensor) -> keras.KerasTensor:
    twice = layers.Conv2D(8, 3, padding="same", activation="relu", name="twice")
    x = _conv(x)
    return _head(layers.Concatenate(name="both")([twice(x), twice(twice(x))]))


def residual(x: keras.KerasTensor) -> keras.KerasTensor:
    x = _conv(x)
    y = layers.ZeroPadding2D(1, name="pad")(x)
    y = layers.Conv2D(8, 3, name="valid", use_bias=False)(y)
    x = layers.ReLU(name="sum_relu")(layers.Add(name="sum")([x, layers.BatchNormalization(name="norm")(y)]))
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = layers.Dense(8, activation="sigmoid", name="excite")(gate)
    return _head(layers.Multiply(name="scale")([x, gate]))


def moved(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Permute((2, 1, 3), name="permute")(_conv(x))
    x = layers.Reshape((4, 16, 8), name="reshape")(x)
    x = layers.Cropping2D(1, name="crop")(layers.UpSampling2D(2, name="twice")(x))
    x = layers.MaxPooling2D(2, name="max")(x)
    return layers.Dense(5, name="scores")(layers.Flatten(name="flat")(x))


def transposed(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Conv2DTranspose(8, 2, strides=2, activation="relu", name="up")(_conv(x))
    return _head(layers.Conv2D(8, 3, dilation_rate=2, groups=2, padding="same", name="grouped")(x))


def parallel(x: keras.KerasTensor) -> keras.KerasTensor:
    x = _conv(x)
    ways = [layers.Conv2D(8, 1, name=f"way_{k}")(x) for k in range(3)]
    return _head(layers.Average(name="mean")([*ways, x]))


def recurrent(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Reshape((4, 128), name="steps")(_conv(x))
    return layers.Dense(5, name="scores")(layers.LSTM(6, unroll=True, name="lstm")(x))


MAKERS: dict[str, Callable[[keras.KerasTensor], keras.KerasTensor]] = {
    f.__name__: f
    for f in (
        separable, attention, normalized, activated, nested, shared, residual, moved, transposed, parallel, recurrent,
    )
}  # fmt: skip


def model(name: str) -> keras.Model:
    """The model of that name with seeded weights, whose BatchNormalizations have statistics of their own."""
    keras.utils.set_random_seed(7)
    source = keras.Input(SIZE)
    made = keras.Model(source, MAKERS[name](source), name=name)
    random = np.random.default_rng(7)
    for variable in made.variables:
        if variable.path.rpartition("/")[2] in {"moving_variance", "gamma"}:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif variable.path.rpartition("/")[2] in {"moving_mean", "beta", "bias", "alpha"}:
            variable.assign(random.normal(0, 0.2, variable.shape))
    return made


def images(count: int = 16) -> np.ndarray:
    """(count, 8, 8, 3), float32 in -1..1."""
    return np.random.default_rng(3).uniform(-1, 1, (count, *SIZE)).astype(np.float32)

"""Nets of sounds and of movements, as their public definitions have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from tools.boards.layers import Shape, Tensor, conv, dense_head, depthwise

# YAMNet: stride and filters of each separable block (tensorflow/models research/audioset/yamnet).
YAMNET = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024))
# Yamnet 256 is the first half of YAMNet.
YAMNET_BLOCKS = {256: 5, 512: 11, 1024: 13}


def yamnet(shape: Shape, classes: int, *, embedding: int = 256) -> keras.Model:
    """ST's Yamnet: a Permute, the blocks of YAMNet up to an embedding of 256 or 1024, and a Dense."""
    inputs = layers.Input(shape)
    x = conv(layers.Permute((2, 1, 3))(inputs), 32, 3, 2)
    for stride, filters in YAMNET[: YAMNET_BLOCKS[embedding]]:
        x = conv(depthwise(x, 3, stride), filters, 1)
    return keras.Model(inputs, dense_head(x, classes))


def miniresnet(shape: Shape, classes: int, *, stacks: int = 1) -> keras.Model:
    """ST's MiniResNet: the stem of Keras's ResNet, stacks of two blocks without the last 1x1, and a Dense over all."""

    def block(x: Tensor, filters: int, stride: int, *, projected: bool) -> Tensor:
        short = layers.BatchNormalization()(layers.Conv2D(filters, 1, stride)(x)) if projected else x
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 1, stride)(x)))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(x)))
        return layers.ReLU()(layers.Add()([short, x]))

    def body(x: Tensor) -> Tensor:
        for number in range(stacks):
            x = block(x, 64 * 2**number, 2, projected=True)
            x = block(x, 64 * 2**number, 1, projected=False)
        return x

    return _resnet(body, shape, classes, preactivated=False)


def miniresnet_v2(shape: Shape, classes: int, *, stacks: int = 1) -> keras.Model:
    """ST's MiniResNet v2: pre-activated blocks, the second of a stack with a stride."""

    def block(x: Tensor, filters: int, stride: int, *, projected: bool) -> Tensor:
        before = layers.ReLU()(layers.BatchNormalization()(x))
        short = layers.MaxPooling2D(1, stride)(x) if stride > 1 else x
        short = layers.Conv2D(filters, 1)(before) if projected else short
        y = layers.Conv2D(filters, 1, use_bias=False)(before)
        y = layers.ZeroPadding2D(1)(layers.ReLU()(layers.BatchNormalization()(y)))
        return layers.Add()([short, layers.Conv2D(filters, 3, stride)(y)])

    def body(x: Tensor) -> Tensor:
        for number in range(stacks):
            x = block(x, 64 * 2**number, 1, projected=True)
            x = block(x, 64 * 2**number, 2, projected=False)
        return x

    return _resnet(body, shape, classes, preactivated=True)


def gmp(shape: Shape, classes: int) -> keras.Model:
    """ST's GMP for movements: two convolutions along time, and the maximum over all places."""
    inputs = layers.Input(shape)
    x = layers.BatchNormalization()(inputs)
    x = layers.BatchNormalization()(layers.Conv2D(16, (5, 1))(x))
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(16, (5, 1))(x))
    return keras.Model(inputs, layers.Softmax()(layers.Dense(classes)(x)))


def ign(shape: Shape, classes: int) -> keras.Model:
    """ST's IGN for movements: a convolution along time and two Dense."""
    inputs = layers.Input(shape)
    x = layers.MaxPooling2D((3, 1))(layers.Conv2D(24, (16, 1), activation="relu")(inputs))
    x = layers.Dense(12)(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def hand_posture(shape: Shape, classes: int) -> keras.Model:
    """ST's CNN2D for hand postures of a time-of-flight sensor."""
    inputs = layers.Input(shape)
    x = layers.MaxPooling2D(2)(layers.Conv2D(8, 3, activation="relu")(inputs))
    x = layers.Dense(32, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def kws(shape: Shape, classes: int) -> keras.Model:
    """MLPerf Tiny's keyword spotting: the small DS-CNN."""
    inputs = layers.Input(shape)
    x = conv(inputs, 64, (10, 4), 2)
    for _ in range(4):
        x = conv(depthwise(x), 64, 1)
    x = layers.Flatten()(layers.AveragePooling2D(tuple(x.shape[1:3]))(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def autoencoder(shape: Shape, classes: int) -> keras.Model:
    """MLPerf Tiny's anomaly detection: as wide at the end as the row that it takes; `classes` isn't used."""
    inputs = layers.Input(shape[-1:])
    x: Any = inputs
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(units)(x)))
    return keras.Model(inputs, layers.Dense(shape[-1])(x))


def _resnet(body: Callable[[Tensor], Tensor], shape: Shape, classes: int, *, preactivated: bool) -> keras.Model:
    inputs = layers.Input(shape)
    x = layers.Conv2D(64, 7, 2)(layers.ZeroPadding2D(3)(inputs))
    x = x if preactivated else layers.ReLU()(layers.BatchNormalization()(x))
    x = body(layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x)))
    x = layers.ReLU()(layers.BatchNormalization()(x)) if preactivated else x
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(layers.Flatten()(x)))


SOUND: dict[str, Callable[..., keras.Model]] = {
    "autoencoder": autoencoder,
    "gmp": gmp,
    "hand_posture": hand_posture,
    "ign": ign,
    "kws": kws,
    "miniresnet": miniresnet,
    "miniresnet_v2": miniresnet_v2,
    "yamnet": yamnet,
}

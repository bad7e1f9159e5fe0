"""Blocks that several public definitions are made of."""

from __future__ import annotations

import keras
from keras import layers

Tensor = keras.KerasTensor
Shape = tuple[int, int, int]


def conv(
    x: Tensor, filters: int, kernel: int | tuple[int, int] = 3, strides: int = 1, act: str | None = "relu"
) -> Tensor:
    """A convolution with SAME padding, its normalization and an activation, None for none."""
    x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)(x)
    return activation(layers.BatchNormalization()(x), act)


def depthwise(x: Tensor, kernel: int | tuple[int, int] = 3, strides: int = 1, act: str | None = "relu") -> Tensor:
    """A depthwise convolution with SAME padding, its normalization and an activation, None for none."""
    x = layers.DepthwiseConv2D(kernel, strides, padding="same", use_bias=False)(x)
    return activation(layers.BatchNormalization()(x), act)


def activation(x: Tensor, name: str | None) -> Tensor:
    """The activation of a name, "relu6" among them; None leaves the value as it is."""
    if name is None:
        return x
    return layers.ReLU(6.0)(x) if name == "relu6" else layers.Activation(name)(x)


def dense_head(x: Tensor, classes: int) -> Tensor:
    """The mean over all places, and a Dense with a softmax, or with a sigmoid where there is one output."""
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(classes, activation="sigmoid" if classes == 1 else "softmax")(x)


def conv_head(x: Tensor, classes: int) -> Tensor:
    """The mean over all places, a convolution of 1x1 for the scores, and a softmax."""
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return layers.Activation("softmax")(layers.Reshape((classes,))(layers.Conv2D(classes, 1)(x)))


def divisible(value: float, step: int = 8) -> int:
    """The multiple of `step` that MobileNetV2 rounds a width to: never more than a tenth below it."""
    rounded = max(step, int(value + step / 2) // step * step)
    return rounded + step if rounded < 0.9 * value else rounded

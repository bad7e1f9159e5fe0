"""Models by their first operator, and what their tests share."""

from __future__ import annotations

import keras
import numpy as np

from edgecut.records.recipe import CustomPreprocess
from tests.graph import models

L = keras.layers
UNLIKE = CustomPreprocess(scale=(0.1, 0.2, 0.3), offset=(1, -2, 3), order="bgr")
MODES = ("tf", "torch", "caffe", "raw", UNLIKE)


def _conv(x, padding):
    return L.Conv2D(4, 3, strides=2, padding=padding, name="first")(x)


def _dilated(x, padding):
    return L.Conv2D(4, 3, dilation_rate=2, padding=padding, name="first", activation="relu")(x)


def _grouped(x, padding):
    return L.Conv2D(6, 3, groups=3, padding=padding, use_bias=False, name="first")(x)


def _depthwise(x, padding):
    return L.DepthwiseConv2D(3, strides=2, depth_multiplier=2, padding=padding, name="first")(x)


def _separable(x, padding):
    return L.SeparableConv2D(8, 3, strides=2, padding=padding, name="first", activation="relu")(x)


def _depthwise_then_pointwise(x, padding):
    x = L.DepthwiseConv2D(3, padding=padding, use_bias=False, name="dw")(x)
    x = L.BatchNormalization(name="dw_bn")(x)
    return L.Conv2D(2, 1, name="first", activation="relu")(x)


def _normalized(x, padding):
    return L.Conv2D(4, 3, padding=padding, name="first")(L.BatchNormalization(name="bn")(x))


def _rescaled(x, padding):
    x = L.Normalization(mean=(0.1, 0.2, 0.3), variance=(1.0, 2.0, 3.0), name="norm")(L.Rescaling(0.1, 0.5, name="r")(x))
    return L.Conv2D(4, 5, padding=padding, name="first")(x)


def _operators(x, padding):
    x = (x[..., ::-1] / 2.0 - np.array([0.1, 0.2, 0.3], "float32")) * 3.0
    return L.Conv2D(4, 3, padding=padding, name="first")(x)


def _several(x, padding):
    a = L.Conv2D(4, 3, padding=padding, name="a")(x)
    b = L.DepthwiseConv2D(3, padding=padding, name="b")(x)
    return L.Concatenate(name="join")([a, b])


def _skip(x, padding):
    return L.Concatenate(name="join")([L.Conv2D(2, 3, padding="same", name="a")(x), x])


def _pooled(x, padding):
    return L.Conv2D(4, 3, padding=padding, name="late")(L.MaxPooling2D(2, name="pool")(x))


def _dense(x, padding):
    return L.Dense(4, activation="relu", name="first")(L.Dropout(0.1, name="drop")(L.Flatten(name="flat")(x)))


BUILDERS = {
    "conv": _conv, "dilated": _dilated, "grouped": _grouped, "depthwise": _depthwise, "separable": _separable,
    "depthwise, pointwise": _depthwise_then_pointwise, "normalization first": _normalized, "rescaled": _rescaled,
    "operators": _operators, "several consumers": _several, "skip": _skip, "pooled": _pooled, "dense": _dense,
}  # fmt: skip


def model_of(kind, height=12, width=14, padding="same"):
    """A model of 3 channels whose first operator is of that kind, BatchNormalization and ReLU behind it."""
    inputs = keras.Input((height, width, 3), name="image")
    x = BUILDERS[kind](inputs, padding)
    x = L.ReLU(name="relu")(L.BatchNormalization(name="last_bn")(x))
    return models.settle(keras.Model(inputs, x, name="source"))


def conv_model(kernel, stride, padding, height, width, *, explicit=None, bias=True, dilation=1):
    """One convolution of 4 filters with BatchNormalization behind it. explicit: the pads of a ZeroPadding2D."""
    x = inputs = keras.Input((height, width, 3), name="image")
    if explicit is not None:
        x = L.ZeroPadding2D(explicit, name="pad")(x)
    x = L.Conv2D(4, kernel, strides=stride, padding=padding, use_bias=bias, dilation_rate=dilation, name="conv")(x)
    return models.settle(keras.Model(inputs, L.BatchNormalization(name="bn")(x), name="source"))


def bytes_like(height, width, channels, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (2, height, width, channels)).astype("uint8")


def relative(got, expected):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    return float(np.max(np.abs(got - expected)) / max(np.max(np.abs(expected)), 1e-30))

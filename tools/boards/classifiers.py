"""Nets that classify pictures, as their public definitions have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
from keras import layers

from tools.boards.layers import Shape, Tensor, conv, conv_head, dense_head, divisible

# FD-MobileNet: filters and stride of each block (arXiv 1802.03750, figure 2).
FAST_BLOCKS = ((64, 2), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 4, (1024, 1))
# ST FdMobileNet v1: the width multiplier of the stem and of each block.
ST_FAST_WIDTHS = (0.5, 0.75, 0.625, 0.5, 0.375, *[0.25] * 7)
# EfficientNet: kernel, stride, filters and repeats of each stage (arXiv 1905.11946, table 1).
STAGES = ((3, 1, 16, 1), (3, 2, 24, 2), (5, 2, 40, 2), (3, 2, 80, 3), (5, 1, 112, 3), (5, 2, 192, 4), (3, 1, 320, 1))


def application(name: str, shape: Shape, classes: int, *, top: bool = True, **more: object) -> keras.Model:
    """A net of keras.applications. top: with its own head, else with the mean and a Dense."""
    make = getattr(keras.applications, name)
    if top:
        return make(input_shape=shape, weights=None, classes=classes, **more)
    body = make(input_shape=shape, weights=None, include_top=False, **more)
    return keras.Model(body.input, dense_head(body.output, classes))


def squeezenet(shape: Shape, classes: int, *, version: float = 1.1) -> keras.Model:
    """SqueezeNet 1.1 of its authors; 1.0 is the model zoo's of ST, with normalized squeezes and one stage less."""
    inputs = layers.Input(shape)
    old = version == 1.0
    x = layers.Conv2D(96 if old else 64, 7 if old else 3, strides=2, activation="relu")(inputs)
    stages = ((16, 16, 32), (32, 48, 48), (64,)) if old else ((16, 16), (32, 32), (48, 48, 64, 64))
    for stage in stages:
        x = layers.MaxPooling2D(3, 2)(x)
        for squeeze in stage:
            x = _fire(x, squeeze, normalized=old)
    x = layers.Conv2D(classes, 1, activation="relu")(x)
    x = layers.BatchNormalization()(x) if old else x
    return keras.Model(inputs, layers.Softmax()(layers.GlobalAveragePooling2D()(x)))


def fd_mobilenet(shape: Shape, classes: int, *, alpha: float = 1.0) -> keras.Model:
    """FD-MobileNet as ST has it: the depthwise convolutions have a bias and no activation."""
    return _fast(shape, classes, [alpha] * 12)


def st_fd_mobilenet(shape: Shape, classes: int) -> keras.Model:
    """ST FdMobileNet v1: the same with a width of its own for each block."""
    return _fast(shape, classes, ST_FAST_WIDTHS)


def st_efficientnet_lc(shape: Shape, classes: int) -> keras.Model:
    """ST EfficientNet LC v1: EfficientNet-B0 of 0.45 width, expansion 3, with ReLU6."""
    inputs = layers.Input(shape)
    x = conv(inputs, divisible(32 * 0.45), 3, 2, "relu6")
    for number, (kernel, stride, filters, repeats) in enumerate(STAGES):
        for k in range(repeats):
            x = _squeezed_block(x, divisible(filters * 0.45), kernel, stride if k == 0 else 1, 3 if number else 1)
    x = conv(x, divisible(1280 * 0.45), 1, 1, "relu6")
    return keras.Model(inputs, dense_head(x, classes))


def resnet_v1(shape: Shape, classes: int, *, depth: int = 8) -> keras.Model:
    """Keras's ResNet v1 for CIFAR, of depth 6n + 2; 8 is MLPerf Tiny's image classification."""
    inputs = layers.Input(shape)
    x = _biased(inputs, 16, 3, 1, "relu")
    for stack, filters in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            stride = 2 if stack and not block else 1
            y = _biased(_biased(x, filters, 3, stride, "relu"), filters, 3, 1, None)
            if stride > 1:
                x = layers.Conv2D(filters, 1, stride, padding="same")(x)
            x = layers.Activation("relu")(layers.Add()([x, y]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def resnet(shape: Shape, classes: int, *, depth: int = 18, width: float = 1.0) -> keras.Model:
    """ResNet-18 or -34 of two convolutions a block (arXiv 1512.03385, table 1), padded as PyTorch pads."""
    inputs = layers.Input(shape)
    x = layers.ZeroPadding2D(3)(inputs)
    x = layers.BatchNormalization()(layers.Conv2D(int(64 * width), 7, 2, use_bias=False)(x))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(layers.ReLU()(x)))
    for number, repeats in enumerate((2, 2, 2, 2) if depth == 18 else (3, 4, 6, 3)):
        for k in range(repeats):
            x = _basic(x, int(64 * width) * 2**number, 2 if number and not k else 1)
    return keras.Model(inputs, dense_head(x, classes))


def _basic(x: Tensor, filters: int, stride: int) -> Tensor:
    y = layers.ZeroPadding2D(1)(x) if stride > 1 else x
    y = layers.Conv2D(filters, 3, stride, padding="valid" if stride > 1 else "same", use_bias=False)(y)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = conv(y, filters, 3, 1, None)
    short = conv(x, filters, 1, stride, None) if stride > 1 or x.shape[-1] != filters else x
    return layers.ReLU()(layers.Add()([short, y]))


def st_mnist(shape: Shape, classes: int) -> keras.Model:
    """ST MNIST: three convolutions, two of them with a depthwise one behind."""
    inputs = layers.Input(shape)
    x = inputs
    for filters, stride, depthwise_stride in ((16, 2, 1), (32, 1, 2)):
        x = _biased(x, filters, 3, stride, "relu")
        x = layers.DepthwiseConv2D(3, depthwise_stride, padding="same")(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
    return keras.Model(inputs, dense_head(_biased(x, 64, 1, 1, "relu"), classes))


def vww(shape: Shape, classes: int, *, alpha: float = 0.25) -> keras.Model:
    """MLPerf Tiny's visual wake words: MobileNetV1 with SAME padding, an average pooling and a Dense."""
    inputs = layers.Input(shape)
    x = conv(inputs, int(32 * alpha), 3, 2)
    blocks = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
    for filters, stride in blocks:
        x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        x = conv(x, int(filters * alpha), 1)
    x = layers.Flatten()(layers.AveragePooling2D(tuple(x.shape[1:3]))(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def _fire(x: Tensor, squeeze: int, *, normalized: bool) -> Tensor:
    x = layers.Conv2D(squeeze, 1, activation="relu")(x)
    x = layers.BatchNormalization()(x) if normalized else x
    expanded = [layers.Conv2D(4 * squeeze, kernel, padding="same", activation="relu")(x) for kernel in (1, 3)]
    return layers.Concatenate()(expanded)


def _fast(shape: Shape, classes: int, widths: Sequence[float]) -> keras.Model:
    inputs = layers.Input(shape)
    x = conv(inputs, int(32 * widths[0]), 3, 2)
    for (filters, stride), width in zip(FAST_BLOCKS, widths[1:], strict=True):
        x = layers.DepthwiseConv2D(3, stride, padding="same")(x)
        x = conv(x, int(filters * width), 1)
    return keras.Model(inputs, conv_head(x, classes))


def _biased(x: Tensor, filters: int, kernel: int, stride: int, act: str | None) -> Tensor:
    x = layers.BatchNormalization()(layers.Conv2D(filters, kernel, stride, padding="same")(x))
    return x if act is None else layers.Activation(act)(x)


def _squeezed_block(x: Tensor, filters: int, kernel: int, stride: int, expansion: int) -> Tensor:
    before, channels = x, x.shape[-1]
    wide = channels * expansion
    if expansion > 1:
        x = conv(x, wide, 1, 1, "relu6")
    x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.ReLU(6.0)(layers.Conv2D(max(1, channels // 4), 1)(gate))
    gate = keras.ops.clip(layers.Conv2D(wide, 1)(gate), -4.0, 4.0)
    x = layers.Multiply()([x, layers.Activation("sigmoid")(gate)])
    x = conv(x, filters, 1, 1, None)
    return layers.Add()([x, before]) if stride == 1 and channels == filters else x


CLASSIFIERS: dict[str, Callable[..., keras.Model]] = {
    "fd_mobilenet": fd_mobilenet,
    "resnet": resnet,
    "resnet_v1": resnet_v1,
    "squeezenet": squeezenet,
    "st_efficientnet_lc": st_efficientnet_lc,
    "st_fd_mobilenet": st_fd_mobilenet,
    "st_mnist": st_mnist,
    "vww": vww,
}

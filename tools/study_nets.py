"""The nets that generated C is compared on: parts and wholes of public architectures with seeded weights, in int8.

    python tools/study_nets.py FOLDER

Weights are random, since memory, instructions and equality don't depend on them; batch normalization gets the
statistics of the images, and the last layer is scaled to logits that differ by image, so that outputs do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from edgecut.export.artifacts import export

Tensor = keras.KerasTensor


def main() -> int:
    """Writes NAME.tflite for each net that isn't there yet."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in NETS.items():
        target = folder / f"{name}.tflite"
        if target.is_file():
            continue
        keras.utils.set_random_seed(0)
        model = make()
        rng = np.random.default_rng(0)
        images = _images(rng, model.input_shape[1:])
        _normalize(model, images, rng)
        _spread_logits(model, images)
        export(model, precision="int8", calibration=images, path=target)
        print(name, target.stat().st_size, flush=True)
    return 0


def _images(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Fields of four by four colours under noise: features of random weights hardly differ between images of noise."""
    height, width, depth = shape
    fields = rng.uniform(-1, 1, (24, 4, 4, depth))
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    images = fields[:, rows][:, :, columns] + rng.uniform(-0.4, 0.4, (24, *shape))
    return np.clip(images, -1, 1).astype(np.float32)


def _normalize(model: keras.Model, images: np.ndarray, rng: np.random.Generator) -> None:
    """Batch normalization, in place: what training on these images would leave behind."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            spread = rng.uniform(0.6, 1.4, gamma.shape), rng.normal(0, 0.3, beta.shape)
            layer.set_weights([*spread, mean, variance])
            layer.momentum = 0.0
    model(images, training=True)


def _spread_logits(model: keras.Model, images: np.ndarray) -> None:
    """Weights of the last layer that has any, in place: each logit has mean 0 and deviation 3 over the images."""
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    activation, last.activation = last.activation, keras.activations.linear
    logits = keras.Model(model.input, last.output).predict(images, verbose=0)
    last.activation = activation
    axes = tuple(range(logits.ndim - 1))
    factor = 3.0 / np.maximum(logits.std(axes), 1e-6)
    kernel, bias = last.get_weights()
    last.set_weights([kernel * factor, (bias - logits.mean(axes)) * factor])


def _part(make: Callable[..., keras.Model], size: int, layer: str, **more: object) -> keras.Model:
    whole = make(input_shape=(size, size, 3), weights=None, include_top=False, **more)
    return keras.Model(whole.input, _head(whole.get_layer(layer).output))


def _head(x: Tensor, classes: int = 10) -> Tensor:
    return layers.Dense(classes, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def _squeezenet(size: int, whole: bool) -> keras.Model:
    def fire(x: Tensor, squeeze: int, expand: int) -> Tensor:
        x = layers.Conv2D(squeeze, 1, activation="relu")(x)
        left = layers.Conv2D(expand, 1, activation="relu")(x)
        right = layers.Conv2D(expand, 3, padding="same", activation="relu")(x)
        return layers.Concatenate()([left, right])

    inputs = layers.Input((size, size, 3))
    x = layers.Conv2D(64, 3, strides=2, activation="relu")(inputs)
    x = layers.MaxPooling2D(3, 2)(x)
    x = fire(fire(x, 16, 64), 16, 64)
    x = layers.MaxPooling2D(3, 2)(x)
    x = fire(fire(x, 32, 128), 32, 128)
    if whole:
        x = layers.MaxPooling2D(3, 2)(x)
        for squeeze, expand in ((48, 192), (48, 192), (64, 256), (64, 256)):
            x = fire(x, squeeze, expand)
        x = layers.Conv2D(1000, 1, activation="relu")(x)
        return keras.Model(inputs, layers.Softmax()(layers.GlobalAveragePooling2D()(x)))
    return keras.Model(inputs, _head(x))


def _lite(size: int, stop: int | None, channels: int = 3) -> keras.Model:
    """EfficientNet-Lite0: no squeeze-excite, ReLU6."""

    def block(x: Tensor, filters: int, kernel: int, stride: int, expand: int) -> Tensor:
        y = x
        if expand > 1:
            y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(x.shape[-1] * expand, 1, use_bias=False)(y)))
        y = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False)(y)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 1, use_bias=False)(y))
        return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == filters else y

    stages = (
        (1, 16, 3, 1, 1),
        (2, 24, 3, 2, 6),
        (2, 40, 5, 2, 6),
        (3, 80, 3, 2, 6),
        (3, 112, 5, 1, 6),
        (4, 192, 5, 2, 6),
        (1, 320, 3, 1, 6),
    )
    blocks = [(f, k, s if n == 0 else 1, e) for count, f, k, s, e in stages for n in range(count)]
    inputs = layers.Input((size, size, channels))
    x = layers.Conv2D(32, 3, 2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    for row in blocks[:stop]:
        x = block(x, *row)
    if stop is None:
        x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(1280, 1, use_bias=False)(x)))
    return keras.Model(inputs, _head(x, 10 if stop else 1000))


def _emotion() -> keras.Model:
    """A small Xception: separable convolutions with residuals."""
    inputs = layers.Input((64, 64, 1))
    x = inputs
    for _ in range(2):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, use_bias=False)(x)))
    for filters in (16, 32, 64, 128):
        aside = layers.BatchNormalization()(layers.Conv2D(filters, 1, 2, padding="same", use_bias=False)(x))
        x = layers.ReLU()(layers.BatchNormalization()(layers.SeparableConv2D(filters, 3, padding="same")(x)))
        x = layers.BatchNormalization()(layers.SeparableConv2D(filters, 3, padding="same")(x))
        x = layers.Add()([layers.MaxPooling2D(3, 2, padding="same")(x), aside])
    x = layers.Conv2D(7, 3, padding="same")(x)
    return keras.Model(inputs, layers.Softmax()(layers.GlobalAveragePooling2D()(x)))


NETS: dict[str, Callable[[], keras.Model]] = {
    "mobilenet_conv_pw_5": lambda: _part(keras.applications.MobileNet, 96, "conv_pw_5_relu"),
    "mobilenetv2_block_6": lambda: _part(keras.applications.MobileNetV2, 96, "block_6_expand_relu"),
    "squeezenet_fire5": lambda: _squeezenet(96, whole=False),
    "emotion": _emotion,
    "efficientnet_lite0_block_6": lambda: _lite(96, 6),
    "efficientnet_lite0_block_6_gray": lambda: _lite(96, 6, channels=1),
    "mobilenet_025_224": lambda: keras.applications.MobileNet((224, 224, 3), alpha=0.25, weights=None),
    "mobilenetv2_035_160": lambda: keras.applications.MobileNetV2((160, 160, 3), alpha=0.35, weights=None),
    "mobilenetv2_224": lambda: keras.applications.MobileNetV2((224, 224, 3), weights=None),
    "efficientnet_lite0_224": lambda: _lite(224, None),
    "squeezenet_227": lambda: _squeezenet(227, whole=True),
    "mobilenetv3small_96": lambda: keras.applications.MobileNetV3Small(
        (96, 96, 3), weights=None, minimalistic=True, include_preprocessing=False
    ),
    "mobilenetv3_se_block_2": lambda: _part(
        keras.applications.MobileNetV3Small, 96, "expanded_conv_2_add", include_preprocessing=False
    ),
    "efficientnetb0_block3": lambda: _part(keras.applications.EfficientNetB0, 96, "block3b_add"),
}


if __name__ == "__main__":
    raise SystemExit(main())

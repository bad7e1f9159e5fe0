"""Nets that find objects, as their public definitions have them, without what a processor does behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import layers

from tools.boards.layers import Shape, Tensor, conv, depthwise

ANCHORS = 5


def st_yolo_lc(shape: Shape, classes: int) -> keras.Model:
    """ST's Yolo LC v1: four convolutions with a stride, and four separable ones."""
    inputs = layers.Input(shape)
    x = inputs
    for filters in (16, 32, 64, 128):
        x = conv(x, filters, 3, 2)
    x = conv(depthwise(x, act=None), 256, 1)
    x = conv(depthwise(x, act=None), 256, 1)
    x = layers.MaxPooling2D(2, 1, padding="same")(x)
    x = conv(depthwise(x, act=None), 128, 1)
    x = conv(depthwise(x, act=None), 256, 1)
    return keras.Model(inputs, conv(x, ANCHORS * (5 + classes), 1, 1, None))


def tiny_yolo_v2(shape: Shape, classes: int) -> keras.Model:
    """Tiny YOLOv2: eight convolutions of 3x3 with a leaky ReLU, poolings between them."""
    inputs = layers.Input(shape)
    x = inputs
    for filters in (16, 32, 64, 128, 256, 512):
        x = conv(x, filters, 3, 1, "leaky_relu")
        x = layers.MaxPooling2D(2, 1 if filters == 512 else 2, padding="same")(x)
    x = conv(conv(x, 1024, 3, 1, "leaky_relu"), 512, 3, 1, "leaky_relu")
    return keras.Model(inputs, conv(x, ANCHORS * (5 + classes), 1, 1, None))


def st_ssd_mobilenet_v1(shape: Shape, classes: int, *, alpha: float = 0.25) -> keras.Model:
    """ST's SSD on MobileNetV1: five or six maps of 32 channels, added from the last to the first.

    The anchors, constants of the file, are left out.
    """
    body = keras.applications.MobileNet(input_shape=shape, alpha=alpha, weights=None, include_top=False)
    first, second, x = (body.get_layer(f"conv_pw_{k}_relu").output for k in (5, 11, 13))
    if shape[0] == 224:
        first, second = layers.ZeroPadding2D(2)(first), layers.ZeroPadding2D(1)(second)
        x = layers.ZeroPadding2D(((1, 0), (1, 0)))(x)
    maps = [_map(first), _map(second), _map(x)]
    for _ in range(1 if shape[0] == 192 else 2):
        for stride in (2, 1):
            x = _biased(_separable(x, stride), 256, 1, "relu6")
        maps.append(_map(x))
    maps.append(_map(layers.GlobalAveragePooling2D(keepdims=True)(x)))
    outputs = [_predictions(maps[-1], classes, 3 if shape[0] == 192 else 1)]
    for k in range(len(maps) - 2, -1, -1):
        larger = layers.UpSampling2D(2, interpolation="bilinear")(maps[k + 1])
        if larger.shape[1] < maps[k].shape[1]:
            larger = layers.ZeroPadding2D(((1, 0), (1, 0)))(larger)
        maps[k] = layers.Add()([maps[k], larger])
        outputs.insert(0, _predictions(maps[k], classes, 3))
    return keras.Model(body.input, _joined(outputs))


def ssd_fpnlite(shape: Shape, classes: int, *, alpha: float = 0.35) -> keras.Model:
    """ST's SSD on MobileNetV2 with FPN-lite: five maps of 128 channels, each through four separable convolutions.

    The anchors, constants of the file, are left out.
    """
    body = keras.applications.MobileNetV2(input_shape=shape, alpha=alpha, weights=None, include_top=False)
    names = ("block_5_add", "block_12_add", "out_relu")
    first, second, third = (_biased(body.get_layer(name).output, 128, 1, None) for name in names)
    second = _lite(layers.Add()([second, layers.UpSampling2D(2, interpolation="bilinear")(third)]))
    first = _lite(layers.Add()([first, layers.UpSampling2D(2, interpolation="bilinear")(second)]))
    fourth = _lite(third, 2)
    maps = [first, second, third, fourth, _lite(fourth, 2)]
    outputs = []
    for x in maps:
        for _ in range(4):
            x = _lite(x)
        outputs.append(_predictions(x, classes, 3, separable=True))
    return keras.Model(body.input, _joined(outputs))


def yolox(
    shape: Shape, classes: int, *, depth: float = 0.33, width: float = 0.5, separable: bool = False, act: str = "swish"
) -> keras.Model:
    """YOLOX (arXiv 2107.08430); separable, with ReLU6, a strided stem and bilinear maps it is ST's YOLO X Nano."""
    count = max(round(3 * depth), 1)
    settings = _Settings(count, separable, act)
    inputs = layers.Input(shape)
    base = int(64 * width)
    stem = conv(inputs, 12, 3, 2, act) if separable else layers.Concatenate()(_quarters(inputs))
    x = conv(stem, base, 3, 1, act)
    kept = []
    for number, repeats in enumerate((count, 3 * count, 3 * count, count)):
        last = number == 3
        x = settings.conv(x, base * 2 ** (number + 1), 3, 2)
        x = _pyramid(x, act) if last else x
        x = settings.stack(x, x.shape[-1], repeats, residual=not last)
        kept.append(x)
    outputs = [_yolox_head(x, int(256 * width), classes, settings) for x in _aggregated(kept[1:], settings)]
    return keras.Model(inputs, outputs)


@dataclass(frozen=True)
class _Settings:
    count: int
    separable: bool
    act: str

    def conv(self, x: Tensor, filters: int, kernel: int = 3, strides: int = 1) -> Tensor:
        """A convolution, or a separable one."""
        if self.separable:
            x, kernel, strides = depthwise(x, kernel, strides, self.act), 1, 1
        return conv(x, filters, kernel, strides, self.act)

    def stack(self, x: Tensor, filters: int, repeats: int, *, residual: bool = False) -> Tensor:
        """Half of the channels through a row of blocks, half past them."""
        short, deep = conv(x, filters // 2, 1, 1, self.act), conv(x, filters // 2, 1, 1, self.act)
        for _ in range(repeats):
            y = self.conv(conv(deep, filters // 2, 1, 1, self.act), filters // 2)
            deep = layers.Add()([deep, y]) if residual else y
        return conv(layers.Concatenate()([deep, short]), filters, 1, 1, self.act)


def _quarters(x: Tensor) -> list[Tensor]:
    """Every other row and column: YOLOX's "focus"."""
    return [x[:, row::2, column::2, :] for column in (0, 1) for row in (0, 1)]


def _pyramid(x: Tensor, act: str) -> Tensor:
    y = conv(x, x.shape[-1] // 2, 1, 1, act)
    pooled = [layers.MaxPooling2D(size, 1, padding="same")(y) for size in (5, 9, 13)]
    return conv(layers.Concatenate()([y, *pooled]), x.shape[-1], 1, 1, act)


def _aggregated(maps: list[Tensor], settings: _Settings) -> list[Tensor]:
    """The maps after a way down and a way up again, largest first."""
    third, fourth, fifth = maps
    kind = "bilinear" if settings.separable else "nearest"

    def down(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        reduced = conv(x, y.shape[-1], 1, 1, settings.act)
        joined = layers.Concatenate()([layers.UpSampling2D(2, interpolation=kind)(reduced), y])
        return reduced, settings.stack(joined, y.shape[-1], settings.count)

    def up(x: Tensor, y: Tensor) -> Tensor:
        joined = layers.Concatenate()([settings.conv(x, y.shape[-1], 3, 2), y])
        return settings.stack(joined, joined.shape[-1], settings.count)

    first, fourth = down(fifth, fourth)
    second, third = down(fourth, third)
    fourth = up(third, second)
    return [third, fourth, up(fourth, first)]


def _yolox_head(x: Tensor, filters: int, classes: int, settings: _Settings) -> Tensor:
    x = conv(x, filters, 1, 1, settings.act)
    scores, boxes = (settings.conv(settings.conv(x, filters), filters) for _ in range(2))
    bias = not settings.separable
    outputs = [layers.Conv2D(4, 1, use_bias=bias)(boxes), layers.Conv2D(1, 1, use_bias=bias)(boxes)]
    return layers.Concatenate()([*outputs, layers.Conv2D(classes, 1, use_bias=bias)(scores)])


def _map(x: Tensor) -> Tensor:
    return _biased(x, 32, 1, None)


def _biased(x: Tensor, filters: int, kernel: int, act: str | None) -> Tensor:
    x = layers.BatchNormalization()(layers.Conv2D(filters, kernel, padding="same")(x))
    return layers.ReLU(6.0)(x) if act else x


def _separable(x: Tensor, stride: int) -> Tensor:
    x = layers.DepthwiseConv2D(3, stride, padding="same")(x)
    return layers.ReLU(6.0)(layers.BatchNormalization()(x))


def _lite(x: Tensor, stride: int = 1) -> Tensor:
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, stride, padding="same")(x))
    return _biased(x, 128, 1, "relu6")


def _predictions(x: Tensor, classes: int, kernel: int, *, separable: bool = False) -> list[Tensor]:
    """The scores of a map's anchors, and their boxes."""
    found = []
    for count in (classes + 1, 4):
        y = x
        if separable:
            y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(y))
        y = _biased(y, ANCHORS * count, 1 if separable else kernel, None)
        found.append(layers.Reshape((ANCHORS * x.shape[1] * x.shape[2], count))(y))
    return found


def _joined(outputs: list[list[Tensor]]) -> list[Tensor]:
    scores, boxes = (layers.Concatenate(axis=1)([pair[k] for pair in outputs]) for k in (0, 1))
    return [layers.Softmax()(scores), boxes]


DETECTORS: dict[str, Callable[..., keras.Model]] = {
    "ssd_fpnlite": ssd_fpnlite,
    "st_ssd_mobilenet_v1": st_ssd_mobilenet_v1,
    "st_yolo_lc": st_yolo_lc,
    "tiny_yolo_v2": tiny_yolo_v2,
    "yolox": yolox,
}

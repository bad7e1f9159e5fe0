"""Nets that were searched for: rows of inverted residual blocks of their own kernels and expansions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
from keras import layers

from tools.boards.layers import Shape, Tensor, conv, dense_head, depthwise, divisible

Block = tuple[int, int, int, int]  # expansion, filters, stride, kernel

# The configurations of mit-han-lab/mcunet's release: filters of the stem, then of each block
# expansion, filters, stride and kernel.
MCUNETS = {
    "in0": (24, """
        1-16-1-3 4-16-2-5 3-16-1-3 4-16-1-3 5-24-2-7 4-24-1-5 5-24-1-5 5-48-2-7 4-48-1-5 5-56-1-3 4-56-1-5
        5-56-1-3 6-112-2-3 4-112-1-5 6-192-1-3
        """),
    "in1": (16, """
        1-8-1-3 4-16-2-3 3-16-1-3 3-24-2-7 5-24-1-3 5-40-2-3 4-40-1-7 4-48-1-5 3-48-1-3 4-48-1-3 5-96-2-7
        4-96-1-5 4-96-1-5 6-160-1-3
        """),
    "in2": (16, """
        1-8-1-3 3-16-2-5 6-16-1-7 5-16-1-3 5-16-1-5 5-24-2-3 6-24-1-7 6-24-1-5 4-40-2-7 5-40-1-5 5-48-1-3
        5-48-1-5 4-48-1-3 6-96-2-5 4-96-1-5 3-96-1-5 4-96-1-3 5-160-1-5
        """),
    "in3": (16, """
        1-8-1-3 3-16-2-7 5-16-1-3 5-16-1-7 4-16-1-5 5-24-2-5 5-24-1-5 5-24-1-5 5-40-2-3 6-40-1-7 4-40-1-5
        5-48-1-5 5-48-1-7 5-48-1-3 6-96-2-3 5-96-1-7 4-96-1-3 5-160-1-7
        """),
    "in4": (32, """
        1-16-1-3 3-24-2-7 5-24-1-3 4-24-1-5 5-40-2-7 4-40-1-3 4-40-1-7 3-80-2-7 3-80-1-3 3-80-1-7 4-96-1-3
        3-96-1-5 3-96-1-5 4-192-2-7 3-192-1-7 3-192-1-5 4-320-1-5
        """),
    "vww0": (16, """
        1-8-1-3 6-16-2-5 4-16-1-3 5-24-2-3 4-24-1-3 4-24-1-3 5-40-2-3 4-40-1-3 3-40-1-7 3-48-1-3 4-48-1-3
        5-96-2-7 5-96-1-5 4-160-1-7
        """),
    "vww1": (16, """
        1-8-1-3 6-16-2-3 3-16-1-3 3-16-1-3 3-24-2-7 6-24-1-3 5-24-1-5 6-40-2-7 6-40-1-7 6-48-1-3 4-48-1-3
        5-96-2-5 5-96-1-3 4-96-1-3 3-160-1-7
        """),
    "vww2": (16, """
        1-8-1-3 3-16-2-3 5-16-1-3 6-16-1-5 3-16-1-3 5-24-2-7 4-24-1-5 4-24-1-3 6-24-1-7 6-40-2-3 6-40-1-7
        4-40-1-5 5-40-1-3 5-48-1-5 3-48-1-5 4-48-1-3 3-48-1-5 4-96-2-3 5-96-1-5 4-96-1-5 4-96-1-3 5-160-1-3
        """),
}  # fmt: skip
# ProxylessNAS for phones: (kernel, expansion) of the blocks of each stage (arXiv 1812.00332, figure 4).
PROXYLESS = (
    (16, 1, ((3, 1),)),
    (32, 2, ((5, 3), (3, 3))),
    (40, 2, ((7, 3), (3, 3), (5, 3), (5, 3))),
    (80, 2, ((7, 6), (5, 3), (5, 3), (5, 3))),
    (96, 1, ((5, 6), (5, 3), (5, 3), (5, 3))),
    (192, 2, ((7, 6), (7, 6), (7, 3), (7, 3))),
    (320, 1, ((7, 6),)),
)
# MobileNetV2: expansion, filters, repeats and stride of each stage (arXiv 1801.04381, table 2).
MOBILENETV2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mcunet(shape: Shape, classes: int, *, net: str) -> keras.Model:
    """A net of the MCUNet release; the last block's filters go straight into the classifier."""
    stem, rows = MCUNETS[net]
    blocks = [(e, f, s, k) for e, f, s, k in (map(int, row.split("-")) for row in rows.split())]
    return _searched(shape, classes, stem, blocks, None)


def proxyless(shape: Shape, classes: int, *, width: float = 1.0) -> keras.Model:
    """ProxylessNAS for phones at a width, the last 1x1 scaled as well, as MCUNet's baselines are."""
    blocks = [
        (expansion, divisible(filters * width), stride if k == 0 else 1, kernel)
        for filters, stride, rows in PROXYLESS
        for k, (kernel, expansion) in enumerate(rows)
    ]
    return _searched(shape, classes, divisible(32 * width), blocks, divisible(1280 * width))


def mobilenetv2_scaled(shape: Shape, classes: int, *, width: float = 1.0) -> keras.Model:
    """MobileNetV2 at a width, the last 1x1 scaled as well, as MCUNet's baselines are."""
    blocks = [
        (expansion, divisible(filters * width), stride if k == 0 else 1, 3)
        for expansion, filters, repeats, stride in MOBILENETV2
        for k in range(repeats)
    ]
    return _searched(shape, classes, divisible(32 * width), blocks, divisible(1280 * width))


def _searched(shape: Shape, classes: int, stem: int, blocks: Sequence[Block], last: int | None) -> keras.Model:
    inputs = layers.Input(shape)
    x = conv(inputs, stem, 3, 2, "relu6")
    for block in blocks:
        x = _inverted(x, *block)
    x = x if last is None else conv(x, last, 1, 1, "relu6")
    return keras.Model(inputs, dense_head(x, classes))


def _inverted(x: Tensor, expansion: int, filters: int, stride: int, kernel: int) -> Tensor:
    y = x if expansion == 1 else conv(x, x.shape[-1] * expansion, 1, 1, "relu6")
    y = conv(depthwise(y, kernel, stride, "relu6"), filters, 1, 1, None)
    return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == filters else y


MOBILE: dict[str, Callable[..., keras.Model]] = {
    "mcunet": mcunet,
    "mobilenetv2_scaled": mobilenetv2_scaled,
    "proxyless": proxyless,
}

"""What chains are built of: blocks of the field's networks, each a few operators, with random sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgecut.calibrate import layers as put
from edgecut.calibrate.layers import RELU, VALID, Sheet

# A block: (sheet, input tensor, generator of its sizes) -> output tensor.
Grow = Callable[[Sheet, int, np.random.Generator], int]


def between(g: np.random.Generator, low: float, high: float) -> int:
    """A whole number, its logarithm evenly spread."""
    return round(float(np.exp(g.uniform(np.log(low), np.log(high)))))


def some_channels(g: np.random.Generator, low: int = 8, high: int = 1024) -> int:
    """A number of channels as networks have them: multiples of 8 mostly, some odd ones."""
    count = between(g, low, high)
    return count if g.uniform() < 0.15 else max(8, round(count / 8) * 8)


def per_channel(sheet: Sheet, x: int) -> int:
    """A constant of one value for each channel of a tensor."""
    return put.channels_constant(sheet, sheet.draft.shape_of(x)[-1])


def _separable(s: Sheet, x: int, g: np.random.Generator) -> int:
    """Depthwise then pointwise (MobileNetV1)."""
    stride = _stride(s, x, g)
    x = put.depthwise(s, x, 3, stride)
    return put.conv(s, x, _next_channels(s, x, g, stride))


def _inverted(s: Sheet, x: int, g: np.random.Generator) -> int:
    """Expand, depthwise, project, add (MobileNetV2)."""
    fed = s.draft.shape_of(x)[-1]
    stride, kernel = _stride(s, x, g), int(g.choice([3, 5]))
    inner = put.conv(s, x, fed * int(g.choice([2, 4, 6])))
    if stride == 2 and g.uniform() < 0.5:
        inner = put.depthwise(s, put.pad(s, inner, 0, 1), 3, 2, VALID)
    else:
        inner = put.depthwise(s, inner, kernel, stride)
    y = put.conv(s, inner, fed if stride == 1 else _next_channels(s, x, g, 2), activation=0)
    return put.binary(s, "ADD", x, y) if stride == 1 else y


def _excited(s: Sheet, x: int, g: np.random.Generator) -> int:
    """Squeeze and excitation: mean, two pointwise convolutions, a gate (MobileNetV3, EfficientNet)."""
    channels = s.draft.shape_of(x)[-1]
    gate = put.mean(s, x, keep=True)
    gate = put.conv(s, gate, max(8, channels // 4), activation=RELU)
    gate = put.unary(s, "LOGISTIC", put.conv(s, gate, channels, activation=0))
    return put.binary(s, "MUL", x, gate)


def _swish(s: Sheet, x: int, g: np.random.Generator) -> int:
    """Pointwise and its swish, hard or as a gate of its own."""
    x = put.conv(s, x, _next_channels(s, x, g, 1), activation=0)
    if g.uniform() < 0.5:
        return put.unary(s, "HARD_SWISH", x)
    return put.binary(s, "MUL", x, put.unary(s, "LOGISTIC", x))


def _residual(s: Sheet, x: int, g: np.random.Generator) -> int:
    """Two 3x3 convolutions, added (ResNet)."""
    fed = s.draft.shape_of(x)[-1]
    y = put.conv(s, put.conv(s, x, fed, 3, activation=RELU), fed, 3, activation=0)
    return put.binary(s, "ADD", x, y, RELU)


def _bottleneck(s: Sheet, x: int, g: np.random.Generator) -> int:
    """Narrow, 3x3, widen, added, between a scale and a shift for each channel (ResNetV2)."""
    fed = s.draft.shape_of(x)[-1]
    y = put.binary(s, "ADD", put.binary(s, "MUL", x, per_channel(s, x)), per_channel(s, x), RELU)
    narrow = max(8, fed // 4)
    y = put.conv(s, put.conv(s, y, narrow, activation=RELU), narrow, 3, activation=RELU)
    return put.binary(s, "ADD", x, put.conv(s, y, fed, activation=0))


def _grown(s: Sheet, x: int, g: np.random.Generator) -> int:
    """Scale, shift, 1x1, 3x3, concatenated (DenseNet)."""
    y = put.binary(s, "ADD", put.binary(s, "MUL", x, per_channel(s, x)), per_channel(s, x), RELU)
    y = put.conv(s, put.conv(s, y, 4 * 32, activation=RELU), 32, 3, activation=0)
    return put.concatenation(s, (x, y))


def _fire(s: Sheet, x: int, g: np.random.Generator) -> int:
    """Squeeze, two expansions, concatenated (SqueezeNet)."""
    narrow = some_channels(g, 8, 64)
    x = put.conv(s, x, narrow, activation=RELU)
    return put.concatenation(s, [put.conv(s, x, narrow * 4, n, activation=RELU) for n in (1, 3)])


def _downsized(s: Sheet, x: int, g: np.random.Generator) -> int:
    """A padded 3x3 maximum with stride 2 behind a convolution."""
    x = put.conv(s, x, some_channels(g, 16, 128), 3, activation=RELU)
    return put.pool(s, put.pad(s, x, 1, 1), "MAX_POOL_2D", 3, 2)


def _plain(s: Sheet, x: int, g: np.random.Generator) -> int:
    """A convolution of any kind."""
    kernel = int(g.choice([1, 3, 3, 5]))
    return put.conv(s, x, _next_channels(s, x, g, 1), kernel, _stride(s, x, g), activation=RELU)


BLOCKS: tuple[Grow, ...] = (
    _separable,
    _inverted,
    _excited,
    _swish,
    _residual,
    _bottleneck,
    _grown,
    _fire,
    _downsized,
    _plain,
)


def network(s: Sheet, x: int, g: np.random.Generator, block: Grow) -> int:
    """A stem, stages of blocks that halve the image and widen it, the mean, and classes."""
    x = put.conv(s, x, some_channels(g, 8, 64), int(g.choice([3, 3, 7])), 2)
    mixed, growth = bool(g.uniform() < 0.4), float(g.uniform(1.4, 2.2))
    for _stage in range(int(g.integers(2, 5))):
        for _ in range(int(g.integers(1, 5))):
            x = (BLOCKS[int(g.integers(len(BLOCKS)))] if mixed else block)(s, x, g)
        _, side, _, fed = s.draft.shape_of(x)
        if side >= 8:
            x = put.pool(s, x, "MAX_POOL_2D", 2, 2) if g.uniform() < 0.3 else put.depthwise(s, x, 3, 2)
        x = put.conv(s, x, max(8, min(1536, round(fed * growth / 8) * 8)))
    x = put.mean(s, put.conv(s, x, some_channels(g, 128, 1536)))
    return put.unary(s, "SOFTMAX", put.dense(s, x, int(g.choice([10, 100, 1000]))))


def _stride(s: Sheet, x: int, g: np.random.Generator) -> int:
    return 2 if s.draft.shape_of(x)[1] >= 8 and g.uniform() < 0.3 else 1


def _next_channels(s: Sheet, x: int, g: np.random.Generator, stride: int) -> int:
    fed = s.draft.shape_of(x)[-1]
    return min(1024, fed * 2) if stride == 2 else max(8, min(1024, round(fed * float(g.uniform(0.5, 1.6)) / 8) * 8))

"""The files that a machine is calibrated with: single operators, and chains as networks are built of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.bench import calibration_layers as put
from edgecut.bench.calibration_layers import RELU, VALID, Sheet
from edgecut.tflite.write import Draft

DTYPES = ("float32", "int8")
# No file computes more: a run of the slowest then takes some milliseconds on a phone's core, a tenth of a second
# on a microcontroller-like Linux board.
MACS_LIMIT = 60_000_000
# Seeds of the shapes; another seed gives other files of the same kinds.
SEED = 20_261

Grow = Callable[[Sheet, int, np.random.Generator], int]


@dataclass(frozen=True)
class Specimen:
    """One file to time. kind: "single" or "chain"."""

    name: str
    kind: str
    dtype: str
    content: bytes


def specimens(dtypes: Sequence[str] = DTYPES, seed: int = SEED, chains: int = 70) -> Iterator[Specimen]:
    """The files of each dtype: single operators of every kind that is modelled, then chains of 1 to 8."""
    for dtype in dtypes:
        generator = np.random.default_rng(seed)
        for k, (name, shape, grow) in enumerate(_singles(generator)):
            yield _specimen(f"{dtype}_{k}_{name}", "single", dtype, shape, grow, generator)
        for k in range(chains):
            family, shape, grow = _chain(generator, k)
            yield _specimen(f"{dtype}_chain_{k}_{family}", "chain", dtype, shape, grow, generator)


def _specimen(
    name: str, kind: str, dtype: str, shape: Sequence[int], grow: Grow, generator: np.random.Generator
) -> Specimen:
    sheet = Sheet(Draft(), dtype)
    x = put.image(sheet, shape)
    y = grow(sheet, x, generator)
    return Specimen(name, kind, dtype, sheet.draft.file((x,), (y,)))


def _between(generator: np.random.Generator, low: float, high: float) -> int:
    """A whole number, its logarithm evenly spread."""
    return round(float(np.exp(generator.uniform(np.log(low), np.log(high)))))


def _channels(generator: np.random.Generator, low: int = 8, high: int = 1024) -> int:
    """A number of channels as networks have them: multiples of 8 mostly, some odd ones."""
    count = _between(generator, low, high)
    return count if generator.uniform() < 0.15 else max(8, round(count / 8) * 8)


def _singles(g: np.random.Generator) -> Iterator[tuple[str, tuple[int, ...], Grow]]:
    for _ in range(26):
        yield _pointwise(g)
    for _ in range(20):
        yield _convolution(g)
    for _ in range(4):
        yield _first(g)
    for _ in range(20):
        yield _depthwise(g)
    for _ in range(8):
        units = _between(g, 4, 1500)
        yield "dense", (1, _channels(g, 16, 2048)), lambda s, x, _, n=units: put.dense(s, x, n)
    for name, count in (("ADD", 6), ("MUL", 3), ("SUB", 2)):
        for _ in range(count):
            yield name, _image(g), lambda s, x, _, n=name: put.binary(s, n, x, x)
    for name, count in (("MUL", 4), ("ADD", 2), ("SUB", 1)):
        for _ in range(count):
            yield f"{name}_channels", _image(g), lambda s, x, _, n=name: put.binary(s, n, x, _per_channel(s, x))
    unary = ("RELU", "RELU6", "LOGISTIC", "HARD_SWISH", "TANH", "LEAKY_RELU")
    for name in unary:
        for _ in range(4):
            yield name, _image(g), lambda s, x, _, n=name: put.unary(s, n, x)
    for _ in range(3):
        yield "SOFTMAX", (1, _between(g, 2, 1500)), lambda s, x, _: put.unary(s, "SOFTMAX", x)
    for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        for window, stride in ((2, 2), (3, 2), (3, 1), (7, 7)):
            shape = _image(g, window)
            yield name, shape, lambda s, x, _, n=name, w=window, t=stride: put.pool(s, x, n, w, t)
    for name in ("MEAN", "MEAN", "MEAN", "SUM"):
        yield name, _image(g, 4), lambda s, x, _, n=name: put.mean(s, x, n)
    for _ in range(4):
        yield "PAD", _image(g), lambda s, x, _: put.pad(s, x)
        yield "CONCATENATION", _image(g), lambda s, x, _: put.concatenation(s, (x, x))
    for name in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
        for _ in range(3):
            yield name, _image(g, 4, 100_000), lambda s, x, _, n=name: put.resize(s, x, n)
    for _ in range(4):
        side, filters = _between(g, 4, 24), _channels(g, 8, 96)
        yield ("TRANSPOSE_CONV", (1, side, side, _channels(g, 8, 96)),
               lambda s, x, _, n=filters: put.transpose_conv(s, x, n))  # fmt: skip
    for _ in range(3):
        yield "RESHAPE", _image(g), lambda s, x, _: put.reshape(s, x, (1, int(np.prod(s.draft.shape_of(x)))))
        yield "QUANTIZE", _image(g), lambda s, x, _: put.quantized(s, x)


def _image(g: np.random.Generator, smallest: int = 1, elements: int = 600_000) -> tuple[int, ...]:
    """The shape of an activation of up to so many elements, height and width at least `smallest`."""
    while True:
        side, channels = _between(g, max(smallest, 3), 112), _channels(g)
        if 2_000 <= side * side * channels <= elements:
            return (1, side, side, channels)


def _per_channel(sheet: Sheet, x: int) -> int:
    return put.channels_constant(sheet, sheet.draft.shape_of(x)[-1])


def _pointwise(g: np.random.Generator) -> tuple[str, tuple[int, ...], Grow]:
    while True:
        side, fed, filters = _between(g, 1, 112), _channels(g), _channels(g)
        if 10_000 <= side * side * fed * filters <= MACS_LIMIT:
            return "pointwise", (1, side, side, fed), lambda s, x, _: put.conv(s, x, filters)


def _convolution(g: np.random.Generator) -> tuple[str, tuple[int, ...], Grow]:
    while True:
        side, fed, filters = _between(g, 4, 112), _channels(g, 4, 512), _channels(g, 8, 512)
        kernel = [(3, 3), (3, 3), (3, 3), (5, 5), (1, 1), (1, 7), (7, 1)][g.integers(7)]
        stride = 2 if kernel == (1, 1) else int(g.choice([1, 1, 2]))
        macs = side * side * fed * filters * kernel[0] * kernel[1] // stride**2
        if 30_000 <= macs <= MACS_LIMIT:
            return "conv", (1, side, side, fed), lambda s, x, _: put.conv(s, x, filters, kernel, stride)


def _first(g: np.random.Generator) -> tuple[str, tuple[int, ...], Grow]:
    side, fed, filters, kernel = _between(g, 32, 224), int(g.choice([1, 3, 3])), _channels(g, 8, 64), int(g.choice([3, 7]))
    return "first", (1, side, side, fed), lambda s, x, _: put.conv(s, x, filters, kernel, 2)


def _depthwise(g: np.random.Generator) -> tuple[str, tuple[int, ...], Grow]:
    shape = _image(g, 3)
    kernel, stride = int(g.choice([3, 3, 3, 5, 5, 7])), int(g.choice([1, 1, 2]))
    return "depthwise", shape, lambda s, x, _: put.depthwise(s, x, kernel, stride)


# What chains are built of: blocks of the field's networks, each a few operators.


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
    y = put.binary(s, "ADD", put.binary(s, "MUL", x, _per_channel(s, x)), _per_channel(s, x), RELU)
    narrow = max(8, fed // 4)
    y = put.conv(s, put.conv(s, y, narrow, activation=RELU), narrow, 3, activation=RELU)
    return put.binary(s, "ADD", x, put.conv(s, y, fed, activation=0))


def _grown(s: Sheet, x: int, g: np.random.Generator) -> int:
    """Scale, shift, 1x1, 3x3, concatenated (DenseNet)."""
    y = put.binary(s, "ADD", put.binary(s, "MUL", x, _per_channel(s, x)), _per_channel(s, x), RELU)
    y = put.conv(s, put.conv(s, y, 4 * 32, activation=RELU), 32, 3, activation=0)
    return put.concatenation(s, (x, y))


def _fire(s: Sheet, x: int, g: np.random.Generator) -> int:
    """Squeeze, two expansions, concatenated (SqueezeNet)."""
    narrow = _channels(g, 8, 64)
    x = put.conv(s, x, narrow, activation=RELU)
    return put.concatenation(s, [put.conv(s, x, narrow * 4, n, activation=RELU) for n in (1, 3)])


def _downsized(s: Sheet, x: int, g: np.random.Generator) -> int:
    """A padded 3x3 maximum with stride 2 behind a convolution."""
    x = put.conv(s, x, _channels(g, 16, 128), 3, activation=RELU)
    return put.pool(s, put.pad(s, x, 1, 1), "MAX_POOL_2D", 3, 2)


def _plain(s: Sheet, x: int, g: np.random.Generator) -> int:
    """A convolution of any kind."""
    kernel = int(g.choice([1, 3, 3, 5]))
    return put.conv(s, x, _next_channels(s, x, g, 1), kernel, _stride(s, x, g), activation=RELU)


BLOCKS: tuple[Grow, ...] = (
    _separable, _inverted, _excited, _swish, _residual, _bottleneck, _grown, _fire, _downsized, _plain,
)  # fmt: skip


def _chain(g: np.random.Generator, k: int) -> tuple[str, tuple[int, ...], Grow]:
    """Blocks of one kind or of several, 1 to 8 of them as far as the limit of multiply-accumulates goes."""
    while True:
        shape = _image(g, 4, 200_000)
        count, seed = 1 + k % 8, int(g.integers(2**31))
        first, mixed = k % len(BLOCKS), bool(g.uniform() < 0.3)

        def grow(s: Sheet, x: int, _: np.random.Generator) -> int:
            inner = np.random.default_rng(seed)  # noqa: B023 (called before the next turn)
            for _step in range(count):  # noqa: B023
                block = BLOCKS[int(inner.integers(len(BLOCKS)))] if mixed else BLOCKS[first]  # noqa: B023
                x = block(s, x, inner)
            return x

        return BLOCKS[first].__name__.strip("_"), shape, grow


def _stride(s: Sheet, x: int, g: np.random.Generator) -> int:
    return 2 if s.draft.shape_of(x)[1] >= 8 and g.uniform() < 0.3 else 1


def _next_channels(s: Sheet, x: int, g: np.random.Generator, stride: int) -> int:
    fed = s.draft.shape_of(x)[-1]
    return min(1024, fed * 2) if stride == 2 else max(8, min(1024, round(fed * float(g.uniform(0.5, 1.6)) / 8) * 8))

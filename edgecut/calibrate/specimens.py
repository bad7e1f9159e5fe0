"""The files that a machine is calibrated with: single operators, and chains as networks are built of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from edgecut.calibrate import layers as put
from edgecut.calibrate.blocks import BLOCKS, Grow, between, network, per_channel, some_channels
from edgecut.calibrate.layers import SAME, VALID, Sheet
from edgecut.records.recipe import Precision
from edgecut.tflite.flatbuffer import parse
from edgecut.tflite.ops import macs
from edgecut.tflite.write import Draft

DTYPES: tuple[Precision, ...] = ("float32", "int8")
# Multiply-accumulates: the slowest file then takes some milliseconds on a desktop's core, a tenth of a second on a
# small board's.
SINGLE_MACS, CHAIN_MACS = 60_000_000, (100_000, 150_000_000)
NETWORK_MACS, WIDE_MACS = (3_000_000, 400_000_000), 300_000_000
# Weights of the wide chains, from what a second-level cache holds to what no cache does.
WIDE_BYTES = (1e6, 100e6)
# Seed of all sizes; another one gives other files of the same kinds.
SEED, CHAINS, WIDE, NETWORKS, DENSE_LAYERS = 20_261, 70, 15, 24, 4

Single = tuple[str, tuple[int, ...], Grow]


@dataclass(frozen=True)
class Specimen:
    """One file to time. kind: "single" or "chain"."""

    name: str
    kind: str
    dtype: str
    content: bytes


def specimens(dtypes: Sequence[str] = DTYPES, seed: int = SEED) -> Iterator[Specimen]:
    """The files of each dtype: single operators of every kind that is modelled, then chains."""
    for dtype in dtypes:
        yield from _of_one(dtype, np.random.default_rng(seed))


def _of_one(dtype: str, g: np.random.Generator) -> Iterator[Specimen]:
    for k, (name, shape, grow) in enumerate(_singles(g, dtype)):
        yield _specimen(f"{dtype}_{k}_{name}", "single", dtype, shape, grow, g)
    for k in range(CHAINS):
        yield _within(CHAIN_MACS, partial(_chain, dtype, k, g))
    for k in range(WIDE):
        yield _wide(dtype, k, g)
    for k in range(NETWORKS):
        yield _within(NETWORK_MACS, partial(_network, dtype, k, g))


def _specimen(name: str, kind: str, dtype: str, shape: Sequence[int], grow: Grow, g: np.random.Generator) -> Specimen:
    sheet = Sheet(Draft(), dtype)
    x = put.image(sheet, shape)
    y = grow(sheet, x, g)
    return Specimen(name, kind, dtype, sheet.draft.file((x,), (y,)))


def _within(limits: tuple[int, int], make: Callable[[], Specimen]) -> Specimen:
    """The first of the random files that computes as much as it should."""
    while True:
        found = make()
        if limits[0] <= (macs(parse(found.content, found.name)) or 0) <= limits[1]:
            return found


def _layer(function: Callable[..., int], *arguments: object) -> Grow:
    """A layer with its arguments, as something that grows."""
    return lambda sheet, x, _: function(sheet, x, *arguments)


def _unary(name: str) -> Grow:
    return lambda sheet, x, _: put.unary(sheet, name, x)


def _with_itself(name: str) -> Grow:
    return lambda sheet, x, _: put.binary(sheet, name, x, x)


def _with_channels(name: str) -> Grow:
    return lambda sheet, x, _: put.binary(sheet, name, x, per_channel(sheet, x))


def _singles(g: np.random.Generator, dtype: str) -> Iterator[Single]:
    yield from _matrix_products(g)
    for _ in range(20):
        yield _depthwise(g)
    yield from _element_wise(g)
    for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        for window, stride, padding in ((2, 2, VALID), (3, 2, VALID), (3, 2, SAME), (3, 1, SAME), (7, 7, VALID)):
            yield name, _image(g, window), _layer(put.pool, name, window, stride, padding)
    for name in ("MEAN", "MEAN", "MEAN", "SUM"):
        yield name, _image(g, 4), _layer(put.mean, name)
    for _ in range(4):
        yield "PAD", _image(g), _layer(put.pad)
        yield "CONCATENATION", _image(g), lambda s, x, _: put.concatenation(s, (x, x))
        yield "STRIDED_SLICE", _image(g), _layer(put.cropped)
    for name in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
        for _ in range(3):
            yield name, _image(g, 4, 100_000), _layer(put.resize, name)
    for _ in range(5):
        side = between(g, 4, 24)
        small = (1, side, side, some_channels(g, 8, 96))
        yield "TRANSPOSE_CONV", small, _layer(put.transpose_conv, some_channels(g, 8, 96))
    for _ in range(3):
        shape = _image(g)
        yield "RESHAPE", shape, _layer(put.reshape, (1, int(np.prod(shape))))
        if dtype == "int8":
            yield "DEQUANTIZE", _image(g), _layer(put.dequantized)
            yield "QUANTIZE", _image(g), _layer(put.quantized_again)


def _matrix_products(g: np.random.Generator) -> Iterator[Single]:
    # Sizes beside each other, which show where a tile of the kernel ends.
    for rows in (2, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16):
        yield "rows", (1, 1, rows, 128), _layer(put.conv, 128)
    for filters in (4, 8, 12, 16, 24, 32):
        yield "columns", (1, 8, 8, 128), _layer(put.conv, filters)
    for fed in (1, 2, 3, 4, 6, 8):
        yield "depth", (1, 16, 16, fed), _layer(put.conv, 32, 3)
    for _ in range(26):
        yield _pointwise(g)
    for _ in range(20):
        yield _convolution(g)
    for _ in range(5):
        side, kernel = between(g, 32, 224), int(g.choice([3, 7]))
        yield "first", (1, side, side, int(g.choice([1, 3, 3]))), _layer(put.conv, some_channels(g, 8, 64), kernel, 2)
    for _ in range(8):
        yield "dense", (1, some_channels(g, 16, 2048)), _layer(put.dense, between(g, 4, 1500))


def _element_wise(g: np.random.Generator) -> Iterator[Single]:
    for name, count in (("ADD", 6), ("MUL", 4), ("SUB", 2), ("MAXIMUM", 3)):
        for _ in range(count):
            yield name, _image(g), _with_itself(name)
    for name, count in (("MUL", 4), ("ADD", 3), ("SUB", 1)):
        for _ in range(count):
            yield f"{name}_channels", _image(g), _with_channels(name)
    # Large enough that no branch predictor learns the numbers by heart: some of these kernels branch on each.
    for name in ("RELU", "RELU6", "LOGISTIC", "HARD_SWISH", "TANH", "LEAKY_RELU"):
        for _ in range(4):
            yield name, _image(g, 1, 400_000, 40_000), _unary(name)
    for _ in range(3):
        yield "SOFTMAX", (1, between(g, 2, 1500)), _unary("SOFTMAX")


def _image(g: np.random.Generator, smallest: int = 1, most: int = 600_000, least: int = 2_000) -> tuple[int, ...]:
    """The shape of an activation of `least` to `most` elements, height and width at least `smallest`."""
    while True:
        side, channels = between(g, max(smallest, 3), 112), some_channels(g)
        if least <= side * side * channels <= most:
            return (1, side, side, channels)


def _pointwise(g: np.random.Generator) -> Single:
    while True:
        side, fed, filters = between(g, 1, 112), some_channels(g), some_channels(g)
        if 10_000 <= side * side * fed * filters <= SINGLE_MACS:
            return "pointwise", (1, side, side, fed), _layer(put.conv, filters)


def _convolution(g: np.random.Generator) -> Single:
    while True:
        side, fed, filters = between(g, 4, 112), some_channels(g, 4, 512), some_channels(g, 8, 512)
        kernel = [(3, 3), (3, 3), (3, 3), (5, 5), (1, 1), (1, 7), (7, 1)][g.integers(7)]
        stride = 2 if kernel == (1, 1) else int(g.choice([1, 1, 2]))
        if 30_000 <= side * side * fed * filters * kernel[0] * kernel[1] // stride**2 <= SINGLE_MACS:
            return "conv", (1, side, side, fed), _layer(put.conv, filters, kernel, stride)


def _depthwise(g: np.random.Generator) -> Single:
    kernel, stride = int(g.choice([3, 3, 3, 5, 5, 7])), int(g.choice([1, 1, 2]))
    return "depthwise", _image(g, 3), _layer(put.depthwise, kernel, stride)


def _chain(dtype: str, k: int, g: np.random.Generator) -> Specimen:
    """1 to 8 blocks, of one kind or of several."""
    shape, mixed = _image(g, 4, 200_000), bool(g.uniform() < 0.3)
    first = BLOCKS[k % len(BLOCKS)]

    def grow(sheet: Sheet, x: int, inner: np.random.Generator) -> int:
        for _ in range(1 + k % 8):
            x = (BLOCKS[int(inner.integers(len(BLOCKS)))] if mixed else first)(sheet, x, inner)
        return x

    return _specimen(f"{dtype}_chain_{k}_{first.__name__.strip('_')}", "chain", dtype, shape, grow, g)


def _wide(dtype: str, k: int, g: np.random.Generator) -> Specimen:
    """Convolutions, or dense layers, whose weights fill the caches more and more, as those of large networks do."""
    wanted = float(np.exp(g.uniform(np.log(WIDE_BYTES[0]), np.log(WIDE_BYTES[1])))) / (4 if dtype == "float32" else 1)
    if k % 3 == 2:
        units = round(float(np.sqrt(wanted / DENSE_LAYERS)))

        def stack(sheet: Sheet, x: int, _: np.random.Generator) -> int:
            for _turn in range(DENSE_LAYERS):
                x = put.dense(sheet, x, units)
            return x

        return _specimen(f"{dtype}_wide_{k}", "chain", dtype, (1, units), stack, g)
    # Two shapes in turn: equal weights share a buffer of the file, and every kernel packs a copy of its own.
    narrow = max(32, min(512, round(float(np.sqrt(wanted / 40)) / 32) * 32))
    wide, kernel = narrow * int(g.choice([1, 2, 4])), int(g.choice([1, 3]))
    pair = narrow * wide * (1 + kernel**2)
    side = max(1, min(between(g, 2, 14), int(np.sqrt(WIDE_MACS / max(wanted, pair)))))

    def grow(sheet: Sheet, x: int, _: np.random.Generator) -> int:
        for _pair in range(max(1, round(wanted / pair))):
            x = put.conv(sheet, put.conv(sheet, x, wide, kernel), narrow)
        return x

    return _specimen(f"{dtype}_wide_{k}", "chain", dtype, (1, side, side, narrow), grow, g)


def _network(dtype: str, k: int, g: np.random.Generator) -> Specimen:
    """A whole network with blocks of one kind, or of several."""
    side = between(g, 64, 200)
    return _specimen(
        f"{dtype}_network_{k}",
        "chain",
        dtype,
        (1, side, side, 3),
        lambda sheet, x, inner: network(sheet, x, inner, BLOCKS[k % len(BLOCKS)]),
        g,
    )

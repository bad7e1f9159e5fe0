"""int8 files to prove the generated C with: single operators of odd shapes, and nets of random structure; seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tools.int8_net import NO_ACTIVATION, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Int8Net, Pair


class Int8File(NamedTuple):
    """name: of the case, a C identifier. content: the .tflite file."""

    name: str
    content: bytes


def single_operators(count: int = 300, seed: int = 0) -> Iterator[Int8File]:
    """Files of one operator each; every kind of the table comes in turn."""
    kinds = list(SINGLE)
    for k in range(count):
        kind = kinds[k % len(kinds)]
        net = Int8Net(np.random.default_rng([seed, 1, k]))
        yield Int8File(f"op{k}_{kind}", net.file(*SINGLE[kind](net)))


def random_nets(count: int = 200, seed: int = 0) -> Iterator[Int8File]:
    """Files of several operators: chains, residuals, branches, squeeze-excite, U-shapes."""
    kinds = list(BODIES)
    for k in range(count):
        kind = kinds[k % len(kinds)]
        net = Int8Net(np.random.default_rng([seed, 2, k]), tame=True)
        x = net.image((1, *(int(n) for n in net.rng.integers(9, 36, 2)), net.pick(1, 3, 4, 7)))
        yield Int8File(f"net{k}_{kind}", net.file([x], _tail(net, BODIES[kind](net, x))))


Ends = tuple[Sequence[int], Sequence[int]]


def _fed(net: Int8Net, low: int = 4) -> int:
    """An image of an odd shape."""
    return net.image((1, int(net.rng.integers(low, 18)), int(net.rng.integers(low, 18)), int(net.rng.integers(1, 14))))


def _activation(net: Int8Net) -> int:
    return int(net.pick(NO_ACTIVATION, RELU, RELU6, RELU_N1_TO_1))


def _window(net: Int8Net, x: int) -> dict[str, Pair | int]:
    """A kernel, stride, dilation and padding that fit an image."""
    _, height, width, _ = net.shape_of(x)
    kernel = (int(net.rng.integers(1, 6)), int(net.rng.integers(1, 6)))
    stride = (int(net.rng.integers(1, 4)), int(net.rng.integers(1, 4)))
    dilation = (1, 1)
    if stride == (1, 1) or net.rng.random() < 0.2:
        dilation = (int(net.rng.integers(1, 4)), int(net.rng.integers(1, 4)))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    fits = spans[0] <= height and spans[1] <= width
    return {
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "padding": int(net.pick(SAME, VALID)) if fits else SAME,
    }


def _more(net: Int8Net) -> dict[str, object]:
    return {
        "activation": _activation(net),
        "per_channel": bool(net.rng.random() < 0.8),
    }


def _conv(net: Int8Net) -> Ends:
    x = _fed(net)
    return [x], [net.conv(x, int(net.rng.integers(1, 15)), **_window(net, x), **_more(net))]


def _grouped(net: Int8Net) -> Ends:
    groups = int(net.rng.integers(2, 5))
    x = net.image((1, 9, 7, groups * int(net.rng.integers(1, 4))))
    filters = groups * int(net.rng.integers(1, 4))
    return [x], [net.conv(x, filters, **_window(net, x), **_more(net), groups=groups)]


def _depthwise(net: Int8Net) -> Ends:
    x = _fed(net)
    return [x], [net.depthwise(x, int(net.pick(1, 1, 2, 3)), **_window(net, x), **_more(net))]


def _transpose_conv(net: Int8Net) -> Ends:
    x = _fed(net)
    kernel, stride = ((int(net.rng.integers(1, 5)), int(net.rng.integers(1, 5))) for _ in range(2))
    stride = (min(3, stride[0]), min(3, stride[1]))
    return [x], [net.transpose_conv(x, int(net.rng.integers(1, 9)), kernel, stride, int(net.pick(SAME, VALID)))]


def _dense(net: Int8Net) -> Ends:
    x = net.image((1, int(net.rng.integers(1, 90))))
    return [x], [net.dense(x, int(net.rng.integers(1, 40)), **_more(net), bias=bool(net.rng.random() < 0.8))]


def _pool(kind: str) -> Callable[[Int8Net], Ends]:
    def single(net: Int8Net) -> Ends:
        x = _fed(net)
        window = _window(net, x)
        kernel, stride, padding = window["kernel"], window["stride"], window["padding"]
        _, height, width, _ = net.shape_of(x)
        assert isinstance(kernel, tuple)
        assert isinstance(stride, tuple)
        kernel = (min(kernel[0], height), min(kernel[1], width))
        return [x], [net.pool(kind, x, kernel, stride, int(str(padding)), _activation(net))]

    return single


def _binary(name: str) -> Callable[[Int8Net], Ends]:
    def single(net: Int8Net) -> Ends:
        x = _fed(net)
        _, height, width, channels = net.shape_of(x)
        grid = net.grids[x] if name in {"MAXIMUM", "MINIMUM"} else None
        shape = net.pick(
            (1, height, width, channels), (1, height, width, channels), (1, 1, 1, channels), (1, height, width, 1), ()
        )
        if net.rng.random() < 0.4:
            y, fed = net.constant_image(shape, grid), [x]
        else:
            y = net.image(shape or (1, 1, 1, 1), grid)
            fed = [x, y]
        pair = (x, y) if net.rng.random() < 0.7 else (y, x)
        return fed, [net.binary(name, *pair, _activation(net))]

    return single


def _unary(name: str) -> Callable[[Int8Net], Ends]:
    def single(net: Int8Net) -> Ends:
        x = _fed(net)
        if name == "SOFTMAX" and net.rng.random() < 0.7:
            x = net.image((1, int(net.rng.integers(2, 60))))
        return [x], [net.unary(name, x)]

    return single


def _prelu(net: Int8Net) -> Ends:
    x = _fed(net)
    return [x], [net.prelu(x)]


def _reduce(name: str) -> Callable[[Int8Net], Ends]:
    def single(net: Int8Net) -> Ends:
        x = _fed(net)
        axes = net.pick([1, 2], [1, 2], [2, 1], [3], [1], [2], [1, 2, 3], [-1])
        return [x], [net.reduce(name, x, axes, keep=bool(net.rng.random() < 0.5))]

    return single


def _pad(net: Int8Net) -> Ends:
    x = _fed(net, 2)
    amounts = [(0, 0), *((int(net.rng.integers(0, 4)), int(net.rng.integers(0, 4))) for _ in range(3))]
    if net.rng.random() < 0.6:
        amounts[3] = (0, 0)
    return [x], [net.pad(x, amounts, None if net.rng.random() < 0.6 else int(net.rng.integers(-128, 128)))]


def _concatenate(net: Int8Net) -> Ends:
    x, axis = _fed(net), int(net.pick(1, 2, 3, 3))
    shapes = [list(net.shape_of(x)) for _ in range(int(net.rng.integers(1, 3)))]
    for shape in shapes:
        shape[axis] = int(net.rng.integers(1, 6))
    others = [net.image(shape, net.grids[x]) for shape in shapes]
    return [x, *others], [net.concatenate([x, *others], axis)]


def _reshape(net: Int8Net) -> Ends:
    x = _fed(net)
    _, height, width, channels = net.shape_of(x)
    return [x], [net.reshape(x, net.pick((1, height * width * channels), (1, height * width, channels)))]


def _transpose(net: Int8Net) -> Ends:
    x = _fed(net)
    return [x], [net.transpose(x, net.pick((0, 2, 1, 3), (0, 3, 1, 2), (0, 2, 3, 1), (0, 1, 3, 2), (0, 3, 2, 1)))]


def _strided_slice(net: Int8Net) -> Ends:
    x = _fed(net)
    shape = net.shape_of(x)
    begin = [0, *(int(net.rng.integers(0, d)) for d in shape[1:])]
    end = [1, *(int(net.rng.integers(low + 1, d + 1)) for low, d in zip(begin[1:], shape[1:], strict=True))]
    return [x], [net.strided_slice(x, begin, end, [1, *(int(net.rng.integers(1, 4)) for _ in range(3))])]


def _split(net: Int8Net) -> Ends:
    axis, count = int(net.pick(1, 2, 3, 3)), int(net.rng.integers(2, 4))
    shape = [1, 7, 5, 4]
    shape[axis] = count * int(net.rng.integers(1, 4))
    x = net.image(shape)
    return [x], net.split(x, axis, count)


def _resize(name: str) -> Callable[[Int8Net], Ends]:
    def single(net: Int8Net) -> Ends:
        x = _fed(net, 2)
        _, height, width, _ = net.shape_of(x)
        odd = (int(net.rng.integers(1, 24)), int(net.rng.integers(1, 24)))
        align = bool(net.rng.random() < 0.3)
        half = not align and bool(net.rng.random() < 0.5)
        return [x], [net.resize(name, x, net.pick((2 * height, 2 * width), odd), align=align, half=half)]

    return single


def _requantize(net: Int8Net) -> Ends:
    x = _fed(net)
    return [x], [net.quantize(x, net.pick(None, net.any_grid()))]


SINGLE: dict[str, Callable[[Int8Net], Ends]] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "dense": _dense,
    "add": _binary("ADD"),
    "mul": _binary("MUL"),
    "average_pool": _pool("AVERAGE"),
    "max_pool": _pool("MAX"),
    "mean": _reduce("MEAN"),
    "pad": _pad,
    "softmax": _unary("SOFTMAX"),
    "concatenation": _concatenate,
    "logistic": _unary("LOGISTIC"),
    "hard_swish": _unary("HARD_SWISH"),
    "reshape": _reshape,
    "grouped": _grouped,
    "transpose_conv": _transpose_conv,
    "sub": _binary("SUB"),
    "maximum": _binary("MAXIMUM"),
    "minimum": _binary("MINIMUM"),
    "sum": _reduce("SUM"),
    "relu": _unary("RELU"),
    "relu6": _unary("RELU6"),
    "leaky_relu": _unary("LEAKY_RELU"),
    "tanh": _unary("TANH"),
    "prelu": _prelu,
    "transpose": _transpose,
    "strided_slice": _strided_slice,
    "split": _split,
    "resize_nearest": _resize("RESIZE_NEAREST_NEIGHBOR"),
    "resize_bilinear": _resize("RESIZE_BILINEAR"),
    "quantize": _requantize,
}


def _block(net: Int8Net, x: int) -> int:
    """One step of a chain."""
    _, height, width, channels = net.shape_of(x)
    kind = net.pick("conv", "conv", "separable", "pool", "pad", "unary", "point")
    if kind == "conv":
        return net.conv(x, int(net.rng.integers(2, 18)), **_window(net, x), activation=_activation(net))
    if kind == "separable":
        y = net.depthwise(x, int(net.pick(1, 1, 2)), **_window(net, x), activation=RELU6)
        return net.conv(y, int(net.rng.integers(2, 18)), (1, 1))
    if kind == "pool" and min(height, width) > 3:
        return net.pool(net.pick("MAX", "AVERAGE"), x, (2, 3), (2, 2), int(net.pick(SAME, VALID)))
    if kind == "pad":
        y = net.pad(x, [(0, 0), (0, 1), (0, 1), (0, 0)])
        return net.conv(y, channels, (2, 2), (1, 1), padding=VALID, activation=RELU)
    if kind == "unary":
        return net.unary(net.pick("HARD_SWISH", "RELU", "LOGISTIC", "LEAKY_RELU"), x)
    return net.conv(x, int(net.rng.integers(2, 18)), (1, 1), activation=_activation(net))


def _chain(net: Int8Net, x: int) -> int:
    for _ in range(int(net.rng.integers(2, 8))):
        x = _block(net, x)
    return x


def _residual(net: Int8Net, x: int) -> int:
    x = net.conv(x, int(net.rng.integers(3, 13)), (3, 3), (2, 2), activation=RELU6)
    for _ in range(int(net.rng.integers(1, 4))):
        channels = net.shape_of(x)[3]
        y = net.conv(x, channels * 2, (1, 1), activation=RELU6)
        y = net.depthwise(y, 1, net.pick((3, 3), (5, 5), (3, 1)), activation=RELU6)
        y = net.conv(y, channels, (1, 1))
        x = net.binary("ADD", *((x, y) if net.rng.random() < 0.5 else (y, x)), _activation(net))
    return x


def _branches(net: Int8Net, x: int) -> int:
    x = net.conv(x, 6, (3, 3), (2, 2), activation=RELU)
    for _ in range(int(net.rng.integers(1, 4))):
        x = net.conv(x, int(net.rng.integers(2, 9)), (1, 1), activation=RELU)
        grid = net.any_grid(RELU)
        parts = [net.conv(x, int(net.rng.integers(1, 9)), (k, k), activation=RELU, grid=grid) for k in (1, 3, 5)]
        x = net.concatenate(parts[: int(net.rng.integers(2, 4))], 3)
        if net.rng.random() < 0.4 and min(net.shape_of(x)[1:3]) > 3:
            x = net.pool("MAX", x, (3, 3), (2, 2), VALID)
    return x


def _squeeze_excite(net: Int8Net, x: int) -> int:
    x = net.conv(x, int(net.rng.integers(4, 14)), (3, 3), (2, 2))
    for _ in range(int(net.rng.integers(1, 3))):
        x = net.depthwise(net.unary("HARD_SWISH", x), 1, (3, 3), net.pick((1, 1), (2, 2)))
        channels = net.shape_of(x)[3]
        gate = net.reduce("MEAN", x, [1, 2], keep=True)
        gate = net.conv(gate, max(1, channels // 2), (1, 1), activation=RELU)
        gate = net.unary("LOGISTIC", net.conv(gate, channels, (1, 1)))
        x = net.conv(net.binary("MUL", x, gate), int(net.rng.integers(3, 14)), (1, 1))
    return x


def _u_shape(net: Int8Net, x: int) -> int:
    grid, skips = net.any_grid(RELU), []
    x = net.conv(x, 5, (3, 3), activation=RELU, grid=grid)
    for _ in range(int(net.rng.integers(1, 3))):
        skips.append(x)
        x = net.conv(x, int(net.rng.integers(3, 11)), (3, 3), (2, 2), activation=RELU, grid=grid)
    for skip in reversed(skips):
        _, height, width, _ = net.shape_of(skip)
        if net.rng.random() < 0.4 and height % 2 == 0 and width % 2 == 0:
            up = net.quantize(net.transpose_conv(x, 5, (2, 2), (2, 2), SAME), grid)
        else:
            up = net.resize(net.pick("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"), x, (height, width))
        x = net.conv(net.concatenate([up, skip], 3), 6, (3, 3), activation=RELU, grid=grid)
    return x


def _diamond(net: Int8Net, x: int) -> int:
    """Tensors that live across several others: each block reads two of those before it."""
    alive = [net.conv(x, 6, (3, 3), (2, 2))]
    for _ in range(int(net.rng.integers(2, 5))):
        first, second = net.pick(*alive), alive[-1]
        y = net.conv(first, 6, net.pick((1, 1), (3, 3)), activation=RELU)
        alive.append(net.binary(net.pick("ADD", "SUB"), y, second))
    return net.binary("ADD", alive[0], alive[-1])


BODIES: dict[str, Callable[[Int8Net, int], int]] = {
    "chain": _chain,
    "residual": _residual,
    "branches": _branches,
    "squeeze_excite": _squeeze_excite,
    "u_shape": _u_shape,
    "diamond": _diamond,
}


def _tail(net: Int8Net, x: int) -> list[int]:
    kind = net.pick("mean", "pool", "flatten", "flatten", "map", "two")
    _, height, width, channels = net.shape_of(x)
    classes = int(net.rng.integers(2, 12))
    if kind == "map" or (kind == "flatten" and height * width * channels > 2000):
        return [net.conv(x, classes, (1, 1))]
    if kind == "two":
        return [net.unary("LOGISTIC", net.conv(x, 2, (1, 1))), net.dense(net.reduce("MEAN", x, [1, 2], keep=False), 3)]
    if kind == "pool":
        x = net.pool("AVERAGE", x, (height, width), (1, 1), VALID)
        x = net.reshape(x, (1, channels))
    elif kind == "mean":
        x = net.reduce("MEAN", x, [1, 2], keep=False)
    return [net.unary("SOFTMAX", net.dense(x, classes))] if net.rng.random() < 0.6 else [net.dense(x, classes)]

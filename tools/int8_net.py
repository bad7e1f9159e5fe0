"""An int8 graph put down operator by operator with quantization drawn at random, without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecut.tflite.write import Draft

Grid = tuple[float, int]
Pair = tuple[int, int]

SAME, VALID = 0, 1
NO_ACTIVATION, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
SOFTMAX_GRID, TANH_GRID = (2.0**-8, -128), (2.0**-7, 0)
_SPREAD = 74.0  # the standard deviation of int8 values drawn uniformly
_SCALES = (-1.9, -1.1)  # decimal exponents: the steps that a RELU6 leaves are some dozens to the whole range


class Int8Net(Draft):
    """A draft whose activations are int8. Each method adds one operator and gives its output."""

    def __init__(self, rng: np.random.Generator, *, tame: bool = False) -> None:
        """An empty graph. rng: decides all that a caller leaves open. tame: zero points as a converter chooses them, so
        that values still differ behind many operators; else the ends of the range are as likely as all between.
        """
        super().__init__()
        self.rng = rng
        self.tame = tame
        self.grids: dict[int, Grid] = {}

    def image(self, shape: Sequence[int], grid: Grid | None = None) -> int:
        """An activation."""
        scale, zero_point = grid or self.any_grid()
        index = self.tensor(shape, "int8", scale, zero_point)
        self.grids[index] = (scale, zero_point)
        return index

    def constant_image(self, shape: Sequence[int], grid: Grid | None = None) -> int:
        """A constant in the place of an activation."""
        scale, zero_point = grid or self.any_grid()
        index = self.constant(self.rng.integers(-128, 128, shape).astype(np.int8), [scale])
        self._tensors[index].quantization.zeroPoint = np.array([zero_point], np.int64)
        self.grids[index] = (scale, zero_point)
        return index

    def any_grid(self, activation: int = NO_ACTIVATION) -> Grid:
        """A scale and a zero point. activation: what is fused into the operator that makes the values."""
        low, high = _SCALES
        zero_point = int(self.rng.choice([-128, 127, 0, -1, int(self.rng.integers(-128, 128))]))
        if self.tame:
            zero_point = int(
                self.rng.integers(-128, -120) if activation in {RELU, RELU6} else self.rng.integers(-40, 41)
            )
        if activation == RELU_N1_TO_1:
            low, high = low - 0.3, high - 0.6
        return float(np.float32(10 ** self.rng.uniform(low, high))), zero_point

    def pick(self, *choices: Any) -> Any:
        """One of the choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def conv(
        self,
        x: int,
        filters: int,
        kernel: Pair = (3, 3),
        stride: Pair = (1, 1),
        dilation: Pair = (1, 1),
        **more: Any,
    ) -> int:
        """CONV_2D. more: padding, activation, groups, per_channel, grid."""
        groups, padding = more.get("groups", 1), more.get("padding", SAME)
        batch, height, width, channels = self.shape_of(x)
        shape = (filters, *kernel, channels // groups)
        grid = more.get("grid") or self.any_grid(more.get("activation", NO_ACTIVATION))
        weights, bias = self._weights(x, shape, filters if more.get("per_channel", True) else 1, grid)
        inputs = [x, weights, bias]
        rows = windows(height, kernel[0], stride[0], dilation[0], padding)
        columns = windows(width, kernel[1], stride[1], dilation[1], padding)
        out = self.image((batch, rows, columns, filters), grid)
        options = {
            **_strided(stride, dilation, padding),
            "fusedActivationFunction": more.get("activation", NO_ACTIVATION),
        }
        self.operator("CONV_2D", inputs, [out], 1, "Conv2DOptions", options)
        return out

    def depthwise(
        self,
        x: int,
        multiplier: int = 1,
        kernel: Pair = (3, 3),
        stride: Pair = (1, 1),
        dilation: Pair = (1, 1),
        **more: Any,
    ) -> int:
        """DEPTHWISE_CONV_2D. more: padding, activation, per_channel, grid."""
        padding = more.get("padding", SAME)
        batch, height, width, channels = self.shape_of(x)
        filters = channels * multiplier
        grid = more.get("grid") or self.any_grid(more.get("activation", NO_ACTIVATION))
        shape = (1, *kernel, filters)
        weights, bias = self._weights(x, shape, filters if more.get("per_channel", True) else 1, grid, axis=3)
        inputs = [x, weights, bias]
        rows = windows(height, kernel[0], stride[0], dilation[0], padding)
        columns = windows(width, kernel[1], stride[1], dilation[1], padding)
        out = self.image((batch, rows, columns, filters), grid)
        options = {
            **_strided(stride, dilation, padding),
            "depthMultiplier": multiplier,
            "fusedActivationFunction": more.get("activation", NO_ACTIVATION),
        }
        self.operator("DEPTHWISE_CONV_2D", inputs, [out], 1, "DepthwiseConv2DOptions", options)
        return out

    def transpose_conv(self, x: int, filters: int, kernel: Pair, stride: Pair, padding: int) -> int:
        """TRANSPOSE_CONV."""
        batch, height, width, channels = self.shape_of(x)
        grid = self.any_grid()
        weights, bias = self._weights(x, (filters, *kernel, channels), filters, grid)
        rows, columns = (
            size * step + (max(0, taps - step) if padding == VALID else 0)
            for size, step, taps in zip((height, width), stride, kernel, strict=True)
        )
        shape = (batch, rows, columns, filters)
        out = self.image(shape, grid)
        inputs = [self.constant(np.array(shape, np.int32)), weights, x, bias]
        options = {"padding": padding, "strideH": stride[0], "strideW": stride[1]}
        self.operator("TRANSPOSE_CONV", inputs, [out], 1, "TransposeConvOptions", options)
        return out

    def dense(self, x: int, units: int, **more: Any) -> int:
        """FULLY_CONNECTED of all but the first dimension. more: activation, per_channel, bias, keep_dims, grid."""
        shape, keep = self.shape_of(x), more.get("keep_dims", False)
        depth = shape[-1] if keep else math.prod(shape[1:])
        grid = more.get("grid") or self.any_grid(more.get("activation", NO_ACTIVATION))
        weights, bias = self._weights(x, (units, depth), units if more.get("per_channel", False) else 1, grid)
        inputs = [x, weights, bias if more.get("bias", True) else -1]
        out_shape = (*shape[:-1], units) if keep else (shape[0], units)
        out = self.image(out_shape, grid)
        options = {"keepNumDims": keep, "fusedActivationFunction": more.get("activation", NO_ACTIVATION)}
        self.operator("FULLY_CONNECTED", inputs, [out], 1, "FullyConnectedOptions", options)
        return out

    def pool(self, kind: str, x: int, kernel: Pair, stride: Pair, padding: int, activation: int = NO_ACTIVATION) -> int:
        """AVERAGE_POOL_2D or MAX_POOL_2D, which keep the grid."""
        batch, height, width, channels = self.shape_of(x)
        rows = windows(height, kernel[0], stride[0], 1, padding)
        columns = windows(width, kernel[1], stride[1], 1, padding)
        out = self.image((batch, rows, columns, channels), self.grids[x])
        options = {
            "padding": padding,
            "strideH": stride[0],
            "strideW": stride[1],
            "filterHeight": kernel[0],
            "filterWidth": kernel[1],
            "fusedActivationFunction": activation,
        }
        self.operator(f"{kind}_POOL_2D", [x], [out], 1, "Pool2DOptions", options)
        return out

    def binary(self, name: str, x: int, y: int, activation: int = NO_ACTIVATION) -> int:
        """ADD, SUB, MUL (any grids), MAXIMUM or MINIMUM (of one grid), with broadcasting."""
        shape = np.broadcast_shapes(self.shape_of(x), self.shape_of(y))
        if name in {"MAXIMUM", "MINIMUM"}:
            out = self.image(shape, self.grids[x])
            self.operator(name, [x, y], [out], 1, "MaximumMinimumOptions")
            return out
        (first, _), (second, _) = self.grids[x], self.grids[y]
        scale = first * second * 90 if name == "MUL" else max(first, second) * 1.4
        out = self.image(shape, (float(np.float32(scale * self.rng.uniform(0.6, 1.6))), self.any_grid()[1]))
        table = f"{name.title()}Options"
        self.operator(name, [x, y], [out], 1, table, {"fusedActivationFunction": activation})
        return out

    def unary(self, name: str, x: int) -> int:
        """An activation as an operator of its own: RELU, RELU6, LEAKY_RELU, LOGISTIC, TANH, HARD_SWISH, SOFTMAX."""
        scale, zero_point = self.grids[x]
        fixed = {"LOGISTIC": SOFTMAX_GRID, "SOFTMAX": SOFTMAX_GRID, "TANH": TANH_GRID}
        others: Grid = (float(np.float32(scale * self.rng.uniform(0.5, 1.5))), self.any_grid()[1])
        out = self.image(self.shape_of(x), fixed.get(name) or self.pick((scale, zero_point), others))
        tables: dict[str, tuple[str, dict[str, Any]]] = {
            "SOFTMAX": ("SoftmaxOptions", {"beta": 1.0}),
            "LEAKY_RELU": ("LeakyReluOptions", {"alpha": float(np.float32(self.rng.uniform(0.01, 0.9)))}),
        }
        table, options = tables.get(name, ("", {}))
        self.operator(name, [x], [out], 1, table, options)
        return out

    def prelu(self, x: int) -> int:
        """PRELU with an alpha for each channel."""
        scale, _ = self.grids[x]
        alpha = self.constant_image((1, 1, self.shape_of(x)[-1]), (0.01, self.any_grid()[1]))
        out = self.image(self.shape_of(x), (float(np.float32(scale * self.rng.uniform(0.7, 1.6))), self.any_grid()[1]))
        self.operator("PRELU", [x, alpha], [out])
        return out

    def reduce(self, name: str, x: int, axes: Sequence[int], *, keep: bool) -> int:
        """MEAN or SUM over axes."""
        shape = self.shape_of(x)
        inside = {axis % len(shape) for axis in axes}
        out_shape = [1 if k in inside else d for k, d in enumerate(shape) if keep or k not in inside]
        scale, zero_point = self.grids[x]
        if name == "SUM":
            scale *= math.sqrt(math.prod(shape[k] for k in inside))
        out = self.image(out_shape, self.pick((scale, zero_point), (float(np.float32(scale * 0.4)), 3)))
        constants = self.constant(np.array(axes, np.int32))
        self.operator(name, [x, constants], [out], 1, "ReducerOptions", {"keepDims": keep})
        return out

    def pad(self, x: int, amounts: Sequence[Pair], value: int | None = None) -> int:
        """PAD with the real 0, or PADV2 with a quantized value."""
        shape = tuple(size + low + high for size, (low, high) in zip(self.shape_of(x), amounts, strict=True))
        out = self.image(shape, self.grids[x])
        inputs = [x, self.constant(np.array(amounts, np.int32))]
        if value is None:
            self.operator("PAD", inputs, [out], 1, "PadOptions")
            return out
        scale, zero_point = self.grids[x]
        filler = self.constant(np.array([value], np.int8), [scale])
        self._tensors[filler].quantization.zeroPoint = np.array([zero_point], np.int64)
        self.operator("PADV2", [*inputs, filler], [out], 1, "PadV2Options")
        return out

    def concatenate(self, tensors: Sequence[int], axis: int) -> int:
        """CONCATENATION; the tensors must have one grid."""
        shape = list(self.shape_of(tensors[0]))
        shape[axis] = sum(self.shape_of(t)[axis] for t in tensors)
        out = self.image(shape, self.grids[tensors[0]])
        self.operator("CONCATENATION", tensors, [out], 1, "ConcatenationOptions", {"axis": axis})
        return out

    def reshape(self, x: int, shape: Sequence[int]) -> int:
        """RESHAPE."""
        out = self.image(shape, self.grids[x])
        self.operator("RESHAPE", [x, self.constant(np.array(shape, np.int32))], [out])
        return out

    def transpose(self, x: int, order: Sequence[int]) -> int:
        """TRANSPOSE."""
        shape = self.shape_of(x)
        out = self.image([shape[k] for k in order], self.grids[x])
        self.operator("TRANSPOSE", [x, self.constant(np.array(order, np.int32))], [out], 1, "TransposeOptions")
        return out

    def strided_slice(self, x: int, begin: Sequence[int], end: Sequence[int], strides: Sequence[int]) -> int:
        """STRIDED_SLICE without masks."""
        shape = [-(-(high - low) // step) for low, high, step in zip(begin, end, strides, strict=True)]
        out = self.image(shape, self.grids[x])
        places = [self.constant(np.array(v, np.int32)) for v in (begin, end, strides)]
        self.operator("STRIDED_SLICE", [x, *places], [out], 1, "StridedSliceOptions")
        return out

    def split(self, x: int, axis: int, count: int) -> list[int]:
        """SPLIT into equal parts."""
        shape = list(self.shape_of(x))
        shape[axis] //= count
        parts = [self.image(shape, self.grids[x]) for _ in range(count)]
        place = self.constant(np.array(axis, np.int32))
        self.operator("SPLIT", [place, x], parts, 1, "SplitOptions", {"numSplits": count})
        return parts

    def resize(self, name: str, x: int, size: Pair, *, align: bool = False, half: bool = False) -> int:
        """RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR."""
        batch, _, _, channels = self.shape_of(x)
        out = self.image((batch, *size, channels), self.grids[x])
        table = {"RESIZE_BILINEAR": "ResizeBilinearOptions"}.get(name, "ResizeNearestNeighborOptions")
        options = {"alignCorners": align, "halfPixelCenters": half}
        self.operator(name, [x, self.constant(np.array(size, np.int32))], [out], 1, table, options)
        return out

    def quantize(self, x: int, grid: Grid | None = None) -> int:
        """QUANTIZE to another grid."""
        scale, _ = self.grids[x]
        out = self.image(self.shape_of(x), grid or (float(np.float32(scale * 1.3)), self.any_grid()[1]))
        self.operator("QUANTIZE", [x], [out])
        return out

    def _weights(self, x: int, shape: Sequence[int], count: int, grid: Grid, axis: int = 0) -> tuple[int, int]:
        """Weights and a bias with which sums of products spread over most of the grid's range."""
        taps = math.prod(shape) // shape[axis]
        usual = grid[0] * 50 / (self.grids[x][0] * _SPREAD**2 * math.sqrt(taps))
        scales = [float(np.float32(usual * self.rng.uniform(0.5, 2.0))) for _ in range(count)]
        weights = self.constant(self.rng.integers(-127, 128, shape).astype(np.int8), scales, axis)
        # A convolution has a bias always: LiteRT refuses an int8 CONV_2D without, TFLM dies of a DEPTHWISE_CONV_2D.
        each = [float(np.float32(self.grids[x][0]) * np.float32(s)) for s in scales]
        bias = self.rng.integers(-9000, 9000, shape[axis]).astype(np.int32)
        return weights, self.constant(bias, each)


def windows(size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    """How many places a window has along a side."""
    if padding == SAME:
        return -(-size // stride)
    return (size - (kernel - 1) * dilation - 1) // stride + 1


def _strided(stride: Pair, dilation: Pair, padding: int) -> dict[str, int]:
    return {
        "padding": padding,
        "strideH": stride[0],
        "strideW": stride[1],
        "dilationHFactor": dilation[0],
        "dilationWFactor": dilation[1],
    }

"""Layers for files that are timed, not used: each is put on a draft with constants of the right size and type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.tflite.write import Draft

# One grid for all activations: concatenation, pooling and reshaping ask for the same on both sides.
SCALE, WEIGHT_SCALE = 0.1, 0.005
# What kernels ask of the output of these: (scale, zero point).
FIXED_GRIDS = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
# Versions in which a kernel takes int8; 1 for the others. From TensorFlow's tools/versioning/op_version.cc.
INT8_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "ADD": 2,
    "SUB": 2,
    "MUL": 2,
    "MEAN": 2,
    "SUM": 2,
    "AVERAGE_POOL_2D": 2,
    "MAX_POOL_2D": 2,
    "SOFTMAX": 2,
    "LOGISTIC": 2,
    "TANH": 2,
    "CONCATENATION": 2,
    "PAD": 2,
    "RELU": 2,
    "RELU6": 2,
    "RESIZE_BILINEAR": 2,
    "RESIZE_NEAREST_NEIGHBOR": 2,
    "TRANSPOSE": 2,
    "TRANSPOSE_CONV": 2,
    "LEAKY_RELU": 2,
    "STRIDED_SLICE": 2,
    "MAXIMUM": 2,
    "MINIMUM": 2,
}
# The options table of each operator that has one beside the schema's own rule, "" for none.
TABLES = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "MEAN": "ReducerOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "SUM": "ReducerOptions",
    "DIV": "DivOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SOFTMAX": "SoftmaxOptions",
    "RESHAPE": "ReshapeOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "PAD": "PadOptions",
    "HARD_SWISH": "HardSwishOptions",
    "TRANSPOSE": "TransposeOptions",
    "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
}
SAME, VALID, RELU, RELU6 = 0, 1, 1, 3


@dataclass(frozen=True)
class Sheet:
    """A draft with the dtype that its activations have, "float32" or "int8"."""

    draft: Draft
    dtype: str


def image(sheet: Sheet, shape: Sequence[int]) -> int:
    """An activation."""
    return sheet.draft.tensor(shape, sheet.dtype, None if sheet.dtype == "float32" else SCALE)


def conv(
    sheet: Sheet,
    x: int,
    filters: int,
    kernel: int | tuple[int, int] = 1,
    stride: int = 1,
    padding: int = SAME,
    activation: int = RELU6,
) -> int:
    """A convolution with bias; kernel: one side of a square, or (height, width)."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    _, rows, columns, channels = sheet.draft.shape_of(x)
    y = image(sheet, (1, _after(rows, height, stride, padding), _after(columns, width, stride, padding), filters))
    weights = _weights(sheet, (filters, height, width, channels), 0)
    options = {"padding": padding, "strideW": stride, "strideH": stride, "fusedActivationFunction": activation}
    _call(sheet, "CONV_2D", (x, weights, _bias(sheet, filters)), y, options)
    return y


def depthwise(
    sheet: Sheet, x: int, kernel: int = 3, stride: int = 1, padding: int = SAME, activation: int = RELU6
) -> int:
    """A depthwise convolution with bias and depth multiplier 1."""
    _, rows, columns, channels = sheet.draft.shape_of(x)
    y = image(sheet, (1, _after(rows, kernel, stride, padding), _after(columns, kernel, stride, padding), channels))
    weights = _weights(sheet, (1, kernel, kernel, channels), 3)
    options = {
        "padding": padding,
        "strideW": stride,
        "strideH": stride,
        "depthMultiplier": 1,
        "fusedActivationFunction": activation,
    }
    _call(sheet, "DEPTHWISE_CONV_2D", (x, weights, _bias(sheet, channels)), y, options)
    return y


def dense(sheet: Sheet, x: int, units: int, activation: int = 0) -> int:
    """A fully connected layer with bias."""
    y = image(sheet, (1, units))
    # Per-tensor weights, as converters write them for this operator.
    weights = _weights(sheet, (units, sheet.draft.shape_of(x)[-1]), None)
    _call(
        sheet,
        "FULLY_CONNECTED",
        (x, weights, _bias(sheet, units, channels=False)),
        y,
        {"fusedActivationFunction": activation},
    )
    return y


def transpose_conv(sheet: Sheet, x: int, filters: int, kernel: int = 2, stride: int = 2) -> int:
    """A transposed convolution without bias; the result is `stride` times as large."""
    _, rows, columns, channels = sheet.draft.shape_of(x)
    shape = (1, rows * stride, columns * stride, filters)
    y = image(sheet, shape)
    weights = _weights(sheet, (filters, kernel, kernel, channels), 0)
    size = sheet.draft.constant(np.array(shape, np.int32))
    options = {"padding": SAME, "strideW": stride, "strideH": stride}
    _call(sheet, "TRANSPOSE_CONV", (size, weights, x), y, options)
    return y


def pool(sheet: Sheet, x: int, name: str, window: int, stride: int, padding: int = VALID) -> int:
    """AVERAGE_POOL_2D or MAX_POOL_2D."""
    _, rows, columns, channels = sheet.draft.shape_of(x)
    y = image(sheet, (1, _after(rows, window, stride, padding), _after(columns, window, stride, padding), channels))
    options = {"padding": padding, "strideW": stride, "strideH": stride, "filterWidth": window, "filterHeight": window}
    _call(sheet, name, (x,), y, options)
    return y


def mean(sheet: Sheet, x: int, name: str = "MEAN", keep: bool = False) -> int:
    """MEAN or SUM over height and width."""
    channels = sheet.draft.shape_of(x)[-1]
    y = image(sheet, (1, 1, 1, channels) if keep else (1, channels))
    axes = sheet.draft.constant(np.array([1, 2], np.int32))
    _call(sheet, name, (x, axes), y, {"keepDims": keep})
    return y


def pad(sheet: Sheet, x: int, before: int = 0, after: int = 1) -> int:
    """Zeros around height and width."""
    _, rows, columns, channels = sheet.draft.shape_of(x)
    y = image(sheet, (1, rows + before + after, columns + before + after, channels))
    sides = sheet.draft.constant(np.array([[0, 0], [before, after], [before, after], [0, 0]], np.int32))
    _call(sheet, "PAD", (x, sides), y, {})
    return y


def concatenation(sheet: Sheet, parts: Sequence[int]) -> int:
    """The parts side by side along the channels."""
    shapes = [sheet.draft.shape_of(part) for part in parts]
    y = image(sheet, (*shapes[0][:-1], sum(shape[-1] for shape in shapes)))
    _call(sheet, "CONCATENATION", parts, y, {"axis": len(shapes[0]) - 1})
    return y


def binary(sheet: Sheet, name: str, x: int, other: int, activation: int = 0) -> int:
    """ADD, SUB, MUL, DIV, MAXIMUM or MINIMUM of two tensors, the second as large as the first or broadcast."""
    y = image(sheet, sheet.draft.shape_of(x))
    _call(sheet, name, (x, other), y, {"fusedActivationFunction": activation} if name[:3] not in ("MAX", "MIN") else {})
    return y


def channels_constant(sheet: Sheet, channels: int) -> int:
    """A constant of one value for each channel, to add or multiply with."""
    return _weights(sheet, (channels,), None, SCALE)


def unary(sheet: Sheet, name: str, x: int) -> int:
    """An operator of one tensor that keeps its shape: RELU, LOGISTIC, HARD_SWISH, SOFTMAX, ..."""
    y = image(sheet, sheet.draft.shape_of(x))
    if sheet.dtype == "int8" and name in FIXED_GRIDS:
        y = sheet.draft.tensor(sheet.draft.shape_of(x), "int8", *FIXED_GRIDS[name])
    options = {"SOFTMAX": {"beta": 1.0}, "LEAKY_RELU": {"alpha": 0.1}}.get(name, {})
    _call(sheet, name, (x,), y, options)
    return y


def reshape(sheet: Sheet, x: int, shape: Sequence[int]) -> int:
    """The same elements in another shape."""
    y = image(sheet, shape)
    size = np.array(shape, np.int32)
    _call(sheet, "RESHAPE", (x, sheet.draft.constant(size)), y, {"newShape": size})
    return y


def resize(sheet: Sheet, x: int, name: str, factor: int = 2) -> int:
    """RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR, with the pixels' centres on each other as Keras does."""
    _, rows, columns, channels = sheet.draft.shape_of(x)
    y = image(sheet, (1, rows * factor, columns * factor, channels))
    size = sheet.draft.constant(np.array([rows * factor, columns * factor], np.int32))
    _call(sheet, name, (x, size), y, {"halfPixelCenters": True}, version=3)
    return y


def cropped(sheet: Sheet, x: int) -> int:
    """All but the first row and column, by STRIDED_SLICE."""
    _, rows, columns, channels = sheet.draft.shape_of(x)
    y = image(sheet, (1, rows - 1, columns - 1, channels))
    corners = ([0, 1, 1, 0], [1, rows, columns, channels], [1, 1, 1, 1])
    places = [sheet.draft.constant(np.array(corner, np.int32)) for corner in corners]
    _call(sheet, "STRIDED_SLICE", (x, *places), y, {})
    return y


def dequantized(sheet: Sheet, x: int) -> int:
    """int8 to float32."""
    y = sheet.draft.tensor(sheet.draft.shape_of(x), "float32")
    _call(sheet, "DEQUANTIZE", (x,), y, {}, version=2)
    return y


def quantized_again(sheet: Sheet, x: int) -> int:
    """int8 to float32 and back."""
    y = image(sheet, sheet.draft.shape_of(x))
    _call(sheet, "QUANTIZE", (dequantized(sheet, x),), y, {}, version=1)
    return y


def _call(
    sheet: Sheet,
    name: str,
    inputs: Sequence[int],
    output: int,
    options: Mapping[str, object],
    version: int | None = None,
) -> None:
    if version is None:
        version = INT8_VERSIONS.get(name, 1) if sheet.dtype == "int8" else 1
    sheet.draft.operator(name, inputs, (output,), version, TABLES.get(name, ""), options)


def _after(size: int, kernel: int, stride: int, padding: int) -> int:
    """The size behind a window, by the rule of TensorFlow's SAME and VALID."""
    return -(-size // stride) if padding == SAME else (size - kernel) // stride + 1


def _weights(sheet: Sheet, shape: Sequence[int], axis: int | None, scale: float = WEIGHT_SCALE) -> int:
    """A constant, the same for the same shape; per channel along `axis`, or per tensor."""
    generator = np.random.default_rng(0)
    if sheet.dtype == "float32":
        return sheet.draft.constant(generator.uniform(-scale, scale, shape).astype(np.float32))
    data = generator.integers(-127, 127, shape, np.int8, endpoint=True)
    return sheet.draft.constant(data, [scale] * (1 if axis is None else shape[axis]), axis or 0)


def _bias(sheet: Sheet, filters: int, channels: bool = True) -> int:
    if sheet.dtype == "float32":
        return sheet.draft.constant(np.zeros(filters, np.float32))
    scale = SCALE * WEIGHT_SCALE
    return sheet.draft.constant(np.zeros(filters, np.int32), [scale] * (filters if channels else 1))

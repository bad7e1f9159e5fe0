"""The operators that are written as C, each with the function that binds it to a kernel and to rows."""

from __future__ import annotations

from collections.abc import Callable

from edgecut.engine.kernels import (
    activation,
    convolution,
    dense,
    elementwise,
    int16_values,
    int16x8,
    movement,
    pooling,
    reduction,
    resize,
    transpose_conv,
)
from edgecut.engine.lowered import Lowered, Model
from edgecut.tflite.flatbuffer import Operator

OPERATORS: dict[str, Callable[[Model, Operator], Lowered | tuple[Lowered, ...]]] = {
    "ADD": elementwise.add,
    "AVERAGE_POOL_2D": pooling.average_pool_2d,
    "CONCATENATION": movement.concatenation,
    "CONV_2D": convolution.conv_2d,
    "DEPTHWISE_CONV_2D": convolution.depthwise_conv_2d,
    "FULLY_CONNECTED": dense.fully_connected,
    "HARD_SWISH": activation.lookup(activation.hard_swish_table),
    "LEAKY_RELU": activation.lookup(activation.leaky_relu_table),
    "LOGISTIC": activation.lookup(activation.logistic_table),
    "MAXIMUM": elementwise.maximum,
    "MAX_POOL_2D": pooling.max_pool_2d,
    "MEAN": reduction.mean,
    "MINIMUM": elementwise.minimum,
    "MUL": elementwise.mul,
    "PAD": movement.pad,
    "PADV2": movement.pad,
    "PRELU": elementwise.prelu,
    "QUANTIZE": activation.lookup(activation.quantize_table, "uint8"),
    "RELU": activation.lookup(activation.relu_table),
    "RELU6": activation.lookup(activation.relu6_table),
    "RESIZE_BILINEAR": resize.resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize.resize_nearest_neighbor,
    "SLICE": movement.slice_,
    "SOFTMAX": activation.softmax,
    "SPLIT": movement.split,
    "SPLIT_V": movement.split_v,
    "STRIDED_SLICE": movement.strided_slice,
    "SUB": elementwise.sub,
    "SUM": reduction.total,
    "TANH": activation.lookup(activation.tanh_table),
    "TRANSPOSE": movement.transpose,
    "TRANSPOSE_CONV": transpose_conv.transpose_conv,
}

# The schema's table of options that an operator's kernel reads.
OPTIONS: dict[str, str] = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MUL": "MulOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "SOFTMAX": "SoftmaxOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SUB": "SubOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
}

# The same operators on 16-bit values.
INT16X8: dict[str, Callable[[Model, Operator], Lowered | tuple[Lowered, ...]]] = {
    "ADD": int16_values.add,
    "AVERAGE_POOL_2D": int16x8.average_pool_2d,
    "CONCATENATION": movement.concatenation,
    "CONV_2D": int16x8.conv_2d,
    "DEPTHWISE_CONV_2D": int16x8.depthwise_conv_2d,
    "FULLY_CONNECTED": int16x8.fully_connected,
    "MAX_POOL_2D": int16x8.max_pool_2d,
    "MEAN": reduction.mean,
    "MUL": int16_values.mul,
    "PAD": movement.pad,
    "SLICE": movement.slice_,
    "SOFTMAX": int16_values.softmax,
    "SPLIT": movement.split,
    "SPLIT_V": movement.split_v,
    "STRIDED_SLICE": movement.strided_slice,
    "SUB": int16_values.sub,
    "SUM": reduction.total,
}

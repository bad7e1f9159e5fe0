"""The scratch memory that a microcontroller's optimized kernels ask for, read from their sources."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgecut.errors import SourceError
from edgecut.tflite.flatbuffer import Operator, TfliteGraph
from edgecut.tflite.requests import reference_requests

# CMSIS-NN turns a transposed convolution of more channels into one over a picture with holes (arm_nnfunctions.h).
REVERSE_CHANNELS = 16


@dataclass(frozen=True)
class Window:
    """A convolution's sizes.

    padded_height, padded_width: the image with all its padding; end_height, end_width: with the padding below
    and on the right alone. depth: the kernel's channels. A depthwise one's multiplier is filters // channels.
    """

    height: int
    width: int
    channels: int
    kernel_height: int
    kernel_width: int
    depth: int
    filters: int
    output_height: int
    output_width: int
    strides: tuple[int, int]
    dilated: bool
    padded_height: int
    padded_width: int
    end_height: int
    end_width: int

    @property
    def padded(self) -> bool:
        """Whether there is any padding."""
        return (self.padded_height, self.padded_width) != (self.height, self.width)


def cmsis_nn_requests(graph: TfliteGraph, operator: Operator) -> tuple[int, ...]:
    """What CMSIS-NN's kernel asks for on a core with DSP and without Helium (M4, M7, M33), in its order.

    From arm_convolve_get_buffer_sizes_s8.c and _s16.c, arm_depthwise_conv_get_buffer_sizes_s8.c and _s16.c,
    arm_avgpool_get_buffer_sizes_s8.c and arm_transpose_conv_get_buffer_sizes_s8.c at ARM-software/CMSIS-NN@99f736a, and
    from cmsis_nn/fully_connected.cc in tflite-micro@90b983c. An operator without a kernel of its own, or of float data,
    runs TFLM's. A 3x3 depthwise kernel needs none where its padding is at most 1, as it always is for SAME and VALID.
    """
    rule = _CMSIS_NN.get(operator.name)
    dtype = _data_type(graph, operator)
    if rule is None or dtype not in {"int8", "int16"}:
        return reference_requests(graph, operator)
    return rule(graph, operator, dtype)


def esp_nn_s3_requests(graph: TfliteGraph, operator: Operator) -> tuple[int, ...] | None:
    """What ESP-NN's kernel asks for on an ESP32-S3; None where its case isn't known.

    From esp_nn_conv_esp32s3.c:315-384, esp_nn_depthwise_conv_s8_esp32s3.c:348-440 and esp_nn_softmax_opt.c at
    espressif/esp-nn@d45b843. An operator without a kernel of its own, or of other data than int8, runs TFLM's.
    """
    if _data_type(graph, operator) == "int8":
        if operator.name == "CONV_2D":
            return (_esp_nn_s3_conv(window(graph, operator)),)
        if operator.name == "DEPTHWISE_CONV_2D":
            size = _esp_nn_s3_depthwise(window(graph, operator))
            return None if size is None else (size,)
        if operator.name == "SOFTMAX":
            return (4 * _last(graph, operator.inputs[0]),)
    return reference_requests(graph, operator)


def esp_nn_plain_requests(graph: TfliteGraph, operator: Operator) -> tuple[int, ...]:
    """What ESP-NN's kernel asks for on an ESP32: its plain C takes no scratch but for a SOFTMAX.

    From esp_nn_conv_opt.c:20-26, esp_nn_depthwise_conv_opt.c:18-24 and esp_nn_softmax_opt.c:29 at the same commit.
    """
    if operator.name == "SOFTMAX" and _data_type(graph, operator) == "int8":
        return (4 * _last(graph, operator.inputs[0]),)
    return reference_requests(graph, operator)


def window(graph: TfliteGraph, operator: Operator) -> Window:
    """The sizes of a CONV_2D or DEPTHWISE_CONV_2D, padding as TensorFlow shares it out: larger half last.

    Raises SourceError if its picture, kernel or output has not 4 axes.
    """
    picture, kernel, output = _shapes(graph, operator)
    _, height, width, channels = picture
    _, kernel_height, kernel_width, depth = kernel
    _, output_height, output_width, filters = output
    options = operator.options
    strides = int(options.get("strideH", 1)), int(options.get("strideW", 1))
    dilation = _dilation(operator)
    rows = _padding(height, output_height, kernel_height, strides[0], dilation[0])
    columns = _padding(width, output_width, kernel_width, strides[1], dilation[1])
    return Window(
        height=height,
        width=width,
        channels=channels,
        kernel_height=kernel_height,
        kernel_width=kernel_width,
        depth=depth,
        filters=filters,
        output_height=output_height,
        output_width=output_width,
        strides=strides,
        dilated=dilation != (1, 1),
        padded_height=height + rows,
        padded_width=width + columns,
        end_height=height + rows - rows // 2,
        end_width=width + columns - columns // 2,
    )


def _shapes(graph: TfliteGraph, operator: Operator) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Those of picture, kernel and output, of 4 axes each."""
    tensors = graph.tensors
    picture, kernel = tensors[operator.inputs[0]].shape, tensors[operator.inputs[1]].shape
    output = tensors[operator.outputs[0]].shape
    if not len(picture) == len(kernel) == len(output) == 4:
        raise SourceError(f"operator {operator.index} ({operator.name}): picture, kernel and output have 4 axes each")
    return picture, kernel, output


def _cmsis_conv(graph: TfliteGraph, operator: Operator, dtype: str) -> tuple[int, ...]:
    _, (_, kernel_height, kernel_width, depth), _ = _shapes(graph, operator)
    column = kernel_height * kernel_width * depth
    if dtype == "int16":
        return (4 * column,)
    return () if (kernel_height, kernel_width) == (1, 1) else (4 * _up(column, 4),)


def _cmsis_depthwise(graph: TfliteGraph, operator: Operator, dtype: str) -> tuple[int, ...]:
    (*_, channels), (_, kernel_height, kernel_width, _), (*_, filters) = _shapes(graph, operator)
    if filters != channels or _dilation(operator) != (1, 1):
        return ()
    if dtype == "int8" and (kernel_height, kernel_width) == (3, 3):
        return ()
    return (2 * channels * kernel_height * kernel_width,)


def _cmsis_average(graph: TfliteGraph, operator: Operator, _dtype: str) -> tuple[int, ...]:
    return (4 * _last(graph, operator.inputs[0]),)


def _cmsis_dense(graph: TfliteGraph, operator: Operator, dtype: str) -> tuple[int, ...]:
    """Over several axes it runs as a convolution of 1x1, whose scales by channel are filled in at each run."""
    output, weights = graph.tensors[operator.outputs[0]], graph.tensors[operator.inputs[1]]
    as_convolution = dtype == "int8" and len(output.shape) > 2 and _last(graph, operator.inputs[1]) % 4 == 0
    by_channel = len(weights.scales) > 1
    return (4 * output.shape[-1],) * 2 if as_convolution and not by_channel else ()


def _cmsis_transposed(graph: TfliteGraph, operator: Operator, dtype: str) -> tuple[int, ...]:
    if dtype == "int16":
        return reference_requests(graph, operator)
    picture, kernel = graph.tensors[operator.inputs[2]].shape, graph.tensors[operator.inputs[1]].shape
    if len(picture) != 4 or len(kernel) != 4:
        raise SourceError(f"operator {operator.index} ({operator.name}): picture and kernel have 4 axes each")
    filters, rows, columns, channels = kernel
    down, across = int(operator.options.get("strideH", 1)), int(operator.options.get("strideW", 1))
    if max(down, across) <= 2 and channels > REVERSE_CHANNELS:
        taps = rows * columns * channels
        return 4 * _up(taps, 4), taps * filters
    # The wider of kernel and stride downwards is what the source takes for the columns, too.
    width = (picture[2] - 1) * across + max(columns, down)
    return (4 * filters * width * max(rows, down),)


_CMSIS_NN: dict[str, Callable[[TfliteGraph, Operator, str], tuple[int, ...]]] = {
    "AVERAGE_POOL_2D": _cmsis_average,
    "CONV_2D": _cmsis_conv,
    "DEPTHWISE_CONV_2D": _cmsis_depthwise,
    "FULLY_CONNECTED": _cmsis_dense,
    "TRANSPOSE_CONV": _cmsis_transposed,
}


def _dilation(operator: Operator) -> tuple[int, int]:
    return int(operator.options.get("dilationHFactor", 1)), int(operator.options.get("dilationWFactor", 1))


def _padding(size: int, output: int, kernel: int, stride: int, dilation: int) -> int:
    return max(0, (output - 1) * stride + (kernel - 1) * dilation + 1 - size)


def _esp_nn_s3_conv(w: Window) -> int:
    c8, c16 = _up(w.channels, 8), _up(w.channels, 16)
    taps = w.kernel_height * w.kernel_width
    if taps == 1 and w.strides == (1, 1) and not w.padded:
        area = w.width * w.height
        return c8 * w.filters + (area * c8 if w.channels % 8 else 0) + (0 if area < 8 else 16 * c8) + 64
    if w.kernel_width * w.channels < 16 <= taps * w.channels:
        column = _up(taps * w.channels, 16)
        return 4 * w.filters + 16 + w.filters * column + 16 + column + 64
    row = _up(w.kernel_width * w.channels, 16) * w.kernel_height * w.filters
    image = w.padded_width * w.padded_height * w.channels if w.padded else 0
    behind = (w.end_height, w.end_width) != (w.height, w.width)
    end = w.end_width * w.end_height * w.channels if behind else 0
    return image + taps * c16 * w.filters + row + end + 4 * w.filters + 64


def _esp_nn_s3_depthwise(w: Window) -> int | None:
    taps, c, multiplier = w.kernel_height * w.kernel_width, w.channels, w.filters // w.channels
    weights, image, full = taps * w.filters, w.width * w.height * c, w.padded_width * w.padded_height * c
    if multiplier % 4 == 0:
        return 2 * (weights + image) + 32
    if multiplier != 1 or c % 8:
        return None
    if (w.kernel_height, w.kernel_width) != (3, 3):
        whole = 2 * (weights + image)
        return whole + 32 if whole <= 48 * 1024 else 2 * weights + 2 * w.width * w.kernel_height * c + 32
    if c % 16 == 0:
        if not w.padded:
            return weights + 16
        return weights + 16 + (full if full <= 40 * 1024 else w.padded_width * w.kernel_height * c)
    if c == 8:
        return 2 * (weights + image) + 32
    c16 = _up(c, 16)
    padded_area = w.padded_width * w.padded_height
    return 9 * c16 + padded_area * c16 + w.output_width * w.output_height * c16 + 64


def _data_type(graph: TfliteGraph, operator: Operator) -> str:
    place = 2 if operator.name == "TRANSPOSE_CONV" else 0
    index = operator.inputs[place] if len(operator.inputs) > place else -1
    return graph.tensors[index].dtype if index >= 0 else ""


def _last(graph: TfliteGraph, index: int) -> int:
    return (graph.tensors[index].shape or (1,))[-1]


def _up(size: int, step: int) -> int:
    return math.ceil(size / step) * step

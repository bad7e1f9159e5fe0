"""TRANSPOSE_CONV in int8: each output row by the taps that fall on rows of the input."""

from __future__ import annotations

import numpy as np

from edgecut.engine.kernels.convolution import bias_of, factor_fields, filter_scales, grid_fields
from edgecut.engine.lowered import SAME, Call, Lowered, Model, Read, Value, option, row_view
from edgecut.engine.quantization import channel_multipliers, sums_are_small
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator


def transpose_conv(model: Model, op: Operator) -> Lowered:
    """A transposed convolution; padding is that of the convolution which would undo it."""
    data, output, weights = model.activation(op.inputs[2]), model.output(op), model.constant(op.inputs[1], "int8")
    if len(data.shape) != 4 or len(output.shape) != 4 or weights.ndim != 4:
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    filters, taps_y, taps_x, depth = weights.shape
    if (data.shape[3], output.shape[3], output.shape[0]) != (depth, filters, data.shape[0]):
        raise Refused(f"has filters of shape {list(weights.shape)} for an input of shape {list(data.shape)}")
    stride_y, stride_x = option(op, "strideH", 1), option(op, "strideW", 1)
    padding = option(op, "padding", SAME)
    pads = [
        _pad(output.shape[k], size, stride, padding)
        for k, size, stride in ((1, taps_y, stride_y), (2, taps_x, stride_x))
    ]
    factors = channel_multipliers(data.scales[0], filter_scales(model, op, filters), output.scales[0])
    fields: dict[str, Value] = {
        "in_height": data.shape[1], "in_width": data.shape[2], "out_height": output.shape[1],
        "out_width": output.shape[2], "depth": depth, "filters": filters, "taps_y": taps_y, "taps_x": taps_x,
        "stride_y": stride_y, "stride_x": stride_x, "pad_y": pads[0], "pad_x": pads[1],
    }  # fmt: skip
    bias = bias_of(model, op, filters, place=3)
    fields |= grid_fields(op, data, output) | {
        "bias": bias,
        "weights": weights,
    }
    fields |= factor_fields(factors)
    # A value less the zero point has up to twice the range that the bound is for.
    fields["small"] = int(sums_are_small(bias, np.repeat(weights.reshape(filters, -1), 2, 1), factors))
    y = np.arange(output.shape[1]) + pads[0]
    first = np.clip(-((taps_y - 1 - y) // stride_y), 0, data.shape[1])
    stop = np.maximum(np.clip(y // stride_y + 1, 0, data.shape[1]), first)
    base = np.arange(data.shape[0])[:, None] * data.shape[1]
    read = Read(op.inputs[2], row_view(data), (base + first).ravel(), (base + stop).ravel())
    return Lowered(Call("transpose_conv_row", fields), (read,), op.outputs[0], row_view(output))


def _pad(made: int, taps: int, stride: int, padding: int) -> int:
    if min(made, taps, stride) < 1:
        raise Refused("has a size or a stride that no window has")
    moved = -(-made // stride) if padding == SAME else (made + stride - taps) // stride
    return max((moved - 1) * stride + taps - made, 0) // 2

"""The operators that see the picture first, and how it gets to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras
import numpy as np

from edgecut.graph.calls import Call, Calls, Tensor, flat
from edgecut.lowering.activation import is_dropped_in_inference
from edgecut.stem.channels import LinearMap
from edgecut.stem.pixels import affine_of, flips_channels
from edgecut.stem.resolution import Axis, same_padding

L = keras.layers
Pads = tuple[tuple[int, int], tuple[int, int]]
NO_PADS: Pads = ((0, 0), (0, 0))


@dataclass(frozen=True, eq=False)
class Pointwise:
    """The second half of a separable convolution: kernel (middle channels, filters), bias (filters,)."""

    kernel: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class FirstOp:
    """A convolution, or a Dense layer behind Flatten, that the picture reaches through affine layers alone.

    call: the operator that gives the new one its name and activation. output: the tensor that it makes, with what was
    composed into it. linear: from the device to what it takes, so that the padding is zero in the linear part: what
    non-zero padding adds is in `bias` already. kernel: (height, width, source channels, filters), float64; of a Dense
    layer height and width are the picture's. pointwise: what follows the kernel where it is the first half of a
    separable convolution. groups: into how many groups the channels are divided, of which a filter sees one.
    is_depthwise: whether a group is a single channel, as in DepthwiseConv2D. rows, columns: the walk over the source's
    picture.
    """

    call: Call
    output: Tensor
    linear: LinearMap
    kernel: np.ndarray
    bias: np.ndarray
    rows: Axis
    columns: Axis
    pointwise: Pointwise | None = None
    groups: int = 1
    is_depthwise: bool = False
    is_dense: bool = False

    @property
    def composed(self) -> FirstOp:
        """The separable convolution as one convolution; itself if it is one already."""
        if self.pointwise is None:
            return self
        kernel, bias = self.kernel @ self.pointwise.kernel, self.bias @ self.pointwise.kernel + self.pointwise.bias
        return replace(self, kernel=kernel, bias=bias, pointwise=None, groups=1, is_depthwise=False)


def first_operators(
    graph: Calls, source: Tensor, linear: LinearMap, picture: tuple[int | None, int | None], *, fold: bool
) -> list[FirstOp]:
    """The operators that take the picture first; [] if any of its consumers can't be written as a FirstOp.

    picture: (height, width) at which the source runs. fold: whether a BatchNormalization behind one is folded into it.
    """
    if source in flat(graph.outputs):
        return []
    found = [_first(graph, source, call, linear, picture, fold) for call in graph.consumers[source]]
    kept = [first for first in found if first is not None]
    return kept if len(kept) == len(found) else []


@dataclass(frozen=True, eq=False)
class _Way:
    """The picture on its way: the tensor it is now, what it is of the device, and the padding around it.

    border: (channels,), the value of the padding.
    """

    tensor: Tensor
    linear: LinearMap
    pads: Pads
    border: np.ndarray


def _first(
    graph: Calls, source: Tensor, call: Call, linear: LinearMap, picture: tuple[int | None, int | None], fold: bool
) -> FirstOp | None:
    channels = linear.matrix.shape[0]
    way = _Way(source, linear, NO_PADS, np.zeros(channels))
    while True:
        moved = _moved(way, call, channels)
        if moved is None:
            return _operator(graph, way, call, picture, fold)
        following = graph.consumers[moved.tensor]
        if len(following) != 1 or moved.tensor in flat(graph.outputs):
            return None
        way, call = moved, following[0]


def _moved(way: _Way, call: Call, channels: int) -> _Way | None:
    """The way behind a call that is affine per channel, turns the channels round, or pads; None for another."""
    linear, border = way.linear, way.border
    if len(call.inputs) != 1 or len(call.outputs) != 1:
        return None
    tensor = call.outputs[0]
    affine = affine_of(call, channels)
    if affine is not None:
        scale, offset = affine
        # Without padding its value has no meaning and stays 0.
        border = scale * border + offset if way.pads != NO_PADS else border
        return _Way(tensor, linear.then(scale, offset), way.pads, border)
    if flips_channels(call):
        return _Way(tensor, LinearMap(linear.matrix[::-1], linear.offset[::-1]), way.pads, border[::-1])
    if is_dropped_in_inference(call):
        return replace(way, tensor=tensor)
    padding = _padding(call)
    if padding is None:
        return None
    pads, value = padding
    if way.pads != NO_PADS and not np.allclose(border, value):
        return None
    (top, bottom), (left, right) = way.pads
    total = ((top + pads[0][0], bottom + pads[0][1]), (left + pads[1][0], right + pads[1][1]))
    return _Way(tensor, linear, total, np.full(channels, value))


def _padding(call: Call) -> tuple[Pads, float] | None:
    """((top, bottom), (left, right)) and the value of a call that pads the picture with a constant."""
    if type(call.operation) is L.ZeroPadding2D and call.operation.data_format == "channels_last":
        top_bottom, left_right = call.operation.padding
        return (tuple(top_bottom), tuple(left_right)), 0.0
    if call.type != "Pad" or getattr(call.operation, "mode", "") != "constant":
        return None
    widths = np.asarray(call.operation.pad_width)
    value = call.kwargs.get("constant_values", call.args[1] if len(call.args) > 1 else None)
    value = 0.0 if value is None else value
    if widths.shape != (4, 2) or widths[[0, 3]].any() or not isinstance(value, int | float | np.number | np.ndarray):
        return None
    rows, columns = widths[1], widths[2]
    return ((int(rows[0]), int(rows[1])), (int(columns[0]), int(columns[1]))), float(value)


def _operator(
    graph: Calls, way: _Way, call: Call, picture: tuple[int | None, int | None], fold: bool
) -> FirstOp | None:
    layer = call.operation
    if type(layer) is L.Flatten and way.pads == NO_PADS:
        return _dense(graph, way, call)
    if type(layer) not in {L.Conv2D, L.DepthwiseConv2D, L.SeparableConv2D} or not _is_plain(layer):
        return None
    rows, columns = (_axis(way.pads[axis], layer, axis, picture[axis]) for axis in (0, 1))
    if way.border.any() and layer.padding == "same":
        return None  # two paddings of different values
    kernel, pointwise = _weights(layer)
    depthwise = type(layer) is not L.Conv2D
    groups = kernel.shape[2] if depthwise else layer.groups
    # Zeros in the padding see nothing, so what the padding's value gives everywhere goes into the bias.
    bias = (_bias(layer) if pointwise is None else 0.0) + np.einsum("hwsf,s->f", kernel, way.border)
    linear = LinearMap(way.linear.matrix, way.linear.offset - way.border)
    first = FirstOp(call, call.outputs[0], linear, kernel, bias, rows, columns, pointwise, groups, depthwise)
    return _with_followers(graph, first, layer, fold)


def _dense(graph: Calls, way: _Way, flatten: Call) -> FirstOp | None:
    shape = way.tensor.shape
    follower = _only_follower(graph, flatten.outputs[0])
    while follower is not None and is_dropped_in_inference(follower):
        follower = _only_follower(graph, follower.outputs[0])
    if follower is None or type(follower.operation) is not L.Dense or not _is_plain(follower.operation):
        return None
    height, width, channels = shape[1:]
    if height is None or width is None or channels is None:
        return None
    layer = follower.operation
    kernel = _array(layer.kernel).reshape(height, width, channels, -1)
    rows, columns = Axis(height, height, 1), Axis(width, width, 1)
    return FirstOp(follower, follower.outputs[0], way.linear, kernel, _bias(layer), rows, columns, is_dense=True)


def _with_followers(graph: Calls, first: FirstOp, layer: keras.Layer, fold: bool) -> FirstOp:
    """The operator with what follows it composed into it: BatchNormalization (if `fold`), a pointwise convolution."""
    if not _is_linear(layer):
        return first
    behind = _only_follower(graph, first.output)
    normalization = behind if fold else None
    if first.is_depthwise and first.pointwise is None:
        # A depthwise layer: with the 1x1 convolution behind it a separable one, BatchNormalization in between or not.
        second = behind
        middle = affine_of(second, first.bias.size) if second is not None and _is_normalization(second) else None
        if second is not None and middle is not None:
            second = _only_follower(graph, second.outputs[0])
        if second is not None and _is_pointwise(second):
            scale, offset = middle if middle is not None else (np.ones(1), np.zeros(1))
            merged = replace(
                first,
                call=second,
                output=second.outputs[0],
                kernel=first.kernel * scale,
                bias=first.bias * scale + offset,
                pointwise=Pointwise(_array(second.operation.kernel)[0, 0], _bias(second.operation)),
            )
            return _with_followers(graph, merged, second.operation, fold)
    if normalization is None or not _is_normalization(normalization):
        return first
    found = affine_of(normalization, first.bias.size if first.pointwise is None else first.pointwise.bias.size)
    if found is None:
        return first
    scale, offset = found
    output = normalization.outputs[0]
    if first.pointwise is None:
        return replace(first, output=output, kernel=first.kernel * scale, bias=first.bias * scale + offset)
    pointwise = Pointwise(first.pointwise.kernel * scale, first.pointwise.bias * scale + offset)
    return replace(first, output=output, pointwise=pointwise)


def _only_follower(graph: Calls, tensor: Tensor) -> Call | None:
    """The one call that takes a tensor in; None if there are others, or if it is an output of the model."""
    following = graph.consumers[tensor]
    return following[0] if len(following) == 1 and tensor not in flat(graph.outputs) else None


def _is_normalization(call: Call) -> bool:
    return type(call.operation) is L.BatchNormalization


def _is_pointwise(call: Call) -> bool:
    layer = call.operation
    return (
        type(layer) is L.Conv2D
        and _is_plain(layer)
        and layer.groups == 1
        and tuple(layer.kernel_size) == (1, 1)
        and tuple(layer.strides) == (1, 1)
    )


def _is_plain(layer: keras.Layer) -> bool:
    channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
    changed = getattr(layer, "quantization_mode", None) or getattr(layer, "lora_enabled", False)
    return channels_last and not changed and getattr(layer, "padding", "valid") in {"same", "valid"}


def _is_linear(layer: keras.Layer) -> bool:
    return layer.activation is None or layer.activation is keras.activations.linear


def _axis(pads: tuple[int, int], layer: keras.Layer, axis: int, size: int | None) -> Axis:
    """The walk over a picture of that size with all its padding; open where "same" pads an open size."""
    before, after = pads
    walk = Axis(size, layer.kernel_size[axis], layer.strides[axis], layer.dilation_rate[axis], before, after)
    if layer.padding == "valid":
        return walk
    if size is None:
        return replace(walk, before=None, after=None)
    start, end = same_padding(replace(walk, size=size + before + after))
    return replace(walk, before=before + start, after=after + end)


def _weights(layer: keras.Layer) -> tuple[np.ndarray, Pointwise | None]:
    """(dense kernel, what follows), float64."""
    if type(layer) is L.Conv2D:
        kernel = _array(layer.kernel)
        return _ungrouped(kernel, layer.groups) if layer.groups > 1 else kernel, None
    if type(layer) is L.DepthwiseConv2D:
        return _spread(_array(layer.kernel)), None
    return _spread(_array(layer.depthwise_kernel)), Pointwise(_array(layer.pointwise_kernel)[0, 0], _bias(layer))


def _spread(depthwise: np.ndarray) -> np.ndarray:
    """(height, width, channels, multiplier) as a dense kernel with a filter for each channel and multiple."""
    height, width, channels, multiplier = depthwise.shape
    dense = np.zeros((height, width, channels, channels, multiplier))
    dense[:, :, range(channels), range(channels)] = depthwise
    return dense.reshape(height, width, channels, channels * multiplier)


def _ungrouped(kernel: np.ndarray, groups: int) -> np.ndarray:
    height, width, part, filters = kernel.shape
    dense = np.zeros((height, width, part * groups, filters))
    share = filters // groups
    for group in range(groups):
        filled = slice(group * share, (group + 1) * share)
        dense[:, :, group * part : (group + 1) * part, filled] = kernel[..., filled]
    return dense


def _bias(layer: keras.Layer) -> np.ndarray:
    if layer.use_bias:
        return _array(layer.bias)
    units = getattr(layer, "filters", None) or getattr(layer, "units", None)
    return np.zeros(units if units is not None else int(np.prod(layer.kernel.shape[2:])))


def _array(variable: keras.Variable) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), "float64")

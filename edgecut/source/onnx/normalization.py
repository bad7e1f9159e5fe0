"""Normalizations: kept as layers, so that they can be trained and folded."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from edgecut.source.onnx.building import Site, Unsupported, axis_of
from edgecut.source.onnx.convolution import channels_last_axes
from edgecut.source.onnx.layers import AddWeight, MultiplyWeight
from edgecut.source.onnx.layout import BATCH, View


def batch_normalization(site: Site) -> None:
    """BatchNormalization with its moving statistics."""
    if site.attribute("training_mode", 0):
        raise Unsupported(
            "is exported in training mode; call eval() before the export, or pass training=PRESERVE on an eval() model"
        )
    weights = [site.weight(k) for k in (1, 2, 3, 4)]
    view = site.tensor_view()
    if len(view.axes) > 1:
        view = site.mover.single(view, 1) if view.axes[0] == (BATCH,) else site.mover.channels_last(view)
    dim = view.axes[1][0]
    last = dim == len(view.sizes) - 1
    layer = site.layer(
        keras.layers.BatchNormalization,
        axis=-1 if last else dim,
        epsilon=float(site.attribute("epsilon", 1e-5)),
        momentum=float(site.attribute("momentum", 0.9)),
    )
    site.out(view.same(site.call(layer, view.tensor, weights)))


def instance_normalization(site: Site) -> None:
    """InstanceNormalization; over channels of groups it is how torch exports a GroupNorm."""
    scale, bias = site.weight(1), site.weight(2)
    view = site.tensor_view()
    epsilon = float(site.attribute("epsilon", 1e-5))
    group, rank = view.axes[1], len(view.sizes)
    others = [d for axis in view.axes[2:] for d in axis]
    if len(group) == 1 and group[0] == rank - 2 and rank - 1 in others and view.sizes[rank - 1] > 1:
        groups, width = view.sizes[rank - 2], view.sizes[rank - 1]
        x = site.mover.reshaped(view.tensor, (*view.sizes[1:-2], groups * width))
        layer = site.layer(keras.layers.GroupNormalization, groups=groups, epsilon=epsilon)
        y = site.call(layer, x, [np.repeat(scale, width), np.repeat(bias, width)])
        site.out(view.same(site.mover.reshaped(y, view.sizes[1:])))
        return
    view = site.mover.channels_last(view)
    layer = site.layer(keras.layers.GroupNormalization, groups=len(scale), epsilon=epsilon)
    y = site.call(layer, view.tensor, [scale, bias])
    site.out(View(y, channels_last_axes(len(view.axes) - 2)))


def group_normalization(site: Site) -> None:
    """GroupNormalization; until opset 21 with one scale for each group."""
    scale, bias = site.weight(1), site.weight(2)
    view = site.mover.channels_last(site.tensor_view())
    groups, channels = int(site.attribute("num_groups", 1)), view.sizes[-1]
    weights = [np.repeat(w, channels // len(w)) for w in (scale, bias)]
    layer = site.layer(keras.layers.GroupNormalization, groups=groups, epsilon=float(site.attribute("epsilon", 1e-5)))
    site.out(view.same(site.call(layer, view.tensor, weights)))


def layer_normalization(site: Site) -> None:
    """LayerNormalization over the last axes."""
    if any(name for name in site.node.outputs[1:]):
        raise Unsupported("puts out its mean, which no Keras layer does")
    scale, bias = site.optional(1), site.optional(2)
    view = site.tensor_view()
    first = axis_of(view, int(site.attribute("axis", -1)))
    for axis in range(first, len(view.axes)):
        view = site.mover.single(view, axis)
    dims = [view.axes[axis][0] for axis in range(first, len(view.axes))]
    if BATCH in dims:
        raise Unsupported("normalizes over the batch")
    shape = view.shape[first:]
    weights = [np.broadcast_to(w, shape) for w in (scale, bias) if w is not None]
    order = [k for _, k in sorted((d, k) for k, d in enumerate(dims))]
    last = dims == [len(view.sizes) - 1]
    layer = site.layer(
        keras.layers.LayerNormalization,
        axis=-1 if last else sorted(dims),
        epsilon=float(site.attribute("epsilon", 1e-5)),
        scale=scale is not None,
        center=bias is not None,
    )
    y = site.call(layer, view.tensor, [np.ascontiguousarray(w.transpose(order)) for w in weights])
    site.out(view.same(y))


def rms_normalization(site: Site) -> None:
    """RMSNormalization over the last axis."""
    view = site.tensor_view()
    if axis_of(view, int(site.attribute("axis", -1))) != len(view.axes) - 1:
        raise Unsupported("normalizes over several axes")
    view = site.mover.single(view, len(view.axes) - 1)
    dim = view.axes[-1][0]
    layer = site.layer(keras.layers.RMSNormalization, axis=dim, epsilon=float(site.attribute("epsilon", 1e-5)))
    site.out(view.same(site.call(layer, view.tensor, [site.weight(1).reshape(-1)])))


def local_response_normalization(site: Site) -> None:
    """LRN: by the mean of squares over neighbouring channels, which a pool over the last dimension gives."""
    view = site.mover.channels_last(site.tensor_view())
    size = int(site.attribute("size", 1))
    alpha, beta = float(site.attribute("alpha", 1e-4)), float(site.attribute("beta", 0.75))
    x, sizes = view.tensor, view.sizes
    squares = site.op(ops.square, x, suffix="square")
    before = (size - 1) // 2
    flat = site.mover.reshaped(squares, (math.prod(sizes[1:-1]), sizes[-1], 1))
    padded = site.call(
        site.layer(keras.layers.ZeroPadding2D, "pad", padding=((0, 0), (before, size - 1 - before))), flat
    )
    means = site.call(site.layer(keras.layers.AveragePooling2D, "mean", pool_size=(1, size), strides=(1, 1)), padded)
    means = site.mover.reshaped(means, sizes[1:])
    scaled = site.call(
        site.layer(keras.layers.Rescaling, "scale", scale=alpha, offset=float(site.attribute("bias", 1.0))), means
    )
    site.out(view.same(site.op(ops.multiply, x, site.op(ops.power, scaled, -beta, suffix="power"))))


def lp_normalization(site: Site) -> None:
    """LpNormalization along an axis."""
    view = site.tensor_view()
    axis = axis_of(view, int(site.attribute("axis", -1)))
    view = site.mover.single(view, axis)
    dim, p = view.axes[axis][0], int(site.attribute("p", 2))
    if dim == BATCH:
        raise Unsupported("normalizes over the batch")
    if p == 2:
        norm = ops.sqrt(ops.sum(ops.square(view.tensor), axis=dim, keepdims=True))
    else:
        norm = ops.sum(ops.absolute(view.tensor), axis=dim, keepdims=True)
    site.out(view.same(site.op(ops.divide, view.tensor, norm)))


def mean_variance_normalization(site: Site) -> None:
    """MeanVarianceNormalization over places, without the batch."""
    raise Unsupported("normalizes over the batch")


__all__ = [
    "AddWeight",
    "MultiplyWeight",
    "batch_normalization",
    "group_normalization",
    "instance_normalization",
    "layer_normalization",
    "local_response_normalization",
    "lp_normalization",
    "mean_variance_normalization",
    "rms_normalization",
]

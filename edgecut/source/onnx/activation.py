"""Activations: one layer each, over whatever axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from edgecut.source.onnx.building import Site, Unsupported, axis_of
from edgecut.source.onnx.layout import BATCH, View

POSITIVE = frozenset({"relu", "sigmoid", "softplus", "hard_sigmoid", "exponential", "relu6"})


def named(site: Site) -> None:
    """An operator that Keras has as an activation of the same kind."""
    activate(site, ACTIVATIONS[site.node.operator])


def activate(site: Site, name: str) -> None:
    """An activation by Keras' name as a layer."""
    view = site.tensor_view()
    site.out(view.same(site.call(site.layer(keras.layers.Activation, activation=name), view.tensor), name in POSITIVE))


def relu(site: Site) -> None:
    """Relu."""
    view = site.tensor_view()
    site.out(view.same(site.call(site.layer(keras.layers.ReLU), view.tensor), True))


def clip(site: Site) -> None:
    """Clip: a ReLU with a maximum where it begins at 0, so that ReLU6 is one."""
    view = site.tensor_view()
    low, high = bounds(site)
    if low == 0:
        maximum = None if np.isinf(high) or high >= np.finfo(np.float32).max else high
        y = site.call(site.layer(keras.layers.ReLU, max_value=maximum), view.tensor)
    elif np.isinf(low) and np.isinf(high):
        y = view.tensor
    else:
        y = site.op(keras.ops.clip, view.tensor, max(low, -3.4e38), min(high, 3.4e38))
    site.out(view.same(y, low >= 0))


def bounds(site: Site) -> tuple[float, float]:
    """The limits of a Clip, which are attributes before opset 11."""
    sides = []
    for index, key, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        value = site.node.attributes.get(key, None if not site.has(index) else site.constant(index))
        sides.append(float(default if value is None else np.reshape(value, -1)[0]))
    # Its default limits are the floats' own.
    low, high = (np.inf * np.sign(x) if abs(x) >= np.finfo(np.float32).max else x for x in sides)
    return float(min(low, high)), float(high)


def leaky_relu(site: Site) -> None:
    """LeakyRelu."""
    view = site.tensor_view()
    slope = float(site.attribute("alpha", 0.01))
    site.out(view.same(site.call(site.layer(keras.layers.LeakyReLU, negative_slope=slope), view.tensor)))


def thresholded_relu(site: Site) -> None:
    """ThresholdedRelu."""
    view = site.tensor_view()
    threshold = float(site.attribute("alpha", 1.0))
    site.out(view.same(site.call(site.layer(keras.layers.ReLU, threshold=threshold), view.tensor), threshold >= 0))


def elu(site: Site) -> None:
    """Elu."""
    view = site.tensor_view()
    alpha = float(site.attribute("alpha", 1.0))
    site.out(view.same(site.call(site.layer(keras.layers.ELU, alpha=alpha), view.tensor)))


def celu(site: Site) -> None:
    """Celu."""
    alpha = float(site.attribute("alpha", 1.0))
    _operation(site, lambda x: keras.ops.celu(x, alpha))


def selu(site: Site) -> None:
    """Selu, with another alpha and gamma as a scaled ELU."""
    alpha, gamma = float(site.attribute("alpha", 1.6732632)), float(site.attribute("gamma", 1.0507010))
    if abs(alpha - 1.6732632) < 1e-6 and abs(gamma - 1.0507010) < 1e-6:
        activate(site, "selu")
        return
    view = site.tensor_view()
    y = site.call(site.layer(keras.layers.ELU, alpha=alpha), view.tensor)
    site.out(view.same(site.op(keras.ops.multiply, y, gamma, suffix="scale")))


def hard_sigmoid(site: Site) -> None:
    """HardSigmoid: Keras' own has a slope of 1/6, which Paddle and ONNX's default don't."""
    alpha, beta = float(site.attribute("alpha", 0.2)), float(site.attribute("beta", 0.5))
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        activate(site, "hard_sigmoid")
        return
    view = site.tensor_view()
    y = site.call(site.layer(keras.layers.Rescaling, "scale", scale=alpha, offset=beta), view.tensor)
    site.out(view.same(site.call(site.layer(keras.layers.ReLU, max_value=1.0), y), True))


def gelu(site: Site) -> None:
    """Gelu, exact or by tanh."""
    view = site.tensor_view()
    approximate = site.attribute("approximate", "none") == "tanh"
    if approximate:
        site.out(view.same(site.op(keras.ops.gelu, view.tensor, approximate=True)))
    else:
        activate(site, "gelu")


def mish(site: Site) -> None:
    """Mish."""
    activate(site, "mish")


def softmax(site: Site) -> None:
    """Softmax; before opset 13 over all axes from the given one on."""
    _normalized(site, keras.layers.Softmax)


def log_softmax(site: Site) -> None:
    """LogSoftmax."""
    _normalized(site, None)


def prelu(site: Site) -> None:
    """PRelu; the slope broadcasts from the last axis, and has one element for all places of a channel."""
    view = site.tensor_view()
    slope = site.weight(1)
    rank = len(view.axes)
    slope = slope.reshape((1,) * (rank - slope.ndim) + slope.shape)
    flat = view if not _groups(view) else site.mover.ordered(view, [a for a in range(rank) if view.axes[a] != (0,)])
    order = [next((a for a, g in enumerate(flat.axes) if d in g), None) for d in range(1, len(flat.sizes))]
    alpha = slope.transpose([a for a in order if a is not None] + [a for a in range(rank) if a not in order])
    alpha = alpha.reshape([slope.shape[a] if a is not None else 1 for a in order])
    shared = [d for d in range(1, len(flat.sizes)) if alpha.shape[d - 1] == 1 and flat.sizes[d] != 1]
    layer = site.layer(keras.layers.PReLU, shared_axes=shared or None)
    site.out(flat.same(site.call(layer, flat.tensor, [alpha])))


def softsign(site: Site) -> None:
    """Softsign."""
    activate(site, "softsign")


def shrink(site: Site) -> None:
    """Shrink, with its bias."""
    lambd, bias = float(site.attribute("lambd", 0.5)), float(site.attribute("bias", 0.0))
    view = site.tensor_view()
    x = view.tensor
    above = keras.ops.cast(keras.ops.greater(x, lambd), "float32") * (x - bias)
    below = keras.ops.cast(keras.ops.less(x, -lambd), "float32") * (x + bias)
    site.out(view.same(site.op(keras.ops.add, above, below)))


def hardmax(site: Site) -> None:
    """Hardmax: 1 at the first maximum of an axis."""
    view = site.mover.single(site.tensor_view(), axis_of(site.view(), int(site.attribute("axis", -1))))
    axis = view.axes[axis_of(view, int(site.attribute("axis", -1)))][0]
    if axis == BATCH:
        raise Unsupported("takes the largest of the batch")
    places = keras.ops.argmax(view.tensor, axis=axis)
    last = axis == len(view.sizes) - 1
    site.out(view.same(site.op(keras.ops.one_hot, places, view.sizes[axis], axis=-1 if last else axis), True))


def _normalized(site: Site, layer: Callable[..., Any] | None) -> None:
    view = site.tensor_view()
    axis = axis_of(view, int(site.attribute("axis", -1 if site.node.opset >= 13 else 1)))
    shape = view.shape
    if site.node.opset < 13 and any(size != 1 for size in shape[axis + 1 :]):
        merged = site.mover.regrouped(view, (*shape[:axis], int(np.prod(shape[axis:]))), _flags(view, axis))
        result = _over(site, merged, axis, layer)
        site.out(site.mover.regrouped(result, shape, [0 in a for a in view.axes]))
    else:
        site.out(_over(site, view, axis, layer))


def _over(site: Site, view: View, axis: int, layer: Callable[..., Any] | None) -> View:
    flat = site.mover.single(view, axis)
    dim = flat.axes[axis][0]
    if dim == BATCH:
        raise Unsupported("normalizes over the batch")
    if layer is None:
        return flat.same(site.op(keras.ops.log_softmax, flat.tensor, axis=dim))
    last = dim == len(flat.sizes) - 1
    return flat.same(site.call(site.layer(layer, axis=-1 if last else dim), flat.tensor), True)


def _flags(view: View, axis: int) -> list[bool]:
    return [0 in a for a in view.axes[:axis]] + [any(0 in a for a in view.axes[axis:])]


def _groups(view: View) -> bool:
    return any(len(axis) > 1 for axis in view.axes)


def _operation(site: Site, function: Callable[[Any], Any], positive: bool = False) -> None:
    view = site.tensor_view()
    site.out(view.same(site.op(function, view.tensor), positive))


ACTIVATIONS = {
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "HardSwish": "hard_silu",
    "Exp": "exponential",
    "Swish": "silu",
    "Silu": "silu",
    "HardSilu": "hard_silu",
    "ReLU6": "relu6",
}

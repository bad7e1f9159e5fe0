"""New layers with given weights, each as a function on Keras tensors that makes the layer when it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import keras
import numpy as np

from edgecut.graph.naming import unique_name
from edgecut.stem.first import FirstOp

Build = Callable[[keras.KerasTensor], keras.KerasTensor]


def convolution(
    first: FirstOp, kernel: np.ndarray, bias: np.ndarray, *, grouped: bool = False, pad_value: float = 0.0
) -> Build:
    """A convolution that takes the place of `first`, with its name, activation and walk.

    kernel: (height, width, device channels, filters), dense. bias: (filters,). grouped: write it with the groups of
    `first`. pad_value: what the padding holds.
    """

    def call(x: keras.KerasTensor) -> keras.KerasTensor:
        x, padding = _padded(x, first, pad_value)
        config: dict[str, object] = {
            "kernel_size": kernel.shape[:2],
            "strides": (first.rows.stride, first.columns.stride),
            "dilation_rate": (first.rows.dilation, first.columns.dilation),
            "padding": padding,
        }
        if first.pointwise is None:
            return _walk(x, first, config, kernel, bias, grouped, **_ending(first, bias))
        x = _walk(
            x,
            first,
            config,
            kernel,
            bias,
            grouped,
            name=f"{first.call.layer}_spatial",
            use_bias=bool(bias.any()),
            dtype=first.call.operation.dtype_policy,
        )
        second, own = first.pointwise, first.pointwise.bias
        layer = keras.layers.Conv2D(second.kernel.shape[1], 1, **_ending(first, own))
        return _applied(layer, x, second.kernel[None, None], own)

    return call


def dense(first: FirstOp, kernel: np.ndarray, bias: np.ndarray) -> Build:
    """Flatten and a Dense layer that takes the place of `first`. kernel: (values, units); bias: (units,)."""

    def call(x: keras.KerasTensor) -> keras.KerasTensor:
        x = keras.layers.Flatten(name=f"{first.call.layer}_flatten")(x)
        return _applied(keras.layers.Dense(kernel.shape[1], **_ending(first, bias)), x, kernel, bias)

    return call


def pointwise(matrix: np.ndarray, offset: np.ndarray, name: str) -> Build:
    """A 1x1 convolution that applies matrix (out, in) and offset (out,) to each pixel."""

    def call(x: keras.KerasTensor) -> keras.KerasTensor:
        layer = keras.layers.Conv2D(matrix.shape[0], 1, use_bias=bool(offset.any()), name=name)
        return _applied(layer, x, matrix.T[None, None], offset)

    return call


def concatenated(count: int) -> Build:
    """The picture's one channel `count` times."""
    return lambda x: keras.layers.Concatenate(name="stem_replicate")([x] * count)


def resampled(
    x: keras.KerasTensor, mode: str, factor: tuple[int, int], size: tuple[int | None, int | None]
) -> keras.KerasTensor:
    """Each pixel repeated ("nearest"), the averages of `factor` pixels ("average"), or `size` of them ("bilinear")."""
    if mode == "nearest":
        return keras.layers.UpSampling2D(factor, interpolation="nearest", name="stem_upsampling")(x)
    if mode == "bilinear":
        # Not keras.layers.Resizing: its training=True by default is passed on to the layers behind it, so that in a
        # model called without `training` BatchNormalization takes the batch's statistics (Keras 3.15.1).
        return keras.ops.image.resize(x, size, interpolation="bilinear")
    return keras.layers.AveragePooling2D(factor, name="stem_pooling")(x)


def _padded(x: keras.KerasTensor, first: FirstOp, value: float) -> tuple[keras.KerasTensor, str]:
    """The picture with the padding that the walk needs, and the convolution's own padding."""
    rows, columns = first.rows, first.columns
    if rows.before is None or columns.before is None:
        return x, "same"
    pads = ((rows.before, rows.after or 0), (columns.before, columns.after or 0))
    if pads == ((0, 0), (0, 0)):
        return x, "valid"
    if value:
        return keras.ops.pad(x, ((0, 0), *pads, (0, 0)), mode="constant", constant_values=value), "valid"
    if rows.is_same and columns.is_same:
        return x, "same"
    return keras.layers.ZeroPadding2D(pads, name="stem_pad")(x), "valid"


def _walk(
    x: keras.KerasTensor,
    first: FirstOp,
    config: dict[str, object],
    kernel: np.ndarray,
    bias: np.ndarray,
    grouped: bool,
    **ending: object,
) -> keras.KerasTensor:
    channels, filters = kernel.shape[2:]
    if not grouped:
        return _applied(keras.layers.Conv2D(filters, **config, **ending), x, kernel, bias)
    share = filters // first.groups
    if first.is_depthwise:
        part = np.stack([kernel[:, :, c, c * share : (c + 1) * share] for c in range(channels)], axis=2)
        return _applied(keras.layers.DepthwiseConv2D(depth_multiplier=share, **config, **ending), x, part, bias)
    width = channels // first.groups
    blocks = [kernel[:, :, g * width : (g + 1) * width, g * share : (g + 1) * share] for g in range(first.groups)]
    layer = keras.layers.Conv2D(filters, groups=first.groups, **config, **ending)
    return _applied(layer, x, np.concatenate(blocks, axis=3), bias)


def _ending(first: FirstOp, bias: np.ndarray) -> dict[str, object]:
    """What the new layer has of the old one: its name, activation, precision and whether it is trained."""
    layer = first.call.operation
    return {
        "name": first.call.layer,
        "activation": layer.get_config()["activation"],
        "dtype": layer.dtype_policy,
        "use_bias": bool(layer.use_bias or bias.any()),
        "trainable": layer.trainable,
    }


def _applied(layer: keras.Layer, x: keras.KerasTensor, kernel: np.ndarray, bias: np.ndarray) -> keras.KerasTensor:
    result = layer(x)
    layer.kernel.assign(kernel.astype("float32"))
    if layer.use_bias:
        layer.bias.assign(bias.astype("float32"))
    return result


def normalized_behind(value: keras.KerasTensor, mean: np.ndarray, deviation: np.ndarray) -> keras.KerasTensor:
    """A layer's output with a BatchNormalization between the layer and its activation, which changes no value.

    mean, deviation: (filters,), what the layer gives before its activation, so that training starts in step.
    """
    last = value._keras_history.operation
    activation = last.get_config()["activation"]
    last.activation = keras.activations.linear
    layer = keras.layers.BatchNormalization(name=f"{last.name}_normalization")
    value = layer(value)
    values = {
        "moving_mean": mean,
        "moving_variance": deviation**2,
        "beta": mean,
        "gamma": np.sqrt(deviation**2 + layer.epsilon),
    }
    for name, array in values.items():
        getattr(layer, name).assign(array.astype("float32"))
    if activation in (None, "linear"):
        return value
    return keras.layers.Activation(activation, name=f"{last.name}_activation")(value)


def name_apart(built: Iterable[keras.KerasTensor], taken: set[str]) -> None:
    """Give the layers that made the tensors, and those in front of them, names unlike each other's and `taken`.

    Two first operators may be one shared layer's.
    """
    pending = [value._keras_history.operation for value in built]
    settled = set()
    while pending:
        operation = pending.pop(0)
        if operation in settled or isinstance(operation, keras.layers.InputLayer):
            continue
        operation.name = unique_name(operation.name, taken)
        taken.add(operation.name)
        settled.add(operation)
        pending += [parent.operation for node in operation._inbound_nodes for parent in node.parent_nodes]

"""A small head behind a body: pooling, Dense layers, softmax."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from edgecut.errors import HeadError
from edgecut.graph.calls import calls
from edgecut.graph.naming import unique_name
from edgecut.graph.rebuild import rebuild
from edgecut.graph.trace import all_operations

# "avg" is MEAN in the file for every runtime. AVERAGE_POOL_2D, which CMSIS-NN and ESP-NN speed up as they don't MEAN,
# has to keep the scale of the map, 1.5 to 3.2 times what its means need. On the demo and MobileNetV1 cut at conv_pw_5
# and conv_pw_11 it came to .810, .438, .723 in int8 against .817, .433, .725 (300, 600 and 600 images), to 16 bytes
# less of TFLM's arena, and within 1 % of its time with reference kernels: pooling is .1 % of what these networks do.
_POOLING = {
    (4, "avg"): keras.layers.GlobalAveragePooling2D,
    (4, "max"): keras.layers.GlobalMaxPooling2D,
    (3, "avg"): keras.layers.GlobalAveragePooling1D,
    (3, "max"): keras.layers.GlobalMaxPooling1D,
    (5, "avg"): keras.layers.GlobalAveragePooling3D,
    (5, "max"): keras.layers.GlobalMaxPooling3D,
    (5, "none"): keras.layers.Flatten,
    (4, "none"): keras.layers.Flatten,
    (3, "none"): keras.layers.Flatten,
}


def attach_pool(model: keras.Model, pool: str = "avg") -> keras.Model:
    """A copy of `model` whose one output is pooled to (batch, features); "none" flattens it instead.

    Raises HeadError if the model has several outputs, or one that can't be pooled.
    """
    if len(model.outputs) != 1:
        raise HeadError(f"head: the model has {len(model.outputs)} outputs; a head needs one: cut to a single layer")
    rank = len(model.outputs[0].shape)
    if rank == 2:
        return rebuild(calls(model))
    layer = _POOLING.get((rank, pool))
    if layer is None:
        raise HeadError(
            f"head: pool {pool!r} doesn't fit an output of shape {tuple(model.outputs[0].shape)}; "
            "'avg', 'max' or 'none' and (batch, ..., features) are expected"
        )
    return _extended(model, [layer(name=_free(model, "head_pool"))])


def attach_head(
    model: keras.Model,
    classes: int,
    pool: str = "avg",
    hidden: Sequence[int] = (),
    activation: str = "softmax",
    kernel: np.ndarray | None = None,
    bias: np.ndarray | None = None,
) -> keras.Model:
    """A copy of `model` with pooling, hidden ReLU layers and a Dense of `classes` behind it; (batch, classes) out.

    activation: "softmax" or "logits". kernel: (features, classes) and bias: (classes,) of the last Dense, as
    fit_ridge gives them; without them it starts from seeded random weights. Shares nothing with `model`.
    Raises HeadError if the output can't be pooled or the kernel doesn't fit.

    >>> model = edgecut.load("bell.keras")
    >>> edgecut.attach_head(edgecut.cut(model, to="conv"), classes=3).output_shape
    (None, 3)
    """
    return head_behind(attach_pool(model, pool), classes, hidden, activation, kernel=kernel, bias=bias)


def head_behind(
    body: keras.Model,
    classes: int,
    hidden: Sequence[int] = (),
    activation: str = "softmax",
    *,
    kernel: np.ndarray | None = None,
    bias: np.ndarray | None = None,
) -> keras.Model:
    """The same head behind a pooled body whose layers the result shares. Raises HeadError if the kernel doesn't fit."""
    layers: list[keras.Layer] = [
        keras.layers.Dense(
            units,
            activation="relu",
            name=_free(body, f"head_hidden_{k}"),
            kernel_initializer=keras.initializers.GlorotUniform(seed=k),
        )
        for k, units in enumerate(hidden)
    ]
    initializer = keras.initializers.GlorotUniform(seed=len(hidden))
    dense = keras.layers.Dense(classes, name=_free(body, "head_dense"), kernel_initializer=initializer)
    layers.append(dense)
    if activation == "softmax":
        layers.append(keras.layers.Softmax(name=_free(body, "head_softmax")))
    result = _behind(body, layers)
    if kernel is not None:
        if tuple(kernel.shape) != tuple(dense.kernel.shape):
            raise HeadError(
                f"head: a kernel of shape {kernel.shape} doesn't fit; {tuple(dense.kernel.shape)} is expected"
            )
        dense.kernel.assign(kernel)
    if bias is not None:
        dense.bias.assign(bias)
    return result


def _extended(model: keras.Model, layers: Sequence[keras.Layer]) -> keras.Model:
    """A copy of a single-output model with layers behind it."""
    return _behind(rebuild(calls(model)), layers)


def _behind(body: keras.Model, layers: Sequence[keras.Layer]) -> keras.Model:
    """A single-output model's own layers, and some behind them."""
    tensor = body.outputs[0]
    for layer in layers:
        tensor = layer(tensor)
    return keras.Model(body._inputs_struct, tensor, name=body.name)


def _free(model: keras.Model, name: str) -> str:
    return unique_name(name, {operation.name for operation in all_operations(model)})

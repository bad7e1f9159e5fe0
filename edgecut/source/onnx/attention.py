"""Attention as one layer."""

from __future__ import annotations

import keras
import numpy as np

from edgecut.source.onnx.building import Site, Unsupported
from edgecut.source.onnx.layout import BATCH, View


def multi_head(site: Site) -> None:
    """What attention_fusion.py finds: tokens of query, value and key, then four kernels and biases."""
    weights = [site.optional(place) for place in range(3, 11)]
    kernels, biases = weights[::2], weights[1::2]
    q, _, v, out = (kernel for kernel in kernels if kernel is not None)
    heads, size = q.shape[1:]
    tokens = [_tokens(site, place) for place in range(3)]
    biased = any(bias is not None for bias in biases)
    layer = site.layer(
        keras.layers.MultiHeadAttention,
        num_heads=heads,
        key_dim=size,
        value_dim=v.shape[2],
        use_bias=biased,
        output_shape=out.shape[2],
        flash_attention=False,
    )
    values = []
    for kernel, bias in zip(kernels, biases, strict=True):
        if kernel is None:
            raise Unsupported("lacks a kernel")
        values.append(kernel)
        if biased:
            shape = kernel.shape[2:] if kernel is out else kernel.shape[1:]
            values.append(np.zeros(shape, np.float32) if bias is None else bias.reshape(shape))
    # Keras makes them in the order query, key, value, output.
    x = site.call(layer, tokens[0], (), value=tokens[1], key=tokens[2])
    for variable, value in zip(layer.weights, values, strict=True):
        variable.assign(value)
    view = site.view(0)
    first = min(_token_axes(view), default=None)
    axes = [
        tuple(d for d in axis if d == BATCH) + ((1,) if place == first else ())
        for place, axis in enumerate(view.axes[:-1])
    ]
    result = View(x, (*axes, (2,)))
    site.out(site.mover.regrouped(result, site.shape(), site.with_batch(site.node.outputs[0])))


def _tokens(site: Site, index: int) -> object:
    """(batch, tokens, features) of a tensor whose last axis is the features.

    attention_fusion.py has made sure that all that lies before the features, but the batch, are tokens of one kind.
    """
    view = site.tensor_view(index)
    places = _token_axes(view)
    batch = view.batch_axis
    if batch is not None and min(places, default=batch) < batch < max(places, default=batch):
        raise Unsupported("has its batch between its tokens' axes")
    tokens = [d for place in places for d in view.axes[place] if d != BATCH and view.sizes[d] != 1]
    return site.mover.arranged(view, [tokens, view.axes[-1]])


def _token_axes(view: View) -> list[int]:
    """The axes of the file that tokens lie along: several where they are places of a picture."""
    return [place for place, axis in enumerate(view.axes[:-1]) if any(d != BATCH and view.sizes[d] != 1 for d in axis)]

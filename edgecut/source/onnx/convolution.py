"""Conv and ConvTranspose in one to three dimensions, with groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from edgecut.source.onnx.building import Site, Unsupported
from edgecut.source.onnx.layout import View
from edgecut.source.onnx.windows import Window, crop, padded, window

Weights = tuple[np.ndarray, np.ndarray | None]
"""A kernel (filters, channels of a group, ...) and a bias."""
_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


def conv(site: Site) -> None:
    """Conv: a Conv layer, or a depthwise one where each channel is a group."""
    kernel, bias = site.weight(1), site.optional(2)
    rank = kernel.ndim - 2
    _check_rank(rank)
    view = site.mover.channels_last(site.tensor_view())
    sizes = view.sizes[1:-1]
    win = window(site, sizes, kernel.shape[2:], site.shape()[2:])
    groups = int(site.attribute("group", 1))
    x, win = padded(site, view.tensor, win)
    kernel, win = _plain(kernel, win)
    if groups == view.sizes[-1] and groups > 1 and rank <= len(_DEPTHWISE) and len(set(win.strides)) == 1:
        y = _depthwise(site, x, (kernel, bias), win)
    elif groups > 1 and rank == len(_CONVOLUTIONS):
        y = _grouped(site, x, (kernel, bias), win, groups)
    else:
        y = _convolution(site, x, (kernel, bias), win, groups)
    site.out(View(y, channels_last_axes(rank)))


def conv_transpose(site: Site) -> None:
    """ConvTranspose: the whole of what the kernel reaches, cropped to the output; groups side by side."""
    kernel, bias = site.weight(1), site.optional(2)
    rank = kernel.ndim - 2
    _check_rank(rank)
    view = site.mover.channels_last(site.tensor_view())
    groups = int(site.attribute("group", 1))
    strides = tuple(site.attribute("strides", [1] * rank))
    kernel = _inflated(kernel, site.attribute("dilations", [1] * rank))
    sizes, out = view.sizes[1:-1], site.shape()[2:]
    full = [(n - 1) * s + max(k, s) for n, s, k in zip(sizes, strides, kernel.shape[2:], strict=True)]
    before = _transposed_pads(site, sizes, kernel.shape[2:], out)
    cuts = [(b, f - b - o) for b, f, o in zip(before, full, out, strict=True)]
    same = all(
        o == n * s and k >= s and b == (k - s) // 2
        for o, n, s, k, b in zip(out, sizes, strides, kernel.shape[2:], before, strict=True)
    )
    inside = same or all(a >= 0 and b >= 0 for a, b in cuts)
    parts = np.split(kernel, groups)
    xs = [view.tensor] if groups == 1 else site.op(keras.ops.split, view.tensor, groups, axis=-1, suffix="split")
    options: dict[str, Any] = {"strides": strides, "padding": "same" if same else "valid"}
    biases = np.split(bias, groups) if bias is not None and inside else [None] * groups
    ys = []
    for k, (x, part, own) in enumerate(zip(xs, parts, biases, strict=True)):
        layer = site.layer(
            _TRANSPOSED[rank - 1],
            "" if groups == 1 else f"group{k}",
            filters=part.shape[1],
            kernel_size=part.shape[2:],
            use_bias=own is not None,
            **options,
        )
        weights = [np.moveaxis(part, (0, 1), (-1, -2))]
        ys.append(site.call(layer, x, weights if own is None else [*weights, own]))
    y = ys[0] if groups == 1 else site.call(site.layer(keras.layers.Concatenate, "concat"), ys)
    y = y if same else crop(site, y, cuts)
    y = y if inside else site.bias(y, bias)
    site.out(View(y, channels_last_axes(rank)))


def channels_last_axes(rank: int) -> tuple[tuple[int, ...], ...]:
    """The axes (batch, channels, ...) of a tensor (batch, ..., channels)."""
    return ((0,), (rank + 1,), *((k + 1,) for k in range(rank)))


def _convolution(site: Site, x: Any, weights: Weights, win: Window, groups: int = 1, suffix: str = "") -> Any:
    kernel, bias = weights
    layer = site.layer(
        _CONVOLUTIONS[len(win.kernel) - 1],
        suffix,
        filters=kernel.shape[0],
        kernel_size=win.kernel,
        strides=win.strides,
        dilation_rate=win.dilations,
        padding=win.padding,
        groups=groups,
        use_bias=bias is not None,
    )
    values = [np.moveaxis(kernel, (0, 1), (-1, -2))]
    return site.call(layer, x, values if bias is None else [*values, bias])


def _depthwise(site: Site, x: Any, weights: Weights, win: Window) -> Any:
    kernel, bias = weights
    channels = int(x.shape[-1])
    multiplier = kernel.shape[0] // channels
    layer = site.layer(
        _DEPTHWISE[len(win.kernel) - 1],
        kernel_size=win.kernel,
        strides=win.strides[0] if len(win.strides) == 1 else win.strides,
        dilation_rate=win.dilations[0] if len(win.dilations) == 1 else win.dilations,
        padding=win.padding,
        depth_multiplier=multiplier,
        use_bias=bias is not None,
    )
    spatial = kernel.reshape(channels, multiplier, *win.kernel)
    values = [np.moveaxis(spatial, (0, 1), (-2, -1))]
    return site.call(layer, x, values if bias is None else [*values, bias])


def _grouped(site: Site, x: Any, weights: Weights, win: Window, groups: int) -> Any:
    """TensorFlow's three-dimensional convolution has no groups: one for each, side by side."""
    kernel, bias = weights
    xs = site.op(keras.ops.split, x, groups, axis=-1, suffix="split")
    kernels = np.split(kernel, groups)
    biases = [None] * groups if bias is None else np.split(bias, groups)
    parts = zip(xs, kernels, biases, strict=True)
    ys = [_convolution(site, x, (k, b), win, suffix=f"group{n}") for n, (x, k, b) in enumerate(parts)]
    return site.call(site.layer(keras.layers.Concatenate, "concat"), ys)


def _plain(kernel: np.ndarray, win: Window) -> tuple[np.ndarray, Window]:
    """Dilation as zeros in the kernel where TensorFlow has none: with strides, or by axis."""
    if set(win.dilations) == {1} or (set(win.strides) == {1} and len(set(win.dilations)) == 1):
        return kernel, win
    wide = _inflated(kernel, win.dilations)
    return wide, replace(win, kernel=wide.shape[2:], dilations=(1,) * len(win.kernel))


def _inflated(kernel: np.ndarray, dilations: Sequence[int]) -> np.ndarray:
    """A kernel (filters, channels, ...) with zeros between its elements."""
    if set(dilations) == {1}:
        return kernel
    sizes = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilations, strict=True)]
    wide = np.zeros((*kernel.shape[:2], *sizes), kernel.dtype)
    wide[(slice(None), slice(None), *(slice(None, None, d) for d in dilations))] = kernel
    return wide


def _transposed_pads(site: Site, sizes: Sequence[int], kernel: Sequence[int], out: Sequence[int]) -> list[int]:
    """What is cut off before the output, by axis (onnx/docs/Operators.md, ConvTranspose)."""
    rank = len(kernel)
    strides = site.attribute("strides", [1] * rank)
    extra = site.attribute("output_padding", [0] * rank)
    auto = site.attribute("auto_pad", "NOTSET")
    if auto in {"NOTSET", ""} and "output_shape" not in site.node.attributes:
        return [int(x) for x in site.attribute("pads", [0] * 2 * rank)[:rank]]
    before = []
    for k in range(rank):
        total = strides[k] * (sizes[k] - 1) + extra[k] + kernel[k] - out[k]
        before.append(total // 2 if auto == "SAME_UPPER" else total - total // 2)
    return [0] * rank if auto == "VALID" else before


def _check_rank(rank: int) -> None:
    if not 1 <= rank <= len(_CONVOLUTIONS):
        raise Unsupported(f"slides over {rank} dimensions, and Keras has layers for one to three")

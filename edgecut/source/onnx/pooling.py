"""MaxPool, AveragePool, LpPool and the global pools."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

from edgecut.source.onnx.building import Site, Unsupported
from edgecut.source.onnx.convolution import channels_last_axes
from edgecut.source.onnx.layout import View
from edgecut.source.onnx.windows import Window, pad, padded, window

_MAX = (keras.layers.MaxPooling1D, keras.layers.MaxPooling2D, keras.layers.MaxPooling3D)
_AVERAGE = (keras.layers.AveragePooling1D, keras.layers.AveragePooling2D, keras.layers.AveragePooling3D)
_GLOBAL_AVERAGE = (
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
)
_GLOBAL_MAX = (keras.layers.GlobalMaxPooling1D, keras.layers.GlobalMaxPooling2D, keras.layers.GlobalMaxPooling3D)
MOST_SLICES = 64  # of a pool with dilation, which Keras has no layer for
LOWEST = float(np.finfo(np.float32).min)


def max_pool(site: Site) -> None:
    """MaxPool. What pads is never the largest: zeros where no value is below, else the lowest float."""
    if len(site.node.outputs) > 1 and site.node.outputs[1]:
        raise Unsupported("puts out the places of its maxima, which no Keras layer does")
    view, win = _window(site)
    if win.is_same:
        x, padding = view.tensor, "same"
    elif view.positive or not win.is_padded:
        x, padding = pad(site, view.tensor, win.pads), "valid"
    else:
        amounts = [(0, 0), *((max(a, 0), max(b, 0)) for a, b in win.pads), (0, 0)]
        x, padding = site.op(keras.ops.pad, view.tensor, amounts, constant_values=LOWEST, suffix="pad"), "valid"
    if set(win.dilations) == {1}:
        y = _pool(site, _MAX, x, win, padding)
    else:
        y = _dilated_max(site, x if padding == "valid" else _lowest_around(site, x, win), win)
    site.out(View(y, channels_last_axes(len(win.kernel)), view.positive))


def average_pool(site: Site) -> None:
    """AveragePool. Where the padding doesn't count, each mean is multiplied by what it was divided by too much."""
    view, win = _window(site)
    rank = len(win.kernel)
    if set(win.dilations) != {1}:
        raise Unsupported("averages with dilation, which no Keras layer does")
    counted = bool(site.attribute("count_include_pad", 0))
    if not win.is_padded or (win.is_same and not counted):
        x, win = padded(site, view.tensor, win)
        site.out(View(_pool(site, _AVERAGE, x, win, win.padding), channels_last_axes(rank), view.positive))
        return
    y = _pool(site, _AVERAGE, pad(site, view.tensor, win.pads), win, "valid")
    factors = _corrections(site, win, counted)
    if np.any(factors != 1):
        y = site.op(keras.ops.multiply, y, factors[..., None], suffix="count")
    site.out(View(y, channels_last_axes(rank), view.positive))


def lp_pool(site: Site) -> None:
    """LpPool as the root of a mean of powers times the size of the window."""
    p = int(site.attribute("p", 2))
    view, win = _window(site)
    if set(win.dilations) != {1}:
        raise Unsupported("pools with dilation, which no Keras layer does")
    powers = site.op(keras.ops.power, site.op(keras.ops.absolute, view.tensor, suffix="abs"), float(p), suffix="power")
    y = _pool(site, _AVERAGE, pad(site, powers, win.pads), win, "valid")
    y = site.op(keras.ops.multiply, y, float(np.prod(win.kernel)), suffix="sum")
    y = site.op(keras.ops.power, y, 1.0 / p, suffix="root")
    site.out(View(y, channels_last_axes(len(win.kernel)), True))


def global_average_pool(site: Site) -> None:
    """GlobalAveragePool."""
    _global(site, _GLOBAL_AVERAGE)


def global_max_pool(site: Site) -> None:
    """GlobalMaxPool."""
    _global(site, _GLOBAL_MAX)


def _global(site: Site, layers: tuple[Any, ...]) -> None:
    view = site.mover.channels_last(site.tensor_view())
    rank = len(view.axes) - 2
    if not 1 <= rank <= len(layers):
        raise Unsupported(f"pools over {rank} dimensions, and Keras has layers for one to three")
    y = site.call(site.layer(layers[rank - 1]), view.tensor)
    site.out(View(y, ((0,), (1,), *((),) * rank), view.positive))


def _window(site: Site) -> tuple[View, Window]:
    view = site.mover.channels_last(site.tensor_view())
    kernel = site.attribute("kernel_shape", [])
    if not 1 <= len(kernel) <= len(_MAX):
        raise Unsupported(f"pools over {len(kernel)} dimensions, and Keras has layers for one to three")
    return view, window(site, view.sizes[1:-1], kernel, site.shape()[2:])


def _pool(site: Site, layers: tuple[Any, ...], x: Any, win: Window, padding: str) -> Any:
    rank = len(win.kernel)
    sizes = (win.kernel[0], win.strides[0]) if rank == 1 else (win.kernel, win.strides)
    return site.call(site.layer(layers[rank - 1], pool_size=sizes[0], strides=sizes[1], padding=padding), x)


def _corrections(site: Site, win: Window, counted: bool) -> np.ndarray:
    """For each window the elements of the kernel over those that count; what ceil_mode reads beyond never counts."""
    rank = len(win.kernel)
    explicit = site.attribute("pads", None)
    by_axis = []
    for k in range(rank):
        before = win.pads[k][0]
        after = explicit[rank + k] if counted and explicit else win.pads[k][1] if counted else 0
        low, high = (-before, win.sizes[k] + after) if counted else (0, win.sizes[k])
        starts = np.arange(win.out[k]) * win.strides[k] - before
        counts = np.minimum(starts + win.kernel[k], high) - np.maximum(starts, low)
        by_axis.append(win.kernel[k] / np.maximum(counts, 1))
    factors = by_axis[0]
    for more in by_axis[1:]:
        factors = factors[..., None] * more
    return factors.astype(np.float32)


def _lowest_around(site: Site, x: Any, win: Window) -> Any:
    amounts = [(0, 0), *((max(a, 0), max(b, 0)) for a, b in win.pads), (0, 0)]
    if not any(map(any, amounts)):
        return x
    return site.op(keras.ops.pad, x, amounts, constant_values=LOWEST, suffix="pad")


def _dilated_max(site: Site, x: Any, win: Window) -> Any:
    """Axis by axis the maximum of shifted slices, one for each element of the kernel."""
    if sum(win.kernel) > MOST_SLICES:
        raise Unsupported(f"pools over {win.kernel} with dilation, which is {sum(win.kernel)} slices in Keras")
    for axis, (kernel, step) in enumerate(zip(win.kernel, win.dilations, strict=True), start=1):
        count, stride = win.out[axis - 1], win.strides[axis - 1]
        parts = []
        for offset in range(0, kernel * step, step):
            index = [slice(None)] * len(x.shape)
            index[axis] = slice(offset, offset + (count - 1) * stride + 1, stride)
            parts.append(x[tuple(index)])
        x = functools.reduce(keras.ops.maximum, parts)
    return x

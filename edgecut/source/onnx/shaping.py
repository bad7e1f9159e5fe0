"""Operators that move, cut and join elements; most only relabel axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from edgecut.source.onnx.building import Site, Unsupported, axis_of
from edgecut.source.onnx.layout import BATCH, View
from edgecut.source.onnx.windows import PADDINGS


def identity(site: Site) -> None:
    """Identity, and Dropout in inference."""
    site.out(site.view())


def cast(site: Site) -> None:
    """Cast: between floats nothing, since the model computes in float32."""
    from onnx import helper

    view = site.tensor_view()
    try:
        target = helper.tensor_dtype_to_np_dtype(int(site.attribute("to", 1)))
    except KeyError as exc:
        raise Unsupported(f"casts to {site.attribute('to', 1)!r}, a type that nobody knows") from exc
    source = str(view.tensor.dtype)
    if target.kind == "f" or target.name == "bfloat16":
        site.out(view if "float" in source else view.same(site.op(ops.cast, view.tensor, "float32"), view.positive))
    elif target.kind in "iub":
        x = ops.trunc(view.tensor) if "float" in source and target.kind != "b" else view.tensor
        x = ops.not_equal(x, 0) if target.kind == "b" else x
        site.out(view.same(site.op(ops.cast, x, target.name), view.positive))
    else:
        raise Unsupported(f"casts to {target.name}, which Keras doesn't compute in")


def cast_like(site: Site) -> None:
    """CastLike between floats."""
    view = site.tensor_view()
    site.out(view if "float" in str(view.tensor.dtype) else view.same(site.op(ops.cast, view.tensor, "float32")))


def transpose(site: Site) -> None:
    """Transpose: other labels."""
    view = site.view()
    order = site.attribute("perm", list(range(len(view.axes)))[::-1])
    site.out(replace(view, axes=tuple(view.axes[int(axis)] for axis in order)))


def reshape(site: Site) -> None:
    """Reshape and Flatten: other groups of the same dimensions."""
    site.out(site.mover.regrouped(site.view(), site.shape(), site.with_batch(site.node.outputs[0])))


def squeeze(site: Site) -> None:
    """Squeeze."""
    view = site.view()
    axes = site.integers(1, "axes")
    rank = len(view.axes)
    gone = {axis % rank for axis in axes} if axes is not None else {k for k in range(rank) if view.shape[k] == 1}
    site.out(replace(view, axes=tuple(axis for k, axis in enumerate(view.axes) if k not in gone)))


def unsqueeze(site: Site) -> None:
    """Unsqueeze: an axis of no dimension. Where the batch was squeezed away, it comes back."""
    view = site.view()
    axes = site.integers(1, "axes") or []
    rank = len(view.axes) + len(axes)
    new = sorted(axis % rank for axis in axes)
    own = iter(view.axes)
    flags = site.with_batch(site.node.outputs[0])
    hidden = view.batch_axis is None and not isinstance(view.tensor, np.ndarray)
    result = [() if k in new else next(own) for k in range(rank)]
    if hidden and new and (flags is None or flags[new[0]]):
        result[new[0]] = (BATCH,)
    site.out(replace(view, axes=tuple(result)))


def concat(site: Site) -> None:
    """Concat."""
    views = [site.view(k) for k in range(len(site.node.inputs)) if math.prod(site.view(k).shape)]
    if len(views) == 1:
        site.out(views[0])
        return
    axis = axis_of(views[0], int(site.attribute("axis", 0)))
    if any(BATCH in view.axes[axis] for view in views):
        raise Unsupported("joins along the batch")
    tensors, axes = site.mover.aligned(views, but=axis)
    tensors = [site.as_tensor(tensor) for tensor in _spread(tensors, axes[axis][0])]
    y = site.call(site.layer(keras.layers.Concatenate, axis=_last(axes[axis][0], tensors[0])), tensors)
    site.out(View(y, axes, all(view.positive for view in views)))


def split(site: Site) -> None:
    """Split in even or uneven parts."""
    view = site.view()
    axis = axis_of(view, int(site.attribute("axis", 0)))
    if len(site.node.outputs) == 1:
        site.out(view)
        return
    flat = site.mover.single(site.tensor_view(), axis)
    dim = flat.axes[axis][0]
    if dim == BATCH:
        raise Unsupported("splits the batch")
    sizes = [site.trace.shapes[name][axis] for name in site.node.outputs]
    places = [int(x) for x in np.cumsum(sizes)[:-1]]
    parts = site.op(ops.split, flat.tensor, places, axis=_last(dim, flat.tensor))
    site.outs({k: flat.same(part, view.positive) for k, part in enumerate(parts)})


def slice_(site: Site) -> None:
    """Slice, with steps, which may be negative."""
    view = site.view()
    starts, ends = site.integers(1, "starts") or [], site.integers(2, "ends") or []
    axes = site.integers(3, "axes") or list(range(len(starts)))
    steps = site.integers(4, "steps") or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        place = axis_of(view, axis)
        size = view.shape[place]
        indices = range(size)[_slice(start, end, step, size)]
        if BATCH in view.axes[place]:
            if step != 1 or len(indices) != size:
                raise Unsupported("takes a part of the batch")
        elif list(indices) != list(range(size)):
            view = _cut(site, view, place, indices)
    site.out(view)


def gather(site: Site) -> None:
    """Gather with constant places, or of rows of a constant by the data (Embedding)."""
    if site.is_constant(0):
        _embed(site)
        return
    view = site.view()
    axis = axis_of(view, int(site.attribute("axis", 0)))
    places = site.constant(1)
    assert places is not None
    size = view.shape[axis]
    places = np.where(places < 0, places + size, places)
    if view.axes[axis] == (BATCH,):
        if not site.trace.single or places.ndim > 1:
            raise Unsupported("takes elements of the batch")
        site.out(view if places.ndim else replace(view, axes=(*view.axes[:axis], *view.axes[axis + 1 :])))
        return
    if np.array_equal(places.reshape(-1), np.arange(size)):
        # What the dynamo exporter makes of as_strided: every element, under another shape.
        shape = (*view.shape[:axis], *places.shape, *view.shape[axis + 1 :])
        site.out(site.mover.regrouped(view, shape, site.with_batch(site.node.outputs[0])))
        return
    view = site.mover.single(site.tensor_view(), axis)
    dim = view.axes[axis][0]
    steps = np.diff(places.reshape(-1))
    if places.size == 1 or (places.ndim == 1 and len(set(steps.tolist())) == 1 and steps[0] > 0):
        step = int(steps[0]) if steps.size else 1
        view = _cut(site, view, axis, range(int(places.min()), int(places.max()) + 1, step))
    else:
        view = view.same(site.op(ops.take, view.tensor, places.reshape(-1), axis=dim), view.positive)
    if places.ndim == 1:
        site.out(view)
    else:
        shape = (*view.shape[:axis], *places.shape, *view.shape[axis + 1 :])
        flags = [BATCH in a for a in view.axes]
        site.out(site.mover.regrouped(view, shape, (*flags[:axis], *[False] * places.ndim, *flags[axis + 1 :])))


def expand(site: Site) -> None:
    """Expand: repeats along axes of size 1."""
    view, shape = site.view(), site.shape()
    view = replace(view, axes=((),) * (len(shape) - len(view.axes)) + view.axes)
    flags = site.with_batch(site.node.outputs[0])
    for axis, (own, size) in enumerate(zip(view.shape, shape, strict=True)):
        if own != size:
            view = _repeated(site, view, axis, size)
        elif flags and flags[axis] and view.batch_axis is None:
            view = replace(view, axes=tuple((BATCH,) if k == axis else a for k, a in enumerate(view.axes)))
    site.out(view)


def tile(site: Site) -> None:
    """Tile."""
    view = site.tensor_view()
    for axis, (own, size) in enumerate(zip(view.shape, site.shape(), strict=True)):
        if own == size:
            continue
        if own == 1:
            view = _repeated(site, view, axis, size)
            continue
        view = site.mover.single(view, axis)
        dim = view.axes[axis][0]
        layer = site.layer(keras.layers.Concatenate, "tile", axis=_last(dim, view.tensor))
        view = view.same(site.call(layer, [view.tensor] * (size // own)), view.positive)
    site.out(view)


def pad(site: Site) -> None:
    """Pad with a constant, the edge, or a reflection; negative amounts crop."""
    view = site.tensor_view()
    amounts = site.integers(1, "pads") or []
    axes = [axis_of(view, a) for a in (site.integers(3, "axes") or range(len(view.axes)))]
    half = len(amounts) // 2
    pairs = {axis: (amounts[k], amounts[k + half]) for k, axis in enumerate(axes) if amounts[k] or amounts[k + half]}
    mode = site.attribute("mode", "constant")
    value = site.constant(2) if site.has(2) else None
    filled = float(site.attribute("value", 0.0) if value is None else value.reshape(-1)[0])
    for axis, (before, after) in list(pairs.items()):
        if BATCH in view.axes[axis]:
            raise Unsupported("pads the batch")
        if before < 0 or after < 0:
            indices = range(max(-before, 0), view.shape[axis] - max(-after, 0))
            view = _cut(site, view, axis, indices)
            pairs[axis] = (max(before, 0), max(after, 0))
        view = site.mover.single(view, axis)
    site.out(_padded(site, view, {axis: pair for axis, pair in pairs.items() if any(pair)}, mode, filled))


def depth_to_space(site: Site) -> None:
    """DepthToSpace, in both orders of the channels."""
    view = site.tensor_view()
    n, c, h, w = view.shape
    b = int(site.attribute("blocksize", 1))
    if site.attribute("mode", "DCR") == "DCR":
        split, order = (n, b, b, c // b**2, h, w), (0, 3, 4, 1, 5, 2)
    else:
        split, order = (n, c // b**2, b, b, h, w), (0, 1, 4, 2, 5, 3)
    _through(site, view, split, order)


def space_to_depth(site: Site) -> None:
    """SpaceToDepth."""
    view = site.tensor_view()
    n, c, h, w = view.shape
    b = int(site.attribute("blocksize", 1))
    order = (0, 3, 5, 1, 2, 4) if site.attribute("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    _through(site, view, (n, c, h // b, b, w // b, b), order)


def one_hot(site: Site) -> None:
    """OneHot of a constant depth."""
    depth, values = site.constant(1), site.weight(2)
    assert depth is not None
    view = site.tensor_view()
    size = int(depth.reshape(-1)[0])
    rank = len(view.axes) + 1
    axis = int(site.attribute("axis", -1)) % rank
    y = site.op(ops.one_hot, ops.mod(ops.cast(view.tensor, "int32"), size), size, suffix="places")
    off, on = (float(x) for x in values)
    y = y if (off, on) == (0, 1) else site.op(ops.add, ops.multiply(y, on - off), off)
    new = len(view.sizes)
    site.out(View(y, (*view.axes[:axis], (new,), *view.axes[axis:])))


def trilu(site: Site) -> None:
    """Trilu: one triangle of the last two axes, by a constant of zeros and ones."""
    view = site.tensor_view()
    if any(BATCH in axis for axis in view.axes[-2:]):
        raise Unsupported("takes a triangle over the batch")
    k = site.constant(1) if site.has(1) else None
    offset = 0 if k is None else int(k.reshape(-1)[0])
    ones = np.ones(view.shape[-2:], str(view.tensor.dtype))
    mask = np.triu(ones, offset) if site.attribute("upper", 1) else np.tril(ones, offset)
    from edgecut.source.onnx.layout import constant_view

    tensors, axes = site.mover.aligned([view, constant_view(mask)])
    site.out(View(site.op(ops.multiply, *tensors), axes, view.positive))


def _through(site: Site, view: View, split: Sequence[int], order: Sequence[int]) -> None:
    flags = [True, *[False] * (len(split) - 1)]
    parts = site.mover.regrouped(view, split, flags)
    moved = replace(parts, axes=tuple(parts.axes[k] for k in order))
    result = site.mover.regrouped(moved, site.shape(), [True, False, False, False])
    site.out(site.mover.channels_last(result))


def _embed(site: Site) -> None:
    table, view = site.weight(0), site.tensor_view(1)
    if int(site.attribute("axis", 0)) != 0 or table.ndim != 2:
        raise Unsupported("looks up a constant by the data along another axis than the first of two")
    layer = site.layer(keras.layers.Embedding, input_dim=table.shape[0], output_dim=table.shape[1])
    y = site.call(layer, view.tensor, [table])
    site.out(View(y, (*view.axes, (len(view.sizes),))))


def _cut(site: Site, view: View, axis: int, indices: range) -> View:
    """The view with some places of an axis."""
    flat = site.mover.single(view if not isinstance(view.tensor, np.ndarray) else site.tensor_view(), axis)
    dim = flat.axes[axis][0]
    if not len(indices):
        raise Unsupported("puts out an empty tensor")
    stop: int | None = indices[-1] + (1 if indices.step > 0 else -1)
    index: list[Any] = [slice(None)] * len(flat.sizes)
    index[dim] = slice(indices[0], None if stop is not None and stop < 0 else stop, indices.step)
    return flat.same(site.op(lambda x: x[tuple(index)], flat.tensor), view.positive)


def _slice(start: int, end: int, step: int, size: int) -> slice:
    """ONNX's slice as Python's: what is out of range is clamped, and a negative end may mean the beginning."""
    if step > 0:
        return slice(start, end, step)
    first = min(start if start >= 0 else start + size, size - 1)
    last = end if end >= 0 else end + size
    return slice(max(first, 0), None if last < 0 else last, step) if first >= 0 else slice(0, 0)


def _repeated(site: Site, view: View, axis: int, count: int) -> View:
    if BATCH in view.axes[axis]:
        raise Unsupported("repeats the batch")
    flat = site.mover.single(view if not isinstance(view.tensor, np.ndarray) else site.tensor_view(), axis)
    dim = flat.axes[axis][0]
    return flat.same(site.op(ops.repeat, flat.tensor, count, axis=dim, suffix="repeat"), view.positive)


def _spread(tensors: Sequence[Any], dim: int) -> list[Any]:
    """Arrays repeated where they are narrower than the others, which ONNX's Concat never is."""
    sizes = next(t.shape for t in tensors if not isinstance(t, np.ndarray))
    result = []
    for t in tensors:
        if isinstance(t, np.ndarray):
            shape = [t.shape[k] if k in {0, dim} else int(sizes[k]) for k in range(t.ndim)]
            t = np.broadcast_to(t, shape)
        result.append(t)
    return result


def _padded(site: Site, view: View, pairs: dict[int, tuple[int, int]], mode: str, value: float) -> View:
    if not pairs:
        return view
    rank = len(view.sizes)
    amounts = [(0, 0)] * rank
    for axis, pair in pairs.items():
        amounts[view.axes[axis][0]] = pair
    if mode == "constant" and value == 0 and amounts[-1] == (0, 0) and 3 <= rank <= 5:
        inner = amounts[1:-1]
        layer = site.layer(PADDINGS[rank - 3], padding=inner[0] if rank == 3 else tuple(inner))
        return view.same(site.call(layer, view.tensor), view.positive)
    if mode == "constant":
        y = site.op(ops.pad, view.tensor, amounts, constant_values=value)
        return view.same(y, view.positive and value >= 0)
    if mode == "reflect":
        return view.same(site.op(ops.pad, view.tensor, amounts, mode="reflect"), view.positive)
    if mode not in {"edge", "wrap"}:
        raise Unsupported(f"pads in the mode {mode!r}, which ONNX doesn't know")
    for axis, (before, after) in pairs.items():
        size = view.shape[axis]
        places = np.arange(-before, size + after)
        places = np.clip(places, 0, size - 1) if mode == "edge" else places % size
        y = site.op(ops.take, view.tensor, places, axis=view.axes[axis][0])
        view = view.same(y, view.positive)
    return view


def _last(dim: int, tensor: Any) -> int:
    """-1 for the last dimension, as layers are usually written."""
    return -1 if dim == len(tensor.shape) - 1 else dim

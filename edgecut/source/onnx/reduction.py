"""Reductions over axes, ArgMax, TopK and CumSum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
from keras import ops

from edgecut.source.onnx.building import Site, Unsupported, axis_of
from edgecut.source.onnx.layout import BATCH, View


def reduce(site: Site) -> None:
    """A reduction; the mean of all places as a global pool."""
    view = site.tensor_view()
    axes = site.integers(1, "axes")
    if not axes:
        if site.attribute("noop_with_empty_axes", 0):
            site.out(view)
            return
        axes = list(range(len(view.axes)))
    places = sorted(axis_of(view, axis) for axis in axes)
    dims = sorted(d for axis in places for d in view.axes[axis])
    if BATCH in dims:
        raise Unsupported("reduces over the batch")
    positive = view.positive or site.node.operator in {"ReduceL1", "ReduceL2", "ReduceSumSquare"}
    keep = bool(site.attribute("keepdims", 1))
    if not dims:
        dims = []
    y, lost = _reduced(site, view, dims)
    new = {d: d - sum(x < d for x in lost) for d in range(len(view.sizes))}
    result = [() if k in places else tuple(new[d] for d in axis) for k, axis in enumerate(view.axes)]
    left = [axis for k, axis in enumerate(result) if keep or k not in places]
    site.out(View(y, tuple(left), positive))


def arg_extreme(site: Site) -> None:
    """ArgMax and ArgMin."""
    if site.attribute("select_last_index", 0):
        raise Unsupported("takes the last of equal places")
    view = site.tensor_view()
    axis = axis_of(view, int(site.attribute("axis", 0)))
    flat = site.mover.single(view, axis)
    dim = flat.axes[axis][0]
    if dim == BATCH:
        raise Unsupported("reduces over the batch")
    function = ops.argmax if site.node.operator == "ArgMax" else ops.argmin
    y = site.op(function, flat.tensor, axis=dim)
    axes = [tuple(d - (d > dim) for d in group) for group in flat.axes]
    axes[axis] = ()
    left = [group for k, group in enumerate(axes) if k != axis or site.attribute("keepdims", 1)]
    site.out(View(y, tuple(left), True))


def top_k(site: Site) -> None:
    """TopK of the largest along an axis."""
    k = site.integers(1, "k")
    view = site.tensor_view()
    axis = axis_of(view, int(site.attribute("axis", -1)))
    if not site.attribute("largest", 1):
        raise Unsupported("takes the smallest, which Keras has no operation for")
    if BATCH in view.axes[axis]:
        raise Unsupported("orders the batch")
    order = [a for a in range(len(view.axes)) if a != axis and view.axes[a] != (BATCH,)]
    flat = site.mover.ordered(view, [*order, axis])
    values, places = site.op(ops.top_k, flat.tensor, (k or [1])[0])
    site.outs({0: flat.same(values, view.positive), 1: flat.same(places, True)})


def cumulative_sum(site: Site) -> None:
    """CumSum, forwards."""
    axes = site.integers(1, "axis")
    if site.attribute("exclusive", 0) or site.attribute("reverse", 0):
        raise Unsupported("adds up exclusively or backwards, which Keras has no operation for")
    view = site.tensor_view()
    axis = axis_of(view, (axes or [0])[0])
    flat = site.mover.single(view, axis)
    if flat.axes[axis][0] == BATCH:
        raise Unsupported("adds up over the batch")
    site.out(flat.same(site.op(ops.cumsum, flat.tensor, axis=flat.axes[axis][0]), view.positive))


def _reduced(site: Site, view: View, dims: list[int]) -> tuple[Any, list[int]]:
    rank, x = len(view.sizes), view.tensor
    operator = site.node.operator
    if operator in {"ReduceMean", "ReduceMax"} and dims == list(range(1, rank - 1)) and 3 <= rank <= 5:
        name = {"ReduceMean": "GlobalAveragePooling", "ReduceMax": "GlobalMaxPooling"}[operator]
        return site.call(site.layer(getattr(keras.layers, f"{name}{rank - 2}D")), x), dims
    if not dims and operator in {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"}:
        return x, []
    return _FUNCTIONS[operator](site, x, tuple(dims)), dims


def _plain(function: Callable[..., Any]) -> Callable[[Site, Any, tuple[int, ...]], Any]:
    return lambda site, x, dims: site.op(function, x, axis=dims)


_FUNCTIONS: Mapping[str, Callable[[Site, Any, tuple[int, ...]], Any]] = {
    "ReduceMean": _plain(ops.mean),
    "ReduceSum": _plain(ops.sum),
    "ReduceMax": _plain(ops.max),
    "ReduceMin": _plain(ops.min),
    "ReduceProd": _plain(ops.prod),
    "ReduceL1": lambda site, x, dims: site.op(ops.sum, site.op(ops.absolute, x, suffix="abs"), axis=dims),
    "ReduceL2": lambda site, x, dims: site.op(
        ops.sqrt, site.op(ops.sum, site.op(ops.square, x, suffix="square"), axis=dims, suffix="sum")
    ),
    "ReduceSumSquare": lambda site, x, dims: site.op(ops.sum, site.op(ops.square, x, suffix="square"), axis=dims),
    "ReduceLogSum": lambda site, x, dims: site.op(ops.log, site.op(ops.sum, x, axis=dims, suffix="sum")),
    "ReduceLogSumExp": lambda site, x, dims: site.op(ops.logsumexp, x, axis=dims),
}
__all__ = ["arg_extreme", "cumulative_sum", "reduce", "replace", "top_k"]

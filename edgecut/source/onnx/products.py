"""MatMul and Gemm: Dense where one side is a constant, a product of matrices where none is; Einsum."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from edgecut.source.onnx.building import Site, Unsupported
from edgecut.source.onnx.layout import BATCH, LayoutError, View


def gemm(site: Site) -> None:
    """Gemm."""
    alpha, beta = float(site.attribute("alpha", 1.0)), float(site.attribute("beta", 1.0))
    if site.attribute("transA", 0):
        raise Unsupported("transposes its data, so that the batch is summed over")
    if not site.is_constant(1):
        raise Unsupported("multiplies by a matrix that is computed from the data")
    kernel = site.weight(1)
    kernel = kernel.T if site.attribute("transB", 0) else kernel
    kernel = kernel if alpha == 1 else kernel * np.float32(alpha)
    view = site.tensor_view()
    if site.has(2) and not site.is_constant(2):
        product = dense(site, view, kernel, None)
        other = site.tensor_view(2)
        x = other.tensor if beta == 1 else site.op(ops.multiply, other.tensor, beta, suffix="beta")
        tensors, axes = site.mover.aligned([product, other.same(x)])
        site.out(View(site.call(site.layer(keras.layers.Add, "add"), tensors), axes))
        return
    bias = site.optional(2)
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1) if bias.ndim < 2 or bias.shape[0] == 1 else bias, (kernel.shape[1],))
        bias = bias if beta == 1 else bias * np.float32(beta)
    site.out(dense(site, view, kernel, bias))


def matmul(site: Site) -> None:
    """MatMul, with a bias as a third input where a fusion has put one."""
    bias = site.optional(2)
    if site.is_constant(1) and site.weight(1).ndim == 2:
        site.out(dense(site, site.tensor_view(), site.weight(1), bias))
    elif site.is_constant(1) and site.weight(1).ndim == 1:
        result = dense(site, site.tensor_view(), site.weight(1)[:, None], None)
        site.out(View(result.tensor, result.axes[:-1]))
    elif site.is_constant(0) and site.weight(0).ndim == 2 and len(site.view(1).axes) > 1:
        site.out(_from_the_left(site))
    else:
        site.out(_product(site, site.tensor_view(0), site.tensor_view(1)))


def dense(site: Site, view: View, kernel: np.ndarray, bias: np.ndarray | None) -> View:
    """The last ONNX axis through a Dense layer; rows of the kernel follow the dimensions as they lie."""
    group = view.axes[-1]
    rest = [d for d in range(1, len(view.sizes)) if d not in group]
    lying = sorted(group)
    if BATCH in group:
        raise LayoutError("its batch is merged with the axis that is summed over")
    adjacent = lying == list(range(len(view.sizes) - len(lying), len(view.sizes)))
    order = lying if adjacent or len(group) > 1 else list(group)
    x = site.mover.arranged(view, [*([d] for d in rest), order])
    if list(group) != order:
        sizes = [view.sizes[d] for d in group]
        rows = kernel.reshape(*sizes, -1)
        kernel = rows.transpose(*(group.index(d) for d in order), len(group)).reshape(kernel.shape)
    layer = site.layer(keras.layers.Dense, units=kernel.shape[1], use_bias=bias is not None)
    y = site.call(layer, x, [kernel] if bias is None else [kernel, np.ascontiguousarray(bias)])
    places = {BATCH: BATCH, **{d: k + 1 for k, d in enumerate(rest)}}
    axes = [tuple(places[d] for d in axis) for axis in view.axes[:-1]]
    return View(y, (*axes, (len(rest) + 1,)))


def einsum(site: Site) -> None:
    """Einsum, on tensors whose dimensions are in the order of ONNX's axes."""
    equation = site.attribute("equation", "").replace(" ", "")
    if "." in equation or "->" not in equation:
        raise Unsupported(f"has the equation {equation!r}; letters for each axis and '->' are expected")
    terms, _, result = equation.partition("->")
    moved = {term[:1] for k, term in enumerate(terms.split(",")) if not site.is_constant(k)}
    if moved != {result[:1]}:
        raise Unsupported(f"has the equation {equation!r}, in which the batch isn't the first letter of all")
    tensors = []
    for k in range(len(site.node.inputs)):
        view = site.view(k)
        if isinstance(view.tensor, np.ndarray):
            tensors.append(view.tensor[0])
            continue
        if view.batch_axis not in {0, None} or view.axes[0] != (BATCH,):
            raise Unsupported("has the batch in another axis than the first")
        tensors.append(site.mover.ordered(view, range(1, len(view.axes))).tensor)
    y = site.op(ops.einsum, equation, *tensors)
    site.out(View(y, tuple((k,) for k in range(len(site.shape())))))


def _from_the_left(site: Site) -> View:
    """constant @ x: a Dense along the last axis but one of x."""
    view = site.tensor_view(1)
    swapped = View(view.tensor, (*view.axes[:-2], view.axes[-1], view.axes[-2]), view.positive)
    result = dense(site, swapped, np.ascontiguousarray(site.weight(0).T), None)
    return View(result.tensor, (*result.axes[:-2], result.axes[-1], result.axes[-2]))


def _product(site: Site, a: View, b: View) -> View:
    """The product of two tensors of matrices, with the axes before them broadcast."""
    if len(a.axes) < 2 or len(b.axes) < 2:
        raise Unsupported("multiplies a vector that is computed from the data")
    rank = max(len(a.axes), len(b.axes))
    lead_a, lead_b = (((),) * (rank - len(v.axes)) + v.axes[:-2] for v in (a, b))
    mixed = _batches(
        site, View(a.tensor, (*lead_a, a.axes[-2], a.axes[-1])), View(b.tensor, (*lead_b, b.axes[-2], b.axes[-1]))
    )
    x, y, axes = mixed
    return View(site.op(ops.matmul, x, y), axes)


def _batches(site: Site, a: View, b: View) -> tuple[Any, Any, tuple[tuple[int, ...], ...]]:
    """Both as (batch, shared dimensions..., rows, columns), and the axes of their product."""
    for axis in range(len(a.axes) - 2):
        a, b = site.mover.refined([a, b], axis)
    shared: list[tuple[list[int], list[int]]] = []
    axes: list[tuple[int, ...]] = []
    for left, right in zip(a.axes[:-2], b.axes[:-2], strict=True):
        own, other = [d for d in left if d], [d for d in right if d]
        group = [BATCH] if BATCH in left or BATCH in right else []
        for k in range(max(len(own), len(other))):
            shared.append(([own[k]] if own else [], [other[k]] if other else []))
            group.append(len(shared))
        axes.append(tuple(group))
    for view in (a, b):
        if BATCH in view.axes[-1] or BATCH in view.axes[-2]:
            raise LayoutError("its batch is a row or a column of a matrix")
    x = site.mover.arranged(a, [*(own for own, _ in shared), a.axes[-2], a.axes[-1]])
    y = site.mover.arranged(b, [*(other for _, other in shared), b.axes[-2], b.axes[-1]])
    return x, y, (*axes, (len(shared) + 1,), (len(shared) + 2,))

"""Tensors whose axes are told apart from how they lie in memory: a transpose relabels, and moves nothing.

A View is a Keras tensor, batch first, with the tensor that the ONNX file means: for each of its axes the dimensions of
the Keras tensor that it is made of, the slowest first. So a Reshape that merges or splits axes regroups dimensions,
and a permute is needed only where an operator wants another order in memory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Axes = tuple[tuple[int, ...], ...]
Move = Callable[[Any, tuple[int, ...]], Any]
BATCH = 0


class LayoutError(Exception):
    """Axes that can't be brought into an order; the message ends a sentence about a node."""


@dataclass(frozen=True)
class View:
    """tensor: (batch, ...), a Keras tensor, or an array with a batch of 1 for a constant.

    axes: of the ONNX tensor, its dimensions; an empty one has size 1. positive: whether no value is below 0.
    """

    tensor: Any
    axes: Axes
    positive: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """The size of each dimension, 1 for the batch."""
        return (1, *(int(size) for size in self.tensor.shape[1:]))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in ONNX at batch 1."""
        return tuple(math.prod(self.sizes[d] for d in axis) for axis in self.axes)

    @property
    def batch_axis(self) -> int | None:
        """The ONNX axis that the batch is in; None where it is in none."""
        return next((i for i, axis in enumerate(self.axes) if BATCH in axis), None)

    def same(self, tensor: Any, positive: bool = False) -> View:
        """The same axes of another tensor of the same shape."""
        return View(tensor, self.axes, positive)


def constant_view(array: np.ndarray) -> View:
    """A constant as a view, with a hidden batch of 1 before it."""
    return View(array[None], tuple((i + 1,) for i in range(array.ndim)), bool(array.size) and bool(np.all(array >= 0)))


@dataclass(frozen=True)
class Mover:
    """How tensors are moved. reshape, permute: of a tensor, to sizes or by an order, both without the batch.

    moved: what was moved before, so that two readers of a tensor share one permute.
    """

    reshape: Move
    permute: Move
    moved: dict[tuple[Any, ...], tuple[Any, Any]] = field(default_factory=dict)

    def reshaped(self, tensor: Any, sizes: Sequence[int]) -> Any:
        """The tensor with other sizes behind the batch."""
        if tuple(tensor.shape[1:]) == tuple(sizes):
            return tensor
        if isinstance(tensor, np.ndarray):
            return tensor.reshape(tensor.shape[0], *sizes)
        return self._once("reshape", self.reshape, tensor, tuple(sizes))

    def permuted(self, tensor: Any, order: Sequence[int]) -> Any:
        """The tensor with its dimensions in another order; order[0] is the batch."""
        if isinstance(tensor, np.ndarray):
            return tensor.transpose(order)
        return self._once("permute", self.permute, tensor, tuple(order[1:]))

    def _once(self, kind: str, move: Move, tensor: Any, argument: tuple[int, ...]) -> Any:
        # With the tensor, whose id would go to another one if it were freed.
        key = (kind, id(tensor), argument)
        if key not in self.moved:
            self.moved[key] = (tensor, move(tensor, argument))
        return self.moved[key][1]

    def arranged(self, view: View, groups: Sequence[Sequence[int]]) -> Any:
        """The view's tensor as (batch, one dimension for each group of dimensions).

        What is in no group must have size 1. Only what can't be had by reshaping is permuted.
        """
        sizes = view.sizes
        order = [d for group in groups for d in group]
        if BATCH in order:
            raise LayoutError("its batch is merged with another axis")
        left = [d for d in range(1, len(sizes)) if d not in order]
        if any(sizes[d] != 1 for d in left):
            raise LayoutError("an axis would be lost")
        tensor = view.tensor
        wide = [d for d in order if sizes[d] != 1]
        if wide != sorted(wide):
            if left or len(order) > len(wide) + 1:
                tensor = self.reshaped(tensor, [sizes[d] for d in sorted(wide)])
                rank = sorted(wide)
                tensor = self.permuted(tensor, (0, *(rank.index(d) + 1 for d in wide)))
            else:
                tensor = self.permuted(tensor, (0, *order))
        return self.reshaped(tensor, [math.prod(sizes[d] for d in group) for group in groups])

    def ordered(self, view: View, order: Sequence[int]) -> View:
        """The view with one dimension for each ONNX axis, in an order of the axes; the batch is left out of it."""
        rest = [axis for axis in range(len(view.axes)) if axis not in order]
        if any(view.axes[axis] not in {(BATCH,), ()} for axis in rest):
            raise LayoutError("its batch is merged with another axis")
        tensor = self.arranged(view, [view.axes[axis] for axis in order])
        places = {axis: (place + 1,) for place, axis in enumerate(order)}
        return View(tensor, tuple(places.get(a, view.axes[a]) for a in range(len(view.axes))), view.positive)

    def channels_last(self, view: View) -> View:
        """(batch, ..., channels) of a tensor whose ONNX axes are (batch, channels, ...)."""
        if view.axes[0] not in {(BATCH,), ()}:
            raise LayoutError("its first axis isn't the batch")
        return self.ordered(view, [*range(2, len(view.axes)), 1])

    def single(self, view: View, axis: int) -> View:
        """The view with one dimension for an ONNX axis, the others as they are."""
        group = view.axes[axis]
        if len(group) == 1:
            return view
        if BATCH in group:
            raise LayoutError("its batch is merged with another axis")
        rank = len(view.sizes)
        if not group:
            groups = [[d] for d in range(1, rank)]
            place = self._place(view, axis)
            groups.insert(place - 1, [])
        elif list(group) == list(range(group[0], group[0] + len(group))):
            groups = [[d] for d in range(1, rank) if d not in group[1:]]
            groups = [list(group) if g == [group[0]] else g for g in groups]
        else:
            groups = [[d] for d in range(1, rank) if d not in group] + [list(group)]
        tensor = self.arranged(view, groups)
        where = {d: k + 1 for k, g in enumerate(groups) for d in g}
        new = next(k + 1 for k, g in enumerate(groups) if list(g) == list(group))
        axes = [tuple(dict.fromkeys(where[d] if d else BATCH for d in a)) for a in view.axes]
        axes[axis] = (new,)
        return View(tensor, tuple(axes), view.positive)

    def _place(self, view: View, axis: int) -> int:
        """Where a new dimension for an empty axis goes: before those of the axes behind it."""
        behind = [d for a in view.axes[axis + 1 :] for d in a if d]
        before = [d for a in view.axes[:axis] for d in a if d]
        if before and (not behind or max(before) + 1 <= min(behind)):
            return max(before) + 1
        return min(behind, default=len(view.sizes)) if behind else len(view.sizes)

    def split(self, view: View, parts: dict[int, list[int]]) -> tuple[View, dict[int, list[int]]]:
        """The view with dimensions split into factors, and for each old dimension its new ones."""
        sizes: list[int] = []
        new: dict[int, list[int]] = {BATCH: [BATCH]}
        for d, size in enumerate(view.sizes):
            if d == BATCH:
                continue
            factors = parts.get(d, [size])
            new[d] = list(range(len(sizes) + 1, len(sizes) + 1 + len(factors)))
            sizes += factors
        axes = tuple(tuple(n for d in axis for n in new[d]) for axis in view.axes)
        return View(self.reshaped(view.tensor, sizes), axes, view.positive), new

    def regrouped(self, view: View, shape: Sequence[int], with_batch: Sequence[bool] | None = None) -> View:
        """What ONNX's Reshape means: the same elements in row-major order under other axes.

        shape: at batch 1. with_batch: whether the batch is in an axis; None where nobody knows.
        """
        try:
            return self._regrouped(view, shape, with_batch)
        except _Crossing:
            plain = self.ordered(view, [a for a in range(len(view.axes)) if view.axes[a] != (BATCH,)])
            if view.axes[:1] != ((BATCH,),) or shape[0] != 1:
                raise LayoutError(f"{view.shape} can't be reshaped to {tuple(shape)} beside the batch") from None
            tensor = self.reshaped(plain.tensor, shape[1:])
            return View(tensor, tuple((i,) for i in range(len(shape))), view.positive)

    def _regrouped(self, view: View, shape: Sequence[int], with_batch: Sequence[bool] | None) -> View:
        pending = [(d, view.sizes[d]) for axis in view.axes for d in axis if d == BATCH or view.sizes[d] != 1]
        parts: dict[int, list[int]] = {}
        groups: list[list[tuple[int, int]]] = []
        for place, size in enumerate(shape):
            group: list[tuple[int, int]] = []
            rest = size
            batch_here = with_batch[place] if with_batch else None
            while pending:
                d, wide = pending[0]
                if d == BATCH:
                    if batch_here is False or (batch_here is None and rest == 1 and size != 1):
                        break
                    if batch_here is None and size == 1 and group:
                        break
                    pending.pop(0)
                    group.append((BATCH, 0))
                    continue
                if rest == 1:
                    break
                if rest % wide == 0:
                    part, rest = wide, rest // wide
                    pending.pop(0)
                elif wide % rest == 0:
                    part = rest
                    pending[0] = (d, wide // rest)
                    rest = 1
                else:
                    raise _Crossing
                parts.setdefault(d, []).append(part)
                group.append((d, len(parts[d]) - 1))
            if rest != 1:
                raise _Crossing
            groups.append(group)
        if any(d != BATCH for d, _ in pending):
            raise _Crossing
        whole, new = self.split(view, {d: p for d, p in parts.items() if len(p) > 1})
        axes = tuple(tuple(new[d][k] for d, k in group) for group in groups)
        return replace(whole, axes=axes)

    def aligned(self, views: Sequence[View], but: int | None = None) -> tuple[list[Any], Axes]:
        """Tensors of one rank, whose dimensions mean the same, and the axes of what an operator makes of them.

        They broadcast against each other as in ONNX; `but` is an axis along which sizes differ (Concat).
        """
        rank = max(len(view.axes) for view in views)
        padded = [replace(v, axes=((),) * (rank - len(v.axes)) + v.axes) for v in views]
        if but is not None:
            padded = [self.single(view, but) for view in padded]
        lead = max(
            range(len(padded)), key=lambda k: (not isinstance(padded[k].tensor, np.ndarray), math.prod(padded[k].shape))
        )
        for axis in range(rank):
            if axis != but:
                padded = self.refined(padded, axis)
        padded[lead] = self._widened(padded, lead)
        top = padded[lead]
        dims = {d: (axis, place) for axis, group in enumerate(top.axes) for place, d in enumerate(group)}
        tensors = [self._onto(view, top, dims) for view in padded]
        batch = {view.batch_axis for view in padded} - {None}
        if len(batch) > 1:
            raise LayoutError("its inputs have the batch in different axes")
        axes = top.axes
        if batch and top.batch_axis is None:
            place = batch.pop()
            axes = tuple((BATCH, *group) if axis == place else group for axis, group in enumerate(axes))
        return tensors, axes

    def refined(self, views: Sequence[View], axis: int) -> list[View]:
        """The views with the same factors in an axis, where they have more than one element there."""
        wide = [v for v in views if v.shape[axis] != 1]
        cuts = set[int]()
        for view in wide:
            product = 1
            for d in reversed(view.axes[axis]):
                product *= view.sizes[d]
                cuts.add(product)
        steps = sorted(cuts - {1})
        if any(b % a for a, b in itertools.pairwise(steps)):
            return [self.single(view, axis) if view.shape[axis] != 1 else view for view in views]
        factors = [b // a for a, b in zip([1, *steps], steps, strict=False)][::-1]
        result = []
        for view in views:
            group = tuple(d for d in view.axes[axis] if d == BATCH or view.sizes[d] != 1)
            trimmed = replace(view, axes=(*view.axes[:axis], group, *view.axes[axis + 1 :]))
            if view.shape[axis] == 1 or [view.sizes[d] for d in group if d] == factors:
                result.append(trimmed)
                continue
            if math.prod(factors) != view.shape[axis]:
                raise LayoutError(f"its inputs have the sizes {[v.shape for v in views]}, which don't fit")
            parts, left = dict[int, list[int]](), list(factors)
            for d in (d for d in group if d):
                size, parts[d] = view.sizes[d], []
                while math.prod(parts[d]) != size:
                    parts[d].append(left.pop(0))
            result.append(self.split(trimmed, parts)[0])
        return result

    def _widened(self, views: Sequence[View], lead: int) -> View:
        """The leading view with dimensions of size 1 where it has none and another view has some."""
        view = views[lead]
        for axis in range(len(view.axes)):
            count = max(len([d for d in v.axes[axis] if d]) for v in views)
            if count and not any(view.axes[axis]):
                place = self._place(view, axis)
                sizes = [*view.sizes[1:place], *[1] * count, *view.sizes[place:]]
                axes = [tuple(d + count if d >= place else d for d in group) for group in view.axes]
                axes[axis] = (*axes[axis], *range(place, place + count))
                view = View(self.reshaped(view.tensor, sizes), tuple(axes), view.positive)
        return view

    def _onto(self, view: View, top: View, dims: dict[int, tuple[int, int]]) -> Any:
        """The view's tensor with one dimension for each of the leading one's."""
        if view is top:
            return view.tensor
        groups: list[list[int]] = []
        for d in range(1, len(top.sizes)):
            axis, place = dims.get(d, (-1, 0))
            own = [x for x in view.axes[axis] if x] if axis >= 0 else []
            before = len([x for x in top.axes[axis][:place] if x]) if axis >= 0 else 0
            groups.append([own[before]] if before < len(own) else [])
        return self.arranged(view, groups)


class _Crossing(Exception):
    """Sizes of which neither divides the other."""

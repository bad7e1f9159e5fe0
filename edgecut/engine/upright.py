"""Series seen as images of one column: what has one row from left to right streams in time, from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecut.engine.lowered import MISFIT, Model, option
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph
from edgecut.tflite.kinds import BINARY, PIXELWISE, RENAMES

_MOST_STEPS = 50_000  # of time over all tensors: planning and proving as many takes seconds
_SWAPPED, _INSERTED, _SAME = (0, 2, 1, 3), (0, 1, 3), (0, 1, 2, 3)


class _Stays(Exception):
    """Raised where an operator has no way of being turned."""


def upright(model: Model) -> Model:
    """The same model with time as the rows of its images, where all of them have one row or one column.

    (batch, 1, time, channels) and (batch, time, channels) become (batch, time, 1, channels), which lies in memory as
    they do. A model with another image, with an operator that can't be turned, or with very long series is given back.
    """
    computed = [tensor for tensor in model.graph.tensors if not tensor.is_constant]
    images = [tensor.shape for tensor in computed if len(tensor.shape) == 4]
    if any(1 not in shape[1:3] for shape in images) or any(len(tensor.shape) > 4 for tensor in computed):
        return model
    series = [tensor for tensor in computed if _axes(tensor) != _SAME]
    if not 0 < sum(max(_turned(tensor).shape[1:3]) for tensor in series) <= _MOST_STEPS:
        return model
    tensors = [tensor if tensor.is_constant else _turned(tensor) for tensor in model.graph.tensors]
    turn = _Turn(model.graph, tensors, dict(model.constants))
    try:
        operators = tuple(turn.operator(op) for op in model.graph.operators)
    except (_Stays, *MISFIT):
        return model
    return Model(replace(model.graph, tensors=tuple(tensors), operators=operators), turn.constants)


def _axes(tensor: Tensor) -> tuple[int, ...]:
    """Where each axis of a tensor goes."""
    shape = tensor.shape
    if len(shape) == 4 and shape[1] == 1 < shape[2]:
        return _SWAPPED
    return _INSERTED if len(shape) == 3 else _SAME


def _turned(tensor: Tensor) -> Tensor:
    return replace(tensor, shape=tuple(_placed(tensor.shape, _axes(tensor), 1)))


def _placed(values: Sequence[int], axes: Sequence[int], fill: int) -> list[int]:
    """Values of each axis at the places that the axes go to."""
    if axes == _SAME:
        return list(values)
    placed = [fill] * 4
    for value, place in zip(values, axes, strict=True):
        placed[place] = value
    return placed


@dataclass(frozen=True)
class _Turn:
    """A model in the making. tensors: of the turned graph, to which constants are added that differ from the file's."""

    graph: TfliteGraph
    tensors: list[Tensor]
    constants: dict[int, np.ndarray]

    def operator(self, op: Operator) -> Operator:
        """An operator that does the same to turned tensors. Raises _Stays."""
        ends = [self.graph.tensors[k] for k in (*op.inputs, *op.outputs) if k >= 0]
        # An image of one pixel is one of either kind.
        pixels = [len(tensor.shape) != 3 and max(tensor.shape[1:3], default=1) == 1 for tensor in ends]
        seen = [t for t, pixel in zip(ends, pixels, strict=True) if not (t.is_constant or pixel)]
        ways = {_axes(tensor) for tensor in seen if len(tensor.shape) >= 3}
        if op.name in RENAMES or ways <= {_SAME} or op.name in PIXELWISE:
            return op
        if len(ways) > 1 or op.name not in _TURNS or op.custom:
            raise _Stays
        return _TURNS[op.name](self, op, ways.pop())

    def constant(self, op: Operator, place: int, values: np.ndarray) -> Operator:
        """The operator with another constant at a place of its inputs."""
        old = self.tensors[op.inputs[place]]
        self.tensors.append(replace(old, index=len(self.tensors), shape=values.shape))
        self.constants[len(self.tensors) - 1] = values
        inputs = (*op.inputs[:place], len(self.tensors) - 1, *op.inputs[place + 1 :])
        return replace(op, inputs=inputs)

    def values(self, op: Operator, place: int) -> np.ndarray:
        """The constant at a place of an operator's inputs. Raises _Stays where none is."""
        index = op.inputs[place]
        if index not in self.constants:
            raise _Stays
        return self.constants[index]


Axes = tuple[int, ...]


def _windowed(filters: int | None, shape: int | None = None) -> Callable[[_Turn, Operator, Axes], Operator]:
    """Of windows over rows and columns. filters, shape: the places of filters and of an output's shape."""

    def turned(turn: _Turn, op: Operator, axes: Axes) -> Operator:
        if axes != _SWAPPED:
            raise _Stays
        if filters is not None:
            op = turn.constant(op, filters, np.ascontiguousarray(turn.values(op, filters).transpose(_SWAPPED)))
        if shape is not None:
            op = turn.constant(op, shape, turn.values(op, shape)[list(_SWAPPED)])
        pairs = (("strideH", "strideW"), ("dilationHFactor", "dilationWFactor"), ("filterHeight", "filterWidth"))
        swapped = {a: op.options[b] for pair in pairs for a, b in (pair, pair[::-1]) if b in op.options}
        return replace(op, options={**op.options, **swapped})

    return turned


def _spread(turn: _Turn, op: Operator, axes: Axes) -> Operator:
    """Of two sides, of which a constant, or a value for each channel, is spread over the axes of the other."""
    for place, index in enumerate(op.inputs[:2]):
        if index in turn.constants:
            values = turn.constants[index]
            full = (1,) * (len(axes) - values.ndim) + values.shape
            op = turn.constant(op, place, values.reshape(_placed(full, axes, 1)))
        elif len(shape := turn.graph.tensors[index].shape) != len(axes) and any(n != 1 for n in shape[:-1]):
            raise _Stays
    return op


def _along(place: int) -> Callable[[_Turn, Operator, Axes], Operator]:
    """Of constants that are axes."""

    def turned(turn: _Turn, op: Operator, axes: Axes) -> Operator:
        values = turn.values(op, place)
        return turn.constant(op, place, np.array([axes[int(k)] for k in values.ravel()], values.dtype))

    return turned


def _joined(turn: _Turn, op: Operator, axes: Axes) -> Operator:
    return replace(op, options={**op.options, "axis": axes[option(op, "axis", 0)]})


def _padded(turn: _Turn, op: Operator, axes: Axes) -> Operator:
    values = turn.values(op, 1)
    pads = np.zeros((4, 2), values.dtype)
    pads[list(axes)] = values
    return turn.constant(op, 1, pads)


def _sliced(fills: Sequence[int]) -> Callable[[_Turn, Operator, Axes], Operator]:
    """Of constants with a number for each axis. fills: what an axis of extent 1 has in each."""

    def turned(turn: _Turn, op: Operator, axes: Axes) -> Operator:
        if option(op, "shrinkAxisMask", 0) or option(op, "newAxisMask", 0) or option(op, "ellipsisMask", 0):
            raise _Stays
        for place, fill in enumerate(fills, 1):
            values = turn.values(op, place)
            op = turn.constant(op, place, np.array(_placed(values.ravel().tolist(), axes, fill), values.dtype))
        masks = {name: option(op, name, 0) for name in ("beginMask", "endMask")}
        moved = {name: sum((bits >> k & 1) << axis for k, axis in enumerate(axes)) for name, bits in masks.items()}
        return replace(op, options={**op.options, **moved})

    return turned


_TURNS: Mapping[str, Callable[[_Turn, Operator, Axes], Operator]] = {
    "AVERAGE_POOL_2D": _windowed(None),
    "CONCATENATION": _joined,
    "CONV_2D": _windowed(1),
    "DEPTHWISE_CONV_2D": _windowed(1),
    "MAX_POOL_2D": _windowed(None),
    "MEAN": _along(1),
    "PAD": _padded,
    "PADV2": _padded,
    "PRELU": _spread,
    "SLICE": _sliced((0, 1)),
    "SPLIT": _along(0),
    "SPLIT_V": _along(2),
    "STRIDED_SLICE": _sliced((0, 1, 1)),
    "SUM": _along(1),
    "TRANSPOSE_CONV": _windowed(1, 0),
    **dict.fromkeys(BINARY, _spread),
}

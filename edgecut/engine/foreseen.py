"""A graph without its numbers as one that can be planned: constants and grids that its shapes allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np

from edgecut.engine.lowered import SAME, VALID, Model, option
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph
from edgecut.tflite.kinds import BINARY, WINDOWED

# Wide enough for what SOFTMAX takes.
_SCALE = 1 / 16
# Grids that a kernel demands of what it puts out.
_GRIDS = {"TANH": ((1 / 128,), (0,)), "SOFTMAX": ((1 / 256,), (-128,)), "LOGISTIC": ((1 / 256,), (-128,))}

Shape = tuple[int, ...]


def foreseen_model(graph: TfliteGraph) -> Model:
    """The model of a graph whose constants have shapes alone: weights of 0, axes and paddings as the shapes tell them.

    A padding that could lie on either side is put half before, the rest behind, as SAME would.
    """
    tensors = [_on_grid(tensor) for tensor in graph.tensors]
    for op in graph.operators:
        if op.name in _GRIDS:
            scales, zero_points = _GRIDS[op.name]
            tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], scales=scales, zero_points=zero_points)
    constants = {t.index: np.broadcast_to(np.zeros((), t.dtype), t.shape) for t in tensors if t.is_constant}
    operators: list[Operator] = []
    for op in graph.operators:
        inputs = list(op.inputs)
        for place, values in _values(graph, op).items():
            index = len(tensors)
            tensors.append(_on_grid(Tensor(index, "", values.shape, values.dtype.name, is_constant=True)))
            constants[index] = values
            inputs[place] = index
        operators.append(replace(op, inputs=tuple(inputs), options={**op.options, **_options(graph, op)}))
    return Model(replace(graph, tensors=tuple(tensors), operators=tuple(operators)), constants)


def _on_grid(tensor: Tensor) -> Tensor:
    if tensor.dtype not in {"int8", "int16", "uint8"}:
        return tensor
    zero_point = 0 if tensor.is_constant or tensor.dtype == "int16" else -128
    return replace(tensor, scales=(_SCALE,), zero_points=(zero_point,), axis=None)


def _options(graph: TfliteGraph, op: Operator) -> dict[str, float]:
    """The options that shapes decide, where the graph doesn't say them."""
    if op.name == "SOFTMAX":
        return {"beta": op.options.get("beta") or 1.0}
    data, made = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    if op.name == "CONCATENATION" and "axis" not in op.options:
        return {"axis": next((k for k, (n, m) in enumerate(zip(data, made, strict=True)) if n != m), len(made) - 1)}
    if op.name in WINDOWED and "padding" not in op.options:
        strides = option(op, "strideH", 1), option(op, "strideW", 1)
        same = all(-(-n // stride) == m for n, m, stride in zip(data[1:3], made[1:3], strides, strict=True))
        return {"padding": SAME if same else VALID}
    return {}


def _values(graph: TfliteGraph, op: Operator) -> Mapping[int, np.ndarray]:
    """The constants of an operator that decide which rows it reads, by their place among its inputs."""
    if op.name in BINARY:
        constant = [k for k, index in enumerate(op.inputs) if graph.tensors[index].is_constant]
        return {k: np.zeros(graph.tensors[op.inputs[k]].shape, np.int8) for k in constant}
    if op.name not in _FORESEEN:
        return {}
    data = graph.tensors[op.inputs[1 if op.name == "SPLIT" else 0]].shape
    said = op.options.get("padding")
    if op.name == "PAD" and isinstance(said, tuple | list):
        return {1: np.array([(0, 0), *said, (0, 0)], np.int32)}
    return _FORESEEN[op.name](data, graph.tensors[op.outputs[0]].shape)


def _pads(data: Shape, made: Shape) -> Mapping[int, np.ndarray]:
    more = [m - n for n, m in zip(data, made, strict=True)]
    return {1: np.array([[n // 2, n - n // 2] for n in more], np.int32)}


def _axes(data: Shape, made: Shape) -> Mapping[int, np.ndarray]:
    """The fewest axes whose reduction makes the shape, those of an image's rows and columns first."""
    order = sorted(range(len(data)), key=lambda k: (k == 0, k == len(data) - 1))
    for count in range(1, len(data) + 1):
        for axes in combinations(order, count):
            left = [n for k, n in enumerate(data) if k not in axes]
            if left == list(made) or [1 if k in axes else n for k, n in enumerate(data)] == list(made):
                return {1: np.array(axes, np.int32)}
    raise Refused(f"makes shape {list(made)} of shape {list(data)}")


def _axis(data: Shape, made: Shape) -> Mapping[int, np.ndarray]:
    return {0: np.array([k for k, (n, m) in enumerate(zip(data, made, strict=True)) if n != m][:1] or [0], np.int32)}


def _order(data: Shape, made: Shape) -> Mapping[int, np.ndarray]:
    fits = (order for order in permutations(range(len(data))) if tuple(data[k] for k in order) == made)
    return {1: np.array(next(fits, ()), np.int32)}


def _cropped(data: Shape, made: Shape) -> Mapping[int, np.ndarray]:
    begin = np.array([(n - m) // 2 for n, m in zip(data, made, strict=True)], np.int32)
    return {1: begin, 2: np.array(made, np.int32) + begin, 3: np.ones(len(data), np.int32)}


_FORESEEN: dict[str, Callable[[Shape, Shape], Mapping[int, np.ndarray]]] = {
    "MEAN": _axes,
    "PAD": _pads,
    "PADV2": _pads,
    "SPLIT": _axis,
    "STRIDED_SLICE": _cropped,
    "SUM": _axes,
    "TRANSPOSE": _order,
}

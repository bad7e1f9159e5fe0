"""Attention that an exporter has spelled out, as one node: told by where each element comes from, not by its nodes.

Between the projection of the tokens and the product of matrices, exporters reshape, transpose, split and slice in every
order. Here a tensor of positions goes the same way; it shows which column of the projection each head's element is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.source.onnx.fusion_graph import Graph
from edgecut.source.onnx.nodes import Node

_MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Split", "Slice", "Gather")
_SCALES = ("Mul", "Div")


@dataclass(frozen=True)
class Projection:
    """Tokens through a matrix, and then to heads. kernel: (features, heads, size); bias: (heads, size) or None."""

    tokens: str
    kernel: np.ndarray
    bias: np.ndarray | None
    scale: float
    nodes: tuple[Node, ...]


def attention(graph: Graph, softmax: Node) -> bool:
    """Softmax(q @ k) @ v between projections as one MultiHeadAttention."""
    rank = len(graph.shapes.get(softmax.inputs[0], ()))
    if softmax.attributes.get("axis", -1 if softmax.opset >= 13 else 1) not in {-1, rank - 1}:
        return False
    name, scale, scaled = _unscaled(graph, softmax.inputs[0])
    scores = graph.only(name, "MatMul")
    mixed = graph.only_reader(softmax.outputs[0], "MatMul")
    if scores is None or mixed is None or mixed.inputs[0] != softmax.outputs[0] or len(scores.inputs) != 2:
        return False
    sides = scores.inputs[0], scores.inputs[1], mixed.inputs[1]
    parts = [_projection(graph, side, swap=k == 1) for k, side in enumerate(sides)]
    out = _output(graph, mixed)
    if out is None or any(part is None for part in parts):
        return False
    q, k, v = (part for part in parts if part is not None)
    kernel, bias, last, moves = out
    heads, size = q.kernel.shape[1:]
    if k.kernel.shape[1:] != (heads, size) or v.kernel.shape[1:] != kernel.shape[:2]:
        return False
    # Keras multiplies the query by size ** -0.5 itself.
    factor = np.float32(scale * q.scale * k.scale * math.sqrt(size))
    q_weights = _scaled(q, factor if abs(factor - 1) > 1e-6 else np.float32(1))
    weights = [*q_weights, k.kernel, k.bias, *_scaled(v, np.float32(v.scale)), kernel, bias]
    names = []
    for place, value in enumerate(weights):
        names.append(f"{softmax.name}.weight{place}" if value is not None else "")
        if value is not None:
            graph.add(names[-1], value)
    gone = [softmax, scores, *scaled, mixed, *moves, *(n for part in (q, k, v) for n in part.nodes)]
    unique = list({node.place: node for node in gone if node.place != last.place}.values())
    graph.replace(last, "MultiHeadAttention", [q.tokens, v.tokens, k.tokens, *names], unique)
    return True


def _scaled(part: Projection, factor: np.float32) -> tuple[np.ndarray, np.ndarray | None]:
    if factor == 1:
        return part.kernel, part.bias
    return part.kernel * factor, None if part.bias is None else part.bias * factor


def _unscaled(graph: Graph, name: str) -> tuple[str, float, list[Node]]:
    """A tensor without the numbers that it is multiplied by, their product, and the nodes that do it."""
    scale, nodes = 1.0, list[Node]()
    while (node := graph.only(name, *_SCALES)) is not None:
        pair = graph.by_number(node)
        if pair is None or (node.operator == "Div" and (node.inputs[0] != pair[0] or not pair[1])):
            break
        name, scale = pair[0], scale * (1 / pair[1] if node.operator == "Div" else pair[1])
        nodes.append(node)
    return name, scale, nodes


def _projection(graph: Graph, name: str, *, swap: bool) -> Projection | None:
    """What makes (..., tokens, size) of tokens, or with swap (..., size, tokens)."""
    path: list[tuple[Node, str]] = []
    scale, nodes = 1.0, list[Node]()
    while True:
        node = graph.source(name, *_MOVES, *_SCALES, "MatMul", "Gemm")
        if node is None:
            return None
        nodes.append(node)
        if node.operator in _SCALES:
            pair = graph.by_number(node)
            if pair is None or (node.operator == "Div" and (node.inputs[0] != pair[0] or not pair[1])):
                return None
            name, scale = pair[0], scale * (1 / pair[1] if node.operator == "Div" else pair[1])
        elif node.operator in _MOVES:
            path.append((node, name))
            name = node.inputs[0]
        else:
            break
    affine = _affine(graph, node)
    if affine is None:
        return None
    tokens, matrix, offset = affine
    shape = graph.shapes[node.outputs[0]]
    positions = np.arange(math.prod(shape)).reshape(shape)
    for move, output in reversed(path):
        moved = _moved(graph, move, output, positions)
        if moved is None:
            return None
        positions = moved
    positions = positions.swapaxes(-1, -2) if swap else positions
    columns = _columns(positions, matrix.shape[1], math.prod(shape[:-1]))
    if columns is None:
        return None
    return Projection(tokens, matrix[:, columns], None if offset is None else offset[columns], scale, tuple(nodes))


def _columns(positions: np.ndarray, width: int, tokens: int) -> np.ndarray | None:
    """(heads, size): the column of each head's element; None where tokens are mixed."""
    if positions.ndim < 2 or positions.shape[-2] != tokens:
        return None
    heads = positions.reshape(-1, *positions.shape[-2:])
    columns = heads % width
    same_token = np.array_equal(heads // width, np.broadcast_to(np.arange(tokens)[:, None], heads.shape))
    return columns[:, 0] if same_token and np.all(columns == columns[:, :1]) else None


def _output(graph: Graph, mixed: Node) -> tuple[np.ndarray, np.ndarray | None, Node, list[Node]] | None:
    """The projection of all heads: its kernel (heads, size, features), bias, node, and the moves before it."""
    shape = graph.shapes[mixed.outputs[0]]
    positions = np.arange(math.prod(shape)).reshape(shape)
    name, moves = mixed.outputs[0], list[Node]()
    while (node := graph.only_reader(name, *_MOVES)) is not None:
        moved = _moved(graph, node, node.outputs[0], positions)
        if moved is None or len(node.outputs) != 1:
            return None
        positions, name = moved, node.outputs[0]
        moves.append(node)
    last = graph.only_reader(name, "MatMul", "Gemm")
    affine = _affine(graph, last) if last is not None and last.inputs[0] == name else None
    if last is None or affine is None:
        return None
    tokens, size = shape[-2:]
    rows = positions.reshape(-1, positions.shape[-1])
    elements = rows // (tokens * size) * size + rows % size
    in_order = rows.shape[0] == tokens and np.array_equal(
        rows // size % tokens, np.broadcast_to(np.arange(tokens)[:, None], rows.shape)
    )
    if not in_order or np.any(elements != elements[:1]) or sorted(elements[0]) != list(range(rows.shape[1])):
        return None
    kernel = np.empty_like(affine[1])
    kernel[elements[0]] = affine[1]
    return kernel.reshape(-1, size, kernel.shape[1]), affine[2], last, moves


def _affine(graph: Graph, node: Node) -> tuple[str, np.ndarray, np.ndarray | None] | None:
    """(tokens, matrix (features, width), bias) of a product with a constant."""
    matrix = graph.constants.get(node.input(1))
    bias = graph.constants.get(node.input(2))
    plain = node.attributes.get("alpha", 1.0) == node.attributes.get("beta", 1.0) == 1.0
    if matrix is None or matrix.ndim != 2 or not plain or node.attributes.get("transA", 0):
        return None
    if node.input(2) and (bias is None or bias.ndim != 1):
        return None
    return node.inputs[0], matrix.T if node.attributes.get("transB", 0) else matrix, bias


def _moved(graph: Graph, node: Node, output: str, array: np.ndarray) -> np.ndarray | None:
    """An array through an operator that moves elements; None where it can't be told."""
    if node.operator in {"Reshape", "Squeeze", "Unsqueeze", "Flatten"}:
        return array.reshape(graph.shapes[output])
    if node.operator == "Transpose":
        return array.transpose(node.attributes.get("perm", range(array.ndim)[::-1]))
    if node.operator == "Split":
        axis = int(node.attributes.get("axis", 0))
        ends = np.cumsum([graph.shapes[name][axis] for name in node.outputs])[:-1]
        return np.split(array, ends, axis)[node.outputs.index(output)]
    if node.operator == "Gather":
        places = graph.constants.get(node.input(1))
        return None if places is None else np.take(array, places, int(node.attributes.get("axis", 0)))
    return _sliced(graph, node, array)


def _sliced(graph: Graph, node: Node, array: np.ndarray) -> np.ndarray | None:
    def numbers(index: int, name: str) -> Sequence[int] | None:
        value = node.attributes.get(name, graph.constants.get(node.input(index)))
        return None if value is None else [int(x) for x in np.atleast_1d(value)]

    starts, ends = numbers(1, "starts"), numbers(2, "ends")
    if starts is None or ends is None:
        return None
    axes, steps = numbers(3, "axes") or range(len(starts)), numbers(4, "steps") or [1] * len(starts)
    if any(step < 1 for step in steps):
        return None
    index = [slice(None)] * array.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        index[axis] = slice(start, end, step)
    return array[tuple(index)]

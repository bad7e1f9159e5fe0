"""A float .tflite file whose head gets other numbers; everything before it stays as it is."""

from __future__ import annotations

import numpy as np

from edgecut.tflite.flatbuffer import Operator, TfliteGraph, parse
from edgecut.tflite.patch import Range, constant, patched


def head_input(content: bytes) -> int | None:
    """The tensor that a file's head takes, (1, features); None where it doesn't end in one Dense layer with a bias."""
    head = _head(parse(content, "model"))
    return None if head is None else head.inputs[0]


def with_head(content: bytes, kernel: np.ndarray, bias: np.ndarray, features: np.ndarray | None = None) -> bytes:
    """The file with this kernel, (features, classes), and bias, (classes,), in its head, and the ranges of its outputs.

    content: a float file of which head_input knows the head. features: (n, features), float32, what the head takes for
    the images that set the other ranges; None of a file without ranges.
    """
    graph = parse(content, "model")
    head = _head(graph)
    if head is None:
        raise ValueError("the file doesn't end in one Dense layer with a bias")
    ranges: dict[int, Range] = {}
    if features is not None:
        scores = features @ kernel + bias
        ranges[head.outputs[0]] = _range(scores)
        if graph.outputs[0] != head.outputs[0]:
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            ranges[graph.outputs[0]] = _range(weights / weights.sum(axis=1, keepdims=True))
    values = {head.inputs[1]: np.ascontiguousarray(kernel.T), head.inputs[2]: bias}
    return patched(content, values, {}, ranges)


def takes_head(content: bytes, kernel: np.ndarray, bias: np.ndarray) -> bool:
    """Whether the head of a file has this kernel and bias, and so is the layer that they are of."""
    head = _head(parse(content, "model"))
    if head is None:
        return False
    own = [constant(content, index) for index in head.inputs[1:3]]
    return np.array_equal(own[0], kernel.T) and np.array_equal(own[1], bias)


def _head(graph: TfliteGraph) -> Operator | None:
    last = graph.operators[-2:] if graph.operators[-1].name == "SOFTMAX" else graph.operators[-1:]
    head = last[0]
    if head.name != "FULLY_CONNECTED" or len(head.inputs) != 3 or graph.outputs != last[-1].outputs:
        return None
    if len(last) == 2 and last[1].inputs != head.outputs:
        return None
    return head if all(graph.tensors[i].is_constant for i in head.inputs[1:]) else None


def _range(values: np.ndarray) -> Range:
    return Range(float(values.min()), float(values.max()))

"""The rebuilt nets as rows of a file, read back as the graphs that edgecut's own reader gives: no TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph
from edgecut.tflite.ops import operator_macs
from edgecut.tflite.scratch import window
from edgecut.tflite.x_cube_ai import weights

DATA = Path(__file__).parent / "data"
NETS = DATA / "nets.jsonl"
SPATIAL = ("CONV_2D", "DEPTHWISE_CONV_2D")
TYPES = ("int8", "int32", "float32", "int16", "bool", "int64")


@dataclass(frozen=True)
class Feature:
    """What one operator of a net does. in_shape, out_shape: of its first activation and of its first output.

    kernel, strides: (1, 1) where it has none. in_bytes: of all activations that it reads; weights_bytes: of the
    constants that it computes with, a bias with 4 bytes each in int8. depth: the input channels that one filter sees.
    """

    name: str
    kernel: tuple[int, int]
    strides: tuple[int, int]
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    depth: int
    macs: int
    in_bytes: int
    out_bytes: int
    weights_bytes: int


@cache
def nets() -> Mapping[str, TfliteGraph]:
    """Net -> its graph, of every net that the data file holds."""
    with open(NETS, encoding="utf-8") as file:
        return {row["net"]: restored(row["graph"]) for row in map(json.loads, file)}


def features(graph: TfliteGraph) -> tuple[Feature, ...]:
    """One row for each operator of a graph, in its order."""
    return tuple(_feature(graph, operator) for operator in graph.operators)


def stored(graph: TfliteGraph) -> dict[str, Any]:
    """A graph as plain values: what `restored` needs to give an equal one, names and scales left out."""
    return {
        "t": [[list(t.shape), TYPES.index(t.dtype), int(t.is_constant)] for t in graph.tensors],
        "o": [
            [op.name, list(op.inputs), list(op.outputs), *([dict(op.options)] if op.options else [])]
            for op in graph.operators
        ],
        "in": list(graph.inputs),
        "out": list(graph.outputs),
    }


def restored(row: Mapping[str, Any]) -> TfliteGraph:
    """The graph of a row. A quantized tensor has the scale 1, as the lowering's have."""
    tensors = tuple(
        Tensor(
            k, "", tuple(shape), TYPES[dtype], (1.0,) if dtype == 0 and not constant else (), is_constant=bool(constant)
        )
        for k, (shape, dtype, constant) in enumerate(row["t"])
    )
    operators = tuple(
        Operator(k, name, 1, tuple(inputs), tuple(outputs), options[0] if options else {})
        for k, (name, inputs, outputs, *options) in enumerate(row["o"])
    )
    return TfliteGraph(tensors, operators, tuple(row["in"]), tuple(row["out"]))


def _feature(graph: TfliteGraph, operator: Operator) -> Feature:
    fed = [graph.tensors[k] for k in operator.inputs if k >= 0]
    activations = [tensor for tensor in fed if not tensor.is_constant]
    made = graph.tensors[operator.outputs[0]]
    kernel, strides, depth = (1, 1), (1, 1), (activations or fed)[0].shape[-1] if fed and fed[0].shape else 1
    if operator.name in SPATIAL:
        w = window(graph, operator)
        kernel, strides, depth = (w.kernel_height, w.kernel_width), w.strides, 1
        depth = w.depth if operator.name == "CONV_2D" else 1
    return Feature(
        operator.name,
        kernel,
        strides,
        activations[0].shape if activations else (),
        made.shape,
        depth,
        operator_macs(graph, operator) or 0,
        sum(tensor.size_bytes for tensor in activations),
        sum(graph.tensors[k].size_bytes for k in operator.outputs),
        sum(graph.tensors[k].size_bytes for k in weights(graph, operator)),
    )

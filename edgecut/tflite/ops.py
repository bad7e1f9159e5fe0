"""What a .tflite graph computes: multiply-accumulates by operator, from a literal table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph, per_operator
from edgecut.tflite.kinds import CONVOLUTIONS, NO_MACS

Macs = Callable[[TfliteGraph, Operator], int]


def macs(graph: TfliteGraph) -> int | None:
    """The multiply-accumulates of one inference, None if an operator isn't modelled."""
    counts = per_operator(graph, operator_macs)
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def macs_by_class(graph: TfliteGraph) -> dict[str, int]:
    """The multiply-accumulates of the modelled operators as {"conv": n, "depthwise": n, "dense": n}."""
    totals = {"conv": 0, "depthwise": 0, "dense": 0}
    for operator, count in zip(graph.operators, per_operator(graph, operator_macs), strict=True):
        if count and operator.name in COUNTED:
            totals[COUNTED[operator.name][0]] += count
    return totals


def operator_macs(graph: TfliteGraph, operator: Operator) -> int | None:
    """The multiply-accumulates of one operator: 0 where it only moves or looks up; None if not modelled.

    Not modelled either are tensors of other ranks than the operator's kind takes, which a file may have.
    """
    if operator.custom:
        return None
    if operator.name in COUNTED:
        try:
            return COUNTED[operator.name][1](graph, operator)
        except (IndexError, ValueError):
            return None
    return 0 if operator.name in NO_MACS else None


def not_modelled(graph: TfliteGraph) -> tuple[str, ...]:
    """The names of operators whose multiply-accumulates aren't modelled, sorted, each once."""
    counts = per_operator(graph, operator_macs)
    return tuple(sorted({op.name for op, count in zip(graph.operators, counts, strict=True) if count is None}))


def weight_scheme(graph: TfliteGraph) -> str:
    """How the weights of convolutions are quantized: "per-channel", "per-tensor", or "" where no scale tells."""
    kernels = [graph.tensors[i] for op in graph.operators if op.name in CONVOLUTIONS for i in op.inputs[1:2]]
    counts = {len(kernel.scales) for kernel in kernels if kernel.is_constant and kernel.shape and kernel.scales}
    return "" if not counts else "per-tensor" if counts == {1} else "per-channel"


def operator_counts(graph: TfliteGraph) -> dict[str, int]:
    """How often each operator occurs, most frequent first."""
    return dict(Counter(op.name for op in graph.operators).most_common())


def _tensor(graph: TfliteGraph, indices: tuple[int, ...], position: int) -> Tensor:
    return graph.tensors[indices[position]]


def _conv(graph: TfliteGraph, op: Operator) -> int:
    # Weights are (filters, kernel..., channels of one group).
    return _tensor(graph, op.outputs, 0).elements * math.prod(_tensor(graph, op.inputs, 1).shape[1:])


def _depthwise(graph: TfliteGraph, op: Operator) -> int:
    # Weights are (1, kernel height, kernel width, channels).
    return _tensor(graph, op.outputs, 0).elements * math.prod(_tensor(graph, op.inputs, 1).shape[1:3])


def _transpose_conv(graph: TfliteGraph, op: Operator) -> int:
    # Inputs are (output shape, weights, image); every element of the image meets every weight of its channel.
    filters, height, width, _ = _tensor(graph, op.inputs, 1).shape
    return _tensor(graph, op.inputs, 2).elements * filters * height * width


def _conv_3d(graph: TfliteGraph, op: Operator) -> int:
    # Weights are (depth, height, width, channels, filters).
    return _tensor(graph, op.outputs, 0).elements * math.prod(_tensor(graph, op.inputs, 1).shape[:4])


def _dense(graph: TfliteGraph, op: Operator) -> int:
    return _tensor(graph, op.outputs, 0).elements * _tensor(graph, op.inputs, 1).shape[-1]


def _batch_matmul(graph: TfliteGraph, op: Operator) -> int:
    left = _tensor(graph, op.inputs, 0).shape
    inner = left[-2] if op.options.get("adjX") else left[-1]
    return _tensor(graph, op.outputs, 0).elements * inner


def _svdf(graph: TfliteGraph, op: Operator) -> int:
    # Feature weights (filters, inputs), then time weights (filters, memory), once per call.
    return _tensor(graph, op.inputs, 1).elements + _tensor(graph, op.inputs, 2).elements


COUNTED: dict[str, tuple[str, Macs]] = {
    "CONV_2D": ("conv", _conv),
    "CONV_3D": ("conv", _conv_3d),
    "TRANSPOSE_CONV": ("conv", _transpose_conv),
    "DEPTHWISE_CONV_2D": ("depthwise", _depthwise),
    "FULLY_CONNECTED": ("dense", _dense),
    "BATCH_MATMUL": ("dense", _batch_matmul),
    "SVDF": ("dense", _svdf),
}

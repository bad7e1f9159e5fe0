"""An int8 file beside the float file of the same model: which operator and tensor of the one is which of the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgecut.errors import RequestError
from edgecut.quantize.alignment import Side, align
from edgecut.quantize.grids import grid_of
from edgecut.tflite.flatbuffer import Operator, TfliteGraph, parse
from edgecut.tflite.kinds import BOUNDARIES, SETTABLE
from edgecut.tflite.pack import unshared
from edgecut.tflite.patch import constants

# An int8 weight is its float twin to half a step; float32 arithmetic adds a little.
_HALF_STEP = 0.51


@dataclass(frozen=True, eq=False)
class Weighted:
    """An int8 operator with weights, and the float numbers that its int8 ones stand for.

    weights: as the file lays them out, float32. bias: (channels,), float32; None without one. axis: of the weights'
    output channels. weights_index, bias_index: of the int8 tensors; -1 without a bias.
    """

    operator: Operator
    weights: np.ndarray
    bias: np.ndarray | None
    axis: int
    weights_index: int
    bias_index: int

    @property
    def activation(self) -> str:
        """The fused activation: "none", "relu", "relu6" or another word of the schema."""
        return activation(self.operator)


@dataclass(frozen=True, eq=False)
class FilePair:
    """Both files as data. tensors: int8 tensor -> float tensor, for what is computed; weighted: int8 operator -> it.

    unmatched: int8 operators without a float twin, by their output's name.
    """

    int8: bytes
    float32: bytes
    graph: TfliteGraph
    float_graph: TfliteGraph
    tensors: Mapping[int, int]
    operators: Mapping[int, int]
    weighted: Mapping[int, Weighted]
    unmatched: tuple[str, ...]

    @cached_property
    def constants(self) -> Mapping[int, np.ndarray]:
        """The int8 file's constants by tensor."""
        return constants(self.int8, self.graph)


def activation(operator: Operator) -> str:
    """The activation fused into an operator, in lower case; "none" where the operator has no such field."""
    return _ACTIVATIONS.get(operator.options.get("fusedActivationFunction", 0), "other")


def pair(int8: bytes, float32: bytes) -> FilePair:
    """The pairs of two files that were converted from one model.

    The int8 file is kept with a buffer of its own for each constant, so that each can get numbers of its own.
    Operators are paired by what they compute (align); QUANTIZE and DEQUANTIZE have no twin. Weights are paired only if
    each int8 weight is its float twin to half a step.
    Raises SourceError for a file that is no .tflite, RequestError if the two have nothing in common.
    """
    int8 = unshared(int8)
    graph, float_graph = parse(int8, "int8 file"), parse(float32, "float file")
    values, float_values = constants(int8, graph), constants(float32, float_graph)
    aligned = align(Side(graph, values), Side(float_graph, float_values))
    if not aligned.operators:
        raise RequestError(
            "quantize: the int8 and the float file have no operator in common; convert both from one model"
        )
    weighted = {}
    for mine, other in aligned.operators.items():
        found = _weighted(graph, graph.operators[mine], values, float_graph.operators[other], float_values)
        if found is not None:
            weighted[mine] = found
    unmatched = tuple(
        graph.tensors[op.outputs[0]].name.partition(";")[0]
        for op in graph.operators
        if op.index not in aligned.operators and op.name not in BOUNDARIES
    )
    boundaries = {i for op in graph.operators if op.name in BOUNDARIES for i in op.outputs}
    tensors = {mine: other for mine, other in aligned.tensors.items() if mine not in boundaries}
    return FilePair(int8, float32, graph, float_graph, tensors, aligned.operators, weighted, unmatched)


def _weighted(
    graph: TfliteGraph,
    op: Operator,
    values: Mapping[int, np.ndarray],
    twin: Operator,
    float_values: Mapping[int, np.ndarray],
) -> Weighted | None:
    if op.name not in SETTABLE or len(op.inputs) < 2:
        return None
    index = op.inputs[1]
    tensor = graph.tensors[index]
    quantized, weights = values.get(index), float_values.get(twin.inputs[1])
    if quantized is None or weights is None or tensor.dtype != "int8" or weights.shape != quantized.shape:
        return None
    scales, zeros = grid_of(tensor)
    if np.any(zeros) or np.any(np.abs(weights / scales - quantized) > _HALF_STEP):
        return None
    bias_index = op.inputs[2] if len(op.inputs) > 2 else -1
    bias = float_values.get(twin.inputs[2]) if len(twin.inputs) > 2 and bias_index >= 0 else None
    if bias_index >= 0 and (bias is None or graph.tensors[bias_index].dtype != "int32"):
        return None
    axis = 3 if op.name == "DEPTHWISE_CONV_2D" else 0
    return Weighted(op, weights, bias, axis, index, bias_index)


# schema.fbs: enum ActivationFunctionType.
_ACTIVATIONS = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6", 4: "tanh", 5: "sign_bit"}

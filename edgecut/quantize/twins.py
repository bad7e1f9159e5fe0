"""An int8 file beside the float file of the same model: which operator and tensor of the one is which of the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgecut.errors import RequestError
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph, parse
from edgecut.tflite.pack import unshared
from edgecut.tflite.patch import constants

WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
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
class Twins:
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


def pair(int8: bytes, float32: bytes) -> Twins:
    """The pairs of two files that were converted from one model.

    The int8 file is kept with a buffer of its own for each constant, so that each can get numbers of its own.
    Operators are paired by their output's name, and by order and shape where a name isn't unique; QUANTIZE and
    DEQUANTIZE have no twin. Weights are paired only if each int8 weight is its float twin to half a step.
    Raises SourceError for a file that is no .tflite, RequestError if the two have nothing in common.
    """
    int8 = unshared(int8)
    graph, float_graph = parse(int8, "int8 file"), parse(float32, "float file")
    matched = _match(graph, float_graph)
    if not matched:
        raise RequestError(
            "quantize: the int8 and the float file have no operator in common; convert both from one model"
        )
    tensors: dict[int, int] = dict(zip(graph.inputs, float_graph.inputs, strict=False))
    for mine, other in matched.items():
        tensors.update(zip(graph.operators[mine].outputs, float_graph.operators[other].outputs, strict=False))
    values, float_values = constants(int8, graph), constants(float32, float_graph)
    weighted = {}
    for mine, other in matched.items():
        found = _weighted(graph, graph.operators[mine], values, float_graph.operators[other], float_values)
        if found is not None:
            weighted[mine] = found
    unmatched = tuple(
        graph.tensors[op.outputs[0]].name.partition(";")[0] for op in graph.operators
        if op.index not in matched and op.name not in _BOUNDARIES
    )  # fmt: skip
    return Twins(int8, float32, graph, float_graph, tensors, matched, weighted, unmatched)


def grid_of(tensor: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The scales and the zero points of a quantized tensor, shaped to be broadcast against its elements."""
    scales, zeros = np.array(tensor.scales, np.float64), np.array(tensor.zero_points, np.float64)
    if tensor.axis is None:
        return scales.reshape(()), zeros.reshape(())
    shape = [1] * len(tensor.shape)
    shape[tensor.axis] = -1
    return scales.reshape(shape), zeros.reshape(shape)


def real_values(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """What a tensor's integers mean, float32; the elements themselves where it isn't quantized."""
    if not tensor.scales:
        return np.asarray(array, np.float32)
    scales, zeros = grid_of(tensor)
    return np.asarray((array.astype(np.float64) - zeros) * scales, np.float32)


def _match(graph: TfliteGraph, other: TfliteGraph) -> dict[int, int]:
    mine = {op.index: _key(graph, op) for op in graph.operators if op.name not in _BOUNDARIES}
    theirs = {op.index: _key(other, op) for op in other.operators if op.name not in _BOUNDARIES}
    if [key[:2] for key in mine.values()] == [key[:2] for key in theirs.values()]:
        return dict(zip(mine, theirs, strict=True))
    seen, known = Counter(mine.values()), Counter(theirs.values())
    places = {key: index for index, key in theirs.items() if known[key] == 1}
    return {index: places[key] for index, key in mine.items() if seen[key] == 1 and key in places}


def _key(graph: TfliteGraph, operator: Operator) -> tuple[str, tuple[int, ...], str]:
    output = graph.tensors[operator.outputs[0]]
    return operator.name, output.shape, output.name.partition(";")[0]


def _weighted(
    graph: TfliteGraph, op: Operator, values: Mapping[int, np.ndarray], twin: Operator,
    float_values: Mapping[int, np.ndarray],
) -> Weighted | None:  # fmt: skip
    if op.name not in WEIGHTED or len(op.inputs) < 2:
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


_BOUNDARIES = frozenset({"QUANTIZE", "DEQUANTIZE"})
# schema.fbs: enum ActivationFunctionType.
_ACTIVATIONS = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6", 4: "tanh", 5: "sign_bit"}

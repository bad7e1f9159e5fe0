"""What TensorFlow Lite Micro keeps for as long as a model is loaded, beside its tables: states, copies and look-ups."""

from __future__ import annotations

from collections.abc import Callable

from edgecut.tflite.flatbuffer import Operator, TfliteGraph, per_operator

Rule = Callable[[TfliteGraph, Operator], int]


def persistent_bytes(graph: TfliteGraph) -> int:
    """The bytes of one subgraph's variables, and of the buffers that its kernels keep.

    The tables that every operator has are the fitted part of arena.py's tail_bytes. 0 for an operator that keeps
    nothing, or that hasn't the inputs and outputs of its kind.
    """
    variables = sum(_up(tensor.size_bytes) for tensor in graph.tensors if tensor.is_variable)
    return variables + _resources(graph) + sum(per_operator(graph, _kept))


def _kept(graph: TfliteGraph, operator: Operator) -> int:
    rule = KEPT.get(operator.name)
    try:
        return 0 if rule is None else _up(rule(graph, operator))
    except IndexError:
        return 0


def _resources(graph: TfliteGraph) -> int:
    """A value for each resource that a graph assigns, by the tensor that names it."""
    sizes = {
        _handle(graph, op.inputs[0]): graph.tensors[op.inputs[1]].size_bytes
        for op in graph.operators
        if op.name == "ASSIGN_VARIABLE" and len(op.inputs) > 1
    }
    return sum(map(_up, sizes.values()))


def _handle(graph: TfliteGraph, index: int) -> str:
    maker = next((op for op in graph.operators if op.name == "VAR_HANDLE" and index in op.outputs), None)
    return str(index) if maker is None else str(maker.options.get("sharedName"))


def _matmul(graph: TfliteGraph, operator: Operator) -> int:
    """Operands are turned into buffers of their own: the left one if adjX says so, the right one unless adjY does."""
    left, right = (graph.tensors[index].size_bytes for index in operator.inputs[:2])
    return _up(left if operator.options.get("adjX") else 0) + (0 if operator.options.get("adjY") else right)


def _by_channel(graph: TfliteGraph, operator: Operator) -> int:
    """A multiplier and a shift for each filter."""
    return 8 * (graph.tensors[operator.inputs[1]].shape or (1,))[0]


def _dense(graph: TfliteGraph, operator: Operator) -> int:
    return _by_channel(graph, operator) if len(graph.tensors[operator.inputs[1]].scales) > 1 else 0


def _lstm(_graph: TfliteGraph, _operator: Operator) -> int:
    """The parameters of four gates, beyond what every operator has."""
    return 640


def _softmax(graph: TfliteGraph, operator: Operator) -> int:
    """With 16 bits two tables of 513 values."""
    return 2 * _up(2 * 513) if graph.tensors[operator.inputs[0]].dtype == "int16" else 0


# Operator -> what its kernel keeps, from the AllocatePersistentBuffer of tensorflow/lite/micro/kernels/ in tflite-micro
# that grow with the tensors; what is of a fixed size is in the fitted bytes of an operator.
KEPT: dict[str, Rule] = {
    "BATCH_MATMUL": _matmul,  # batch_matmul.cc: AllocInitTransposeTensorFromTfLiteTensor
    "FULLY_CONNECTED": _dense,  # fully_connected_common.cc
    "SOFTMAX": _softmax,  # softmax_common.cc
    "TRANSPOSE_CONV": _by_channel,  # transpose_conv.cc
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,  # lstm_shared.h: OpDataLSTM
}


def _up(size: int) -> int:
    return -(-size // 16) * 16

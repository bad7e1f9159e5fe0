"""By which activation an output comes out of a .tflite file."""

from __future__ import annotations

from edgecut.tflite.flatbuffer import TfliteGraph

_ACTIVATIONS = {"SOFTMAX": "softmax", "LOG_SOFTMAX": "log_softmax", "LOGISTIC": "sigmoid", "TANH": "tanh"}
_PASSED = frozenset({"QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST", "MEAN", "AVERAGE_POOL_2D"})
# schema.fbs: ActivationFunctionType NONE.
_NONE = 0
_WEIGHTED = frozenset({"FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "ADD", "SUB"})


def last_activation(graph: TfliteGraph, output: int = 0) -> str:
    """The activation of an output in lower case, as Keras calls it: "linear" for a layer of weights without one.

    A bias that is added apart is part of its layer. "" where it can't be told.
    """
    writers = {tensor: operator for operator in graph.operators for tensor in operator.outputs}
    operator = writers.get(graph.outputs[output])
    while operator is not None and operator.name in _PASSED:
        operator = writers.get(operator.inputs[0])
    if operator is None:
        return ""
    if operator.name in _WEIGHTED:
        return "linear" if operator.options.get("fusedActivationFunction", _NONE) == _NONE else ""
    return _ACTIVATIONS.get(operator.name, "")

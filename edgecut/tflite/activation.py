"""By which activation an output comes out of a .tflite file."""

from __future__ import annotations

from edgecut.tflite.flatbuffer import TfliteGraph
from edgecut.tflite.kinds import ACTIVATIONS, ADDS_BIAS, MULTIPLIES, PASSES_SCORES, WEIGHTED

# schema.fbs: ActivationFunctionType NONE.
_NONE = 0
_OF_LAYERS = MULTIPLIES | WEIGHTED | ADDS_BIAS


def last_activation(graph: TfliteGraph, output: int = 0) -> str:
    """The activation of an output in lower case, as Keras calls it: "linear" for a layer of weights without one.

    A bias that is added apart is part of its layer. "" where it can't be told.
    """
    writers = {tensor: operator for operator in graph.operators for tensor in operator.outputs}
    operator = writers.get(graph.outputs[output])
    while operator is not None and operator.name in PASSES_SCORES:
        operator = writers.get(operator.inputs[0])
    if operator is None:
        return ""
    if operator.name in _OF_LAYERS:
        return "linear" if operator.options.get("fusedActivationFunction", _NONE) == _NONE else ""
    return ACTIVATIONS.get(operator.name, "")

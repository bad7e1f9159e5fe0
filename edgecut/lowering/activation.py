"""By which activation an output comes out of a model."""

from __future__ import annotations

import keras

from edgecut.graph.calls import Call, Calls, flat
from edgecut.lowering.layer_operators import IDLE

# What brings scores to another shape, and lets their meaning be.
_PASSED = (
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.Flatten,
    keras.layers.Reshape,
)
_PASSED_OPERATIONS = frozenset({"Squeeze", "Reshape", "ExpandDims", "Cast"})
_ACTIVATIONS = frozenset({"softmax", "log_softmax", "logsoftmax", "sigmoid", "hard_sigmoid", "hardsigmoid", "tanh"})


def last_activation(graph: Calls, output: int = 0) -> str:
    """The activation of an output in lower case, as Keras calls it: "linear" for a layer of weights without one.

    "" where nothing such as a layer of weights gives it: features of a cut model.
    """
    call = graph.producer[flat(graph.outputs)[output]]
    while len(call.inputs) == 1 and _is_passed(call):
        call = graph.producer[call.inputs[0]]
    return _activation(call)


def is_dropped_in_inference(call: Call) -> bool:
    """Whether a call of one of Keras's layers does nothing in inference, also one that was called with training=True.

    That is how its augmentation layers are called by default; predict() overrules it.
    """
    layer = call.operation
    if type(layer) is keras.layers.Activation:
        return layer.activation is keras.activations.linear
    return type(layer).__module__.startswith("keras.") and call.type in IDLE


def _is_passed(call: Call) -> bool:
    return isinstance(call.operation, _PASSED) or is_dropped_in_inference(call) or call.type in _PASSED_OPERATIONS


def _activation(call: Call) -> str:
    layer = call.operation
    if call.type.lower() in _ACTIVATIONS:
        return {"logsoftmax": "log_softmax", "hardsigmoid": "hard_sigmoid"}.get(call.type.lower(), call.type.lower())
    if isinstance(layer, keras.layers.Dense | keras.layers.Conv1D | keras.layers.Conv2D | keras.layers.Conv2DTranspose):
        return _name(layer.activation)
    return _name(layer.activation) if isinstance(layer, keras.layers.Activation) else ""


def _name(activation: object) -> str:
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()

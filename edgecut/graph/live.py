"""A live model's calls in plain values, as a saved configuration says them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from edgecut.graph.callgraph import Call, Calls, flat
from edgecut.graph.calls import calls
from edgecut.graph.dataflow import Dataflow
from edgecut.graph.layer_call import LayerCall
from edgecut.records.json_value import Json, JsonObject

_KNOWN = frozenset({"keras", "edgecut"})  # whose settings the rules know


def dataflow(model: keras.Model | Calls) -> Dataflow:
    """The calls of a model, on the same tensors, with what it takes and puts out."""
    graph = model if isinstance(model, Calls) else calls(model)
    return Dataflow(layer_calls(graph), flat(graph.inputs), flat(graph.outputs))


def layer_calls(graph: Calls) -> tuple[LayerCall, ...]:
    """The calls of a model, on the same tensors."""
    first = {id(call.operation): call.layer for call in reversed(graph.calls)}
    return tuple(
        LayerCall(
            call.name,
            "InputLayer" if call.is_input else call.type,
            _config(call),
            call.args,
            call.kwargs,
            call.inputs,
            call.outputs,
            call.layer,
            first[id(call.operation)],
            tuple(tuple(weight.shape) for weight in getattr(call.operation, "weights", ())),
            _zeros(call),
        )
        for call in graph
    )


def params_of(operation: keras.Operation) -> int:
    """The number of weights of a layer, trainable or not; 0 for an operator."""
    return operation.count_params() if isinstance(operation, keras.Layer) and operation.built else 0


def _config(call: Call) -> JsonObject:
    """The settings of one of Keras' layers or of edgecut's; {} where it has none that can be told."""
    if type(call.operation).__module__.partition(".")[0] not in _KNOWN:
        return {}
    try:
        config = call.operation.get_config()
    except (NotImplementedError, TypeError, ValueError):
        return {}
    return {str(key): plain(value) for key, value in config.items()}


def plain(value: object) -> Json:
    """A setting as JSON would hold it; what JSON can't hold by its text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Sequence):
        return [plain(inner) for inner in value]
    return repr(value)


def _zeros(call: Call) -> frozenset[str]:
    """Whether a normalization's shift is all zeros, which a converter then leaves out."""
    layer = call.operation
    if isinstance(layer, keras.layers.LayerNormalization) and layer.beta is not None and not np.any(layer.beta):
        return frozenset({"beta"})
    return frozenset()

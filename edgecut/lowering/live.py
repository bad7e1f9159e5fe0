"""A live model's calls in plain values, as a saved configuration says them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from edgecut.graph.callgraph import Call, Calls
from edgecut.lowering.layer_call import LayerCall
from edgecut.lowering.lower import MERGED
from edgecut.lowering.rules import RULES
from edgecut.records.json_value import Json, JsonObject


def layer_calls(calls: Calls) -> tuple[LayerCall, ...]:
    """The calls of a model, on the same tensors."""
    return tuple(
        LayerCall(
            call.name,
            "InputLayer" if call.is_input else call.type,
            _config(call),
            call.args,
            call.kwargs,
            call.inputs,
            call.outputs,
            bool(getattr(call.operation, "weights", ())),
            _zeros(call),
        )
        for call in calls
    )


def _config(call: Call) -> JsonObject:
    """The settings of a layer that a rule reads; {} where it has none that can be told."""
    if call.type not in RULES and call.type not in MERGED:
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

"""The type of what a layer puts out where a saved model doesn't say it; without Keras."""

from __future__ import annotations

from collections.abc import Mapping

from edgecut.graph.layer_call import LayerCall
from edgecut.records.json_value import Json, table

# Layers that put out floats whatever they take.
_TO_FLOATS = frozenset({"Embedding", "Normalization", "Rescaling"})
# Operators that put out something else than what they take.
_OF_ANOTHER_TYPE = frozenset({"Argmax", "Argmin", "Cast", "OneHot", "TopK"})


def output_dtype(call: LayerCall) -> str:
    """The type of what a call puts out, in a model that computes in float32; "" where its class doesn't tell."""
    if call.type in _TO_FLOATS:
        return "float32"
    is_plain = call.type not in _OF_ANOTHER_TYPE and all(tensor.dtype == "float32" for tensor in call.inputs)
    return "float32" if is_plain else ""


def said_dtype(said: Json) -> str:
    """The type that a layer's settings say as a word or as a policy; "float32" where they don't."""
    name = table(table(said).get("config")).get("name") if isinstance(said, Mapping) else said
    return name if isinstance(name, str) else "float32"

"""A model's calls as JSON, for another process, and back; without Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecut.graph.dataflow import Dataflow
from edgecut.graph.layer_call import LayerCall, UnsaidError
from edgecut.graph.tensor import Tensor
from edgecut.records.json_value import Json, JsonObject

_TENSOR, _TUPLE, _SLICE, _ELLIPSIS, _TABLE = "tensor", "tuple", "slice", "ellipsis", "table"


def to_json(flow: Dataflow) -> JsonObject:
    """The calls as JSON holds them. Raises UnsaidError for one that is called with what JSON can't hold."""
    tensors = list(dict.fromkeys(t for call in flow for t in (*call.inputs, *call.outputs)))
    number = {tensor: k for k, tensor in enumerate(tensors)}

    def numbers(row: Sequence[Tensor]) -> list[Json]:
        return [number[tensor] for tensor in row]

    calls: list[Json] = [
        {
            "says": [call.name, call.type, call.path, call.layer],
            "config": call.config,
            "args": [_plain(value, number) for value in call.args],
            "kwargs": {key: _plain(value, number) for key, value in call.kwargs.items()},
            "inputs": numbers(call.inputs),
            "outputs": numbers(call.outputs),
            "weights": [list(shape) for shape in call.weights],
            "zeros": sorted(call.zeros),
        }
        for call in flow
    ]
    rows: list[Json] = [[list(tensor.shape), tensor.dtype, tensor.sparse] for tensor in tensors]
    return {
        "tensors": rows,
        "calls": calls,
        "inputs": numbers(flow.flat_inputs),
        "outputs": numbers(flow.flat_outputs),
    }


def from_json(told: Mapping[str, Any]) -> Dataflow:
    """The calls that `to_json` told."""
    tensors = [Tensor(tuple(shape), dtype, sparse) for shape, dtype, sparse in told["tensors"]]

    def row(numbers: Sequence[int]) -> tuple[Tensor, ...]:
        return tuple(tensors[k] for k in numbers)

    calls = []
    for call in told["calls"]:
        name, kind, path, layer = call["says"]
        args = tuple(_value(value, tensors) for value in call["args"])
        kwargs = {key: _value(value, tensors) for key, value in call["kwargs"].items()}
        weights = tuple(tuple(shape) for shape in call["weights"])
        ends = row(call["inputs"]), row(call["outputs"])
        zeros = frozenset(call["zeros"])
        calls.append(LayerCall(name, kind, call["config"], args, kwargs, *ends, path, layer, weights, zeros))
    return Dataflow(tuple(calls), row(told["inputs"]), row(told["outputs"]))


def _plain(value: object, number: Mapping[Tensor, int]) -> Json:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        return {_TENSOR: number[value]}
    if isinstance(value, tuple):
        return {_TUPLE: [_plain(inner, number) for inner in value]}
    if isinstance(value, slice):
        return {_SLICE: [_plain(inner, number) for inner in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {_ELLIPSIS: None}
    if isinstance(value, list):
        return [_plain(inner, number) for inner in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {_TABLE: {key: _plain(inner, number) for key, inner in value.items()}}
    raise UnsaidError(f"a call is given a {type(value).__name__}")


def _value(told: Any, tensors: Sequence[Tensor]) -> object:
    if isinstance(told, list):
        return [_value(inner, tensors) for inner in told]
    if not isinstance(told, dict):
        return told
    ((kind, inner),) = told.items()
    if kind == _TENSOR:
        return tensors[inner]
    if kind == _SLICE:
        return slice(*inner)
    if kind == _ELLIPSIS:
        return ...
    if kind == _TUPLE:
        return tuple(_value(part, tensors) for part in inner)
    return {key: _value(part, tensors) for key, part in inner.items()}

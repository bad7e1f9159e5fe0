"""A saved model's calls as the live model has them, or why only that tells them; without Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from edgecut.graph.dataflow import Dataflow, call_names
from edgecut.graph.layer_call import LayerCall, UnsaidError
from edgecut.graph.saved import objects_in
from edgecut.graph.tensor import Tensor, needed
from edgecut.lowering.dtypes import said_dtype
from edgecut.lowering.layer_weights import layer_weights
from edgecut.lowering.saved_calls import saved_calls
from edgecut.lowering.saved_nodes import inner_layers, is_keras_own
from edgecut.records.json_value import Json, JsonObject, items, table

_MODELS = frozenset({"Functional", "Model", "Sequential"})
_SEVERAL_OUTPUTS = frozenset({"TopK"})


def saved_dataflow(config: JsonObject) -> Dataflow:
    """The calls of a saved model that computes in float32: equal to those of graph/live.py's `dataflow`.

    Raises UnsaidError, in words that end a sentence, where the configuration alone doesn't tell one of them.
    """
    _check_layers(config, "")
    saved = saved_calls(config)
    producer = {tensor: call for call in saved.calls for tensor in call.outputs}
    part = needed(producer, saved.outputs)
    if not saved.outputs or not saved.inputs:
        raise UnsaidError("it says no inputs or no outputs")
    inputs = [producer[tensor] for tensor in saved.inputs]
    used = [*inputs, *(call for call in saved.calls if call in part and not call.is_input)]
    if any(call.is_input and call not in inputs for call in part):
        raise UnsaidError("it is damaged")
    for call in used:
        _check_call(call)
    names = call_names([call.path for call in used])
    calls = tuple(replace(call, name=name) for call, name in zip(used, names, strict=True))
    return Dataflow(calls, saved.inputs, saved.outputs)


def _check_layers(config: JsonObject, prefix: str) -> None:
    """Raises UnsaidError for what is known only once it runs, or once the classes are imported that it names."""
    if config.get("class_name") not in _MODELS or not is_keras_own(config):
        raise UnsaidError(f"its class {config.get('class_name')!r} says in code what it does")
    layers = inner_layers(config)
    behind = set(layers)
    for name, layer in layers.items():
        behind.discard(name)
        where = f"layer {prefix + name!r} ({layer.get('class_name')})"
        if any(inner_layers(layers[read]) for read in _read_layers(layer) & behind):
            # Keras 3.15 takes a model's output before the model is called.
            raise UnsaidError(f"{where} reads a model that is saved behind it")
        if inner_layers(layer):
            _check_layers(layer, f"{prefix}{name}.")
            if any("mask" in kwargs and _holds_tensor(kwargs["mask"]) for kwargs in _kwargs(layer)):
                raise UnsaidError(f"{where} is given a mask")
            continue
        if layer.get("class_name") == "Lambda":
            raise UnsaidError(f"{where} runs code")
        settings = table(layer.get("config"))
        own = next((said for said in (layer, *objects_in(dict(settings))) if not is_keras_own(said)), None)
        if own is not None:
            raise UnsaidError(f"{where} is or has a class of its own")
        if settings.get("mask_zero") or layer.get("class_name") == "Masking":
            raise UnsaidError(f"{where} makes a mask")
        if any(_holds_tensor(value) for kwargs in _kwargs(layer) for key, value in kwargs.items() if "mask" in key):
            raise UnsaidError(f"{where} is given a mask")
        policy = _policy(settings.get("dtype"))
        if "float" in policy and policy != "float32":
            raise UnsaidError(f"{where} computes in {policy}")
        if settings.get("sparse") or settings.get("ragged") or settings.get("lora_rank") is not None:
            raise UnsaidError(f"{where} takes or holds sparse values")


def _kwargs(layer: JsonObject) -> Iterator[JsonObject]:
    """The arguments by name of each call of a layer that Keras 3 saved."""
    yield from (table(node.get("kwargs")) for node in items(layer.get("inbound_nodes")) if isinstance(node, Mapping))


def _read_layers(layer: JsonObject) -> set[str]:
    """The layers whose tensors a layer takes, as Keras 3 saves it."""
    told = (table(said.get("config")).get("keras_history") for said in objects_in(layer.get("inbound_nodes")))
    return {str(items(history)[0]) for history in told if items(history)}


def _holds_tensor(value: Json) -> bool:
    return any("keras_history" in table(said.get("config")) for said in objects_in(value))


def _policy(said: Json) -> str:
    if isinstance(said, Mapping) and said.get("class_name") not in {"DTypePolicy", "Policy"}:
        return f"another float ({said.get('class_name')})"
    return said_dtype(said)


def _check_call(call: LayerCall) -> None:
    """Raises UnsaidError if a call's weights, or shape or type of what it puts out, aren't told."""
    if not call.is_input:
        layer_weights(call)
        if any(not isinstance(x, Tensor) for x in call.args) and call.type == "Matmul":
            raise UnsaidError(f"{call.name} multiplies by a constant")
    several = call.config.get("return_state") or call.kwargs.get("return_attention_scores")
    if len(call.outputs) > 1 or call.type in _SEVERAL_OUTPUTS or several:
        raise UnsaidError(f"{call.name} puts out several tensors")
    tensor = call.outputs[0]
    if not tensor.shape or not tensor.dtype:
        raise UnsaidError(f"what {call.name} ({call.type}) puts out isn't said")
    is_open = any(None in read.shape[1:] for read in call.inputs)
    if None in tensor.shape[1:] and not is_open and not call.is_input:
        raise UnsaidError(f"the sizes of what {call.name} ({call.type}) puts out aren't said")

"""Calls back to a Keras model that shares nothing with its source."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import tree
from keras.src.ops.function import map_graph

from edgecut.errors import GraphError
from edgecut.graph.calls import Call, Calls, Tensor, flat


@dataclass(frozen=True, eq=False)
class Splice:
    """What takes a tensor's place: function applied to the values of `sources`.

    A source that is the replaced tensor itself means its own, unspliced value.
    """

    sources: tuple[Tensor, ...]
    function: Callable[..., Any]


def rebuild(
    calls: Calls,
    *,
    entries: Mapping[Tensor, keras.KerasTensor] | None = None,
    inputs: Any = None,
    outputs: Any = None,
    splices: Mapping[Tensor, Splice] | None = None,
    name: str | None = None,
) -> keras.Model:
    """A fresh model that computes `outputs` (a structure of Tensors; default: the calls' own) from its inputs.

    entries: the value of a tensor that isn't computed, made from new inputs; default: a new Input for each of the
    calls' own inputs. inputs: the structure of the new model's input tensors; default: entries' values in order.
    splices: what takes the place of a tensor. Layers are cloned with their weights and trainable flags, a shared
    layer once; nothing is shared with the source, and the source isn't changed.
    Raises GraphError if an output needs an input that is no entry, or if a layer doesn't take what it is given.
    """
    splices = splices or {}
    outputs = calls.outputs if outputs is None else outputs
    if entries is None:
        entries = {tensor: fresh_input(calls, tensor) for tensor in flat(calls.inputs)}
        inputs = tree.map_structure(lambda tensor: entries[tensor], calls.inputs) if inputs is None else inputs
    inputs = list(entries.values()) if inputs is None else inputs
    inputs = (
        inputs[0] if isinstance(inputs, list) and len(inputs) == 1 and not isinstance(calls.inputs, list) else inputs
    )
    builder = _Builder(calls, dict(entries), splices)
    builder.run(_needed(calls, flat(outputs), entries, splices))
    results = tree.map_structure(builder.resolve, outputs)
    _rename_twins(tree.flatten(inputs), tree.flatten(results), builder)
    model = keras.Model(inputs, results, name=name or calls.name)
    builder.copy_state()
    return model


def fresh_input(calls: Calls, tensor: Tensor, *, name: str | None = None) -> keras.KerasTensor:
    """A new Input of a tensor's shape and dtype; a copy of the model's own Input where the tensor is one."""
    call = calls.producer[tensor]
    if call.is_input and name is None:
        return type(call.operation).from_config(call.operation.get_config()).output
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)


def run(
    calls: Calls,
    values: Mapping[Tensor, Any],
    wanted: Sequence[Tensor],
    splices: Mapping[Tensor, Splice] | None = None,
) -> list[Any]:
    """The values of the wanted tensors, computed by the source's own layers in inference from given values.

    Nothing is built: the source isn't changed. Values that no later call needs are let go.
    """
    splices = splices or {}
    known, spliced = dict(values), dict[Tensor, Any]()

    def resolve(tensor: Tensor) -> Any:
        splice = splices.get(tensor)
        if splice is None:
            return known[tensor]
        if tensor not in spliced:
            spliced[tensor] = splice.function(*[known[x] if x is tensor else resolve(x) for x in splice.sources])
        return spliced[tensor]

    needed = _needed(calls, wanted, known, splices)
    order = [call for call in calls if call in needed]
    last_use = {tensor: position for position, call in enumerate(order) for tensor in call.inputs}
    kept = {*wanted, *(x for splice in splices.values() for x in splice.sources)}
    for position, call in enumerate(order):
        args, kwargs = tree.map_structure(
            lambda x: resolve(x) if isinstance(x, Tensor) else x, (call.args, call.kwargs)
        )
        results = call.operation(*args, **kwargs)
        known.update(zip(call.outputs, tree.flatten(results), strict=True))
        for tensor in call.inputs:
            if last_use[tensor] == position and tensor not in kept:
                known.pop(tensor, None)
    return [resolve(tensor) for tensor in wanted]


class _Builder:
    """The new model's tensors and the clones of layers, while a graph is called again."""

    def __init__(self, calls: Calls, entries: dict[Tensor, Any], splices: Mapping[Tensor, Splice]) -> None:
        self.calls = calls
        self.splices = splices
        self.raw: dict[Tensor, Any] = entries
        self.resolved: dict[Tensor, Any] = {}
        self.clones: dict[int, tuple[keras.Operation, keras.Operation, str]] = {}
        self.given = [x._keras_history.operation for x in tree.flatten(list(entries.values()))]
        self.names: set[str] = {operation.name for operation in self.given}

    def run(self, needed: set[Call]) -> None:
        for call in self.calls:
            if call not in needed or all(tensor in self.raw for tensor in call.outputs):
                continue
            args, kwargs = tree.map_structure(
                lambda x: self.resolve(x) if isinstance(x, Tensor) else x, (call.args, call.kwargs)
            )
            clone = self.clone(call)
            try:
                results = tree.flatten(clone(*args, **kwargs))
            except (ValueError, TypeError, RuntimeError) as exc:
                shapes = ", ".join(
                    str(tuple(x.shape)) for x in tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)
                )
                raise GraphError(f"layer {call.name!r} ({call.type}) can't take {shapes}: {_first_line(exc)}") from exc
            for tensor, result in zip(call.outputs, results, strict=True):
                self.raw.setdefault(tensor, result)

    def resolve(self, tensor: Tensor) -> Any:
        splice = self.splices.get(tensor)
        if splice is None:
            return self.raw[tensor]
        if tensor not in self.resolved:
            sources = [self.raw[x] if x is tensor else self.resolve(x) for x in splice.sources]
            self.resolved[tensor] = splice.function(*sources)
        return self.resolved[tensor]

    def clone(self, call: Call) -> keras.Operation:
        known = self.clones.get(id(call.operation))
        if known is None:
            name = unique_name(call.layer, self.names)
            self.names.add(name)
            known = (call.operation, clone_operation(call.operation, name), call.name)
            self.clones[id(call.operation)] = known
        return known[1]

    def copy_state(self) -> None:
        for source, clone, name in self.clones.values():
            if isinstance(source, keras.Layer):
                _copy_layer_state(source, clone, name)


def clone_operation(operation: keras.Operation, name: str) -> keras.Operation:
    """A layer or operator of the same configuration, without its weights and without its place in a graph."""
    if isinstance(operation, keras.layers.Lambda):
        return keras.layers.Lambda(
            operation.function, output_shape=operation._output_shape, mask=operation.mask,
            arguments=copy.deepcopy(operation.arguments), name=name, dtype=operation.dtype_policy,
        )  # fmt: skip
    if isinstance(operation, keras.Layer):
        config = {**operation.get_config(), "name": name}
        try:
            return type(operation).from_config(config)
        except (TypeError, ValueError, NotImplementedError) as exc:
            raise GraphError(
                f"layer {name!r} ({type(operation).__name__}) can't be copied from its configuration: "
                f"{_first_line(exc)}; "
                "give the class a get_config() that its __init__ takes back"
            ) from exc
    # Operators carry no weights, and some can't be serialized: a copy with empty node lists is the same operator.
    clone = copy.copy(operation)
    clone._inbound_nodes, clone._outbound_nodes = [], []
    clone.name = name
    return clone


def unique_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, or with the first "_k" that makes it unlike every taken name."""
    name, count = wanted, 0
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name


def _rename_twins(inputs: Sequence[Any], outputs: Sequence[Any], builder: _Builder) -> None:
    """Give spliced-in layers other names where they collide with the clones', which keep the source's."""
    settled = {id(clone) for _, clone, _ in builder.clones.values()} | {id(x) for x in builder.given}
    for operation in map_graph(inputs, outputs)[2]:
        if id(operation) not in settled and not isinstance(operation, keras.layers.InputLayer):
            operation.name = unique_name(operation.name, builder.names)
            builder.names.add(operation.name)


def _copy_layer_state(source: keras.Layer, clone: keras.Layer, name: str) -> None:
    if len(source.variables) != len(clone.variables):
        raise GraphError(
            f"layer {name!r} ({type(source).__name__}) has {len(source.variables)} weights, and its copy from its "
            f"configuration {len(clone.variables)}; let its build() make them all"
        )
    for old, new in zip(source.variables, clone.variables, strict=True):
        if tuple(old.shape) != tuple(new.shape):
            raise GraphError(
                f"layer {name!r} ({type(source).__name__}) has a {old.name} of shape {tuple(old.shape)}, and its new "
                f"input asks for {tuple(new.shape)}; cut before it, or keep the shape that it was trained on"
            )
        new.assign(old)
    for old_layer, new_layer in zip(source._flatten_layers(), clone._flatten_layers(), strict=True):
        if old_layer.trainable != new_layer.trainable:
            new_layer.trainable = old_layer.trainable
        if isinstance(old_layer, keras.layers.Normalization):
            # Its set weights have no effect until this is called.
            new_layer.finalize_state()
    for old, new in zip(source.variables, clone.variables, strict=True):
        new.trainable = old.trainable


def _needed(
    calls: Calls, outputs: Sequence[Tensor], entries: Mapping[Tensor, Any], splices: Mapping[Tensor, Splice]
) -> set[Call]:
    """The calls to run; GraphError if a model input is reached that is no entry."""
    found: set[Call] = set()
    pending: list[tuple[Tensor, bool]] = [(tensor, True) for tensor in outputs]
    seen: set[tuple[Tensor, bool]] = set()
    while pending:
        tensor, spliced = pending.pop()
        if (tensor, spliced) in seen:
            continue
        seen.add((tensor, spliced))
        splice = splices.get(tensor) if spliced else None
        if splice is not None:
            pending.extend((source, source is not tensor) for source in splice.sources)
            continue
        if tensor in entries:
            continue
        call = calls.producer[tensor]
        if call.is_input:
            raise GraphError(f"the outputs need the model input {call.name!r}, which is no entry of the new model")
        found.add(call)
        pending.extend((source, True) for source in call.inputs)
    return found


def _first_line(error: Exception) -> str:
    """The line that says what is wrong; Keras puts the call's name in front and the arguments behind it."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return (telling or lines or [type(error).__name__])[0].split(" Received")[0].rstrip(".")

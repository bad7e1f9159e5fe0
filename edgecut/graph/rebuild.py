"""Calls back to a Keras model that shares nothing with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf
from keras import tree

from edgecut.errors import GraphError
from edgecut.graph.callgraph import Call, Calls, Tensor, flat
from edgecut.graph.clones import classes_of, clone_operation, copy_layer_state, own_constants
from edgecut.graph.keras_private import backend, operation_fn
from edgecut.graph.keras_types import S, Structure, TensorFunction, TensorTree
from edgecut.graph.masks import Mask, carried_masks, carry, masks_to_make, no_mask, unattached
from edgecut.graph.naming import unique_name
from edgecut.graph.sentences import LAYER_FAULTS, telling_line

__all__ = ["Built", "Splice", "build", "fresh_input", "projected", "rebuild", "run", "unique_name"]


@dataclass(frozen=True, eq=False)
class Splice:
    """What takes a tensor's place: function applied to the values of `sources`.

    A source that is the replaced tensor itself means its own, unspliced value. project: whether a 1x1 projection
    follows where the result is wider or narrower than the tensor that it replaces.
    """

    sources: tuple[Tensor, ...]
    function: TensorFunction
    project: bool = False


@dataclass(frozen=True, eq=False)
class Built:
    """A rebuilt model and what it is made of.

    kept: the source's layers of which it holds copies. functions: what each splice computes in it, as a function of
    the values of the splice's sources.
    """

    model: keras.Model
    kept: tuple[keras.Operation, ...]
    functions: Mapping[Tensor, TensorFunction]


def rebuild(
    calls: Calls,
    *,
    entries: Mapping[Tensor, keras.KerasTensor] | None = None,
    inputs: Structure = None,
    outputs: TensorTree = None,
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
    return build(calls, entries=entries, inputs=inputs, outputs=outputs, splices=splices, name=name).model


def build(
    calls: Calls,
    *,
    entries: Mapping[Tensor, keras.KerasTensor] | None = None,
    inputs: Structure = None,
    outputs: TensorTree = None,
    splices: Mapping[Tensor, Splice] | None = None,
    name: str | None = None,
) -> Built:
    """The same as `rebuild`, with what the model is made of."""
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
    builder.run(_needed(calls, flat(outputs), entries, splices), flat(outputs))
    results = tree.map_structure(builder.resolve, outputs)
    _rename_twins(tree.flatten(results), builder)
    model = keras.Model(inputs, results, name=name or calls.name)
    builder.copy_state()
    return Built(model, tuple(source for source, _, _ in builder.clones.values()), builder.functions)


def fresh_input(calls: Calls, tensor: Tensor, *, name: str | None = None) -> keras.KerasTensor:
    """A new Input of a tensor's shape and dtype; a copy of the model's own Input where the tensor is one."""
    call = calls.producer[tensor]
    if call.is_input and name is None:
        return type(call.operation).from_config(call.operation.get_config()).output
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, sparse=tensor.sparse, name=name)


def run(
    calls: Calls,
    values: Mapping[Tensor, tf.Tensor],
    wanted: Sequence[Tensor],
    splices: Mapping[Tensor, Splice] | None = None,
) -> list[keras.KerasTensor]:
    """The values of the wanted tensors, computed by the source's own layers in inference from given values.

    Inference is what predict() does: training=False for every layer, also for one that was called with another value.

    Nothing is built: the source isn't changed. Values that no later call needs are let go.
    """
    splices = splices or {}
    known, spliced = dict(values), dict[Tensor, keras.KerasTensor]()

    def resolve(tensor: Tensor) -> keras.KerasTensor:
        splice = splices.get(tensor)
        if splice is None:
            return known[tensor]
        if tensor not in spliced:
            spliced[tensor] = splice.function(*[known[x] if x is tensor else resolve(x) for x in splice.sources])
        return spliced[tensor]

    needed = _needed(calls, wanted, known, splices)
    make = masks_to_make(calls, values, wanted) & needed
    order = [call for call in calls if call in (make if isinstance(call.operation, Mask) else needed)]
    last_use = {tensor: position for position, call in enumerate(order) for tensor in call.inputs}
    kept = {*wanted, *(x for splice in splices.values() for x in splice.sources)}

    def attach(tensor: Tensor) -> None:
        for data, mask in unattached(calls, tensor, known, values):
            backend.set_keras_mask(known[data], known[mask])

    for tensor in values:
        attach(tensor)
    for position, call in enumerate(order):
        results = carried_masks(calls, call, known)
        if results is None:
            # A mask may be computed from the mask alone, where the value that carries it isn't at hand.
            absent = () if not isinstance(call.operation, Mask) else {x for x in flat(call.args) if x not in known}
            args, kwargs = tree.map_structure(
                lambda x: resolve(x) if isinstance(x, Tensor) and x not in absent else x,  # noqa: B023  used at once
                (call.args, call.kwargs),
            )
            try:
                results = tree.flatten(operation_fn(call.operation, training=False)(*args, **kwargs))
            except LAYER_FAULTS as exc:
                raise GraphError(_refusal(call, (args, kwargs), exc)) from exc
        for tensor, result in zip(call.outputs, results, strict=True):
            known.setdefault(tensor, result)
            attach(tensor)
        for tensor in call.inputs:
            if last_use[tensor] == position and tensor not in kept:
                known.pop(tensor, None)
    return [resolve(tensor) for tensor in wanted]


class _Builder:
    """The new model's tensors and the clones of layers, while a graph is called again."""

    def __init__(
        self, calls: Calls, entries: dict[Tensor, keras.KerasTensor], splices: Mapping[Tensor, Splice]
    ) -> None:
        self.calls = calls
        self.splices = splices
        self.entries = frozenset(entries)
        self.raw: dict[Tensor, keras.KerasTensor] = entries
        self.resolved: dict[Tensor, keras.KerasTensor] = {}
        self.functions: dict[Tensor, TensorFunction] = {}
        self.clones: dict[int, tuple[keras.Operation, keras.Operation, str]] = {}
        self.given = [x._keras_history.operation for x in tree.flatten(list(entries.values()))]
        self.names: set[str] = {operation.name for operation in self.given}
        self.classes = classes_of(call.operation for call in calls)

    def run(self, needed: set[Call], outputs: Sequence[Tensor]) -> None:
        for tensor in tuple(self.raw):
            self._attach(tensor)
        make = masks_to_make(self.calls, self.entries, outputs) & needed
        for call in self.calls:
            is_mask = isinstance(call.operation, Mask)
            if call not in (make if is_mask else needed) or all(tensor in self.raw for tensor in call.outputs):
                continue
            results = self._masks(call) if is_mask else self._results(call)
            for tensor, result in zip(call.outputs, results, strict=True):
                self.raw.setdefault(tensor, result)
                self._attach(tensor)

    def resolve(self, tensor: Tensor) -> keras.KerasTensor:
        splice = self.splices.get(tensor)
        if splice is None:
            return self.raw[tensor]
        if tensor not in self.resolved:
            if splice.function is no_mask:
                return None
            sources = [self.raw[x] if x is tensor else self.resolve(x) for x in splice.sources]
            result = self._spliced(tensor, splice, sources)
            if splice.project:
                result = projected(result, tensor.shape[-1], unique_name("projection", self.names))
            self.resolved[tensor] = result
            self.functions[tensor] = _function(sources, result)
        return self.resolved[tensor]

    def _spliced(self, tensor: Tensor, splice: Splice, sources: list[keras.KerasTensor]) -> keras.KerasTensor:
        place = f"what takes the place of {self.calls.tensor_name[tensor]!r}"
        try:
            results = tree.flatten(splice.function(*sources))
        except (*LAYER_FAULTS, AttributeError) as exc:
            shapes = ", ".join(str(tuple(x.shape)) for x in sources)
            raise GraphError(f"{place} can't take {shapes}: {telling_line(exc)}") from exc
        if len(results) != 1 or not isinstance(results[0], keras.KerasTensor):
            kinds = ", ".join(type(x).__name__ for x in results)
            raise GraphError(f"{place} puts out {kinds or 'nothing'}, and one Keras tensor is expected")
        return results[0]

    def copy_state(self) -> None:
        for source, clone, name in self.clones.values():
            if isinstance(source, keras.Layer):
                try:
                    copy_layer_state(source, clone, name)
                except GraphError as exc:
                    raise GraphError(f"{exc}{self._remedy()}") from exc

    def _results(self, call: Call) -> list[keras.KerasTensor]:
        args, kwargs = self._resolved((call.args, call.kwargs))
        clone = self._clone(call)
        try:
            return tree.flatten(clone(*args, **kwargs))
        except LAYER_FAULTS as exc:
            raise GraphError(f"{_refusal(call, (args, kwargs), exc)}{self._remedy()}") from exc

    def _masks(self, call: Call) -> list[keras.KerasTensor]:
        """The masks that a layer's results carry: by themselves where it was run, else computed as it does."""
        carried = carried_masks(self.calls, call, self.raw)
        if carried is not None:
            return carried
        args = tree.map_structure(
            lambda x: (
                keras.KerasTensor(x.shape, x.dtype)
                if isinstance(x, Tensor) and x not in self.raw
                else self.resolve(x)
                if isinstance(x, Tensor)
                else x
            ),
            call.args,
        )
        layer = call.operation.layer
        return Mask(clone_operation(layer, layer.name, self.classes)).call(*args)

    def _attach(self, tensor: Tensor) -> None:
        for data, mask in unattached(self.calls, tensor, self.raw, self.entries):
            name = unique_name(f"{self.calls.tensor_name[data]}_masked".replace(":", "_").replace("@", "_"), self.names)
            self.raw[data] = carry(self.raw[data], self.raw[mask], name)

    def _resolved(self, structure: S) -> S:
        values = tree.map_structure(lambda x: self.resolve(x) if isinstance(x, Tensor) else x, structure)
        return own_constants(values)

    def _clone(self, call: Call) -> keras.Operation:
        known = self.clones.get(id(call.operation))
        if known is None:
            name = unique_name(call.layer, self.names)
            self.names.add(name)
            known = (call.operation, clone_operation(call.operation, name, self.classes), call.name)
            self.clones[id(call.operation)] = known
        return known[1]

    def _remedy(self) -> str:
        """What to do about a shape that doesn't fit, where an edit has changed a width."""
        for tensor, value in self.resolved.items():
            if len(value.shape) == len(tensor.shape) and value.shape[-1] != tensor.shape[-1]:
                return (
                    f"; add projection: {self.calls.tensor_name[tensor]!r} is {tensor.shape[-1]} wide and what takes "
                    f"its place {value.shape[-1]}, so pass project=True (edgecut cut --project)"
                )
        return ""


def _refusal(call: Call, given: object, error: Exception) -> str:
    """Why a call can't be made with given arguments."""
    shapes = ", ".join(str(tuple(x.shape)) for x in tree.flatten(given) if hasattr(x, "shape"))
    return f"layer {call.name!r} ({call.type}) can't take {shapes}: {telling_line(error)}"


def projected(value: keras.KerasTensor, width: int | None, name: str) -> keras.KerasTensor:
    """`value` with its last axis brought to `width` by a seeded 1x1 convolution (Dense for a vector or sequence)."""
    if width is None or value.shape[-1] == width:
        return value
    initializer = keras.initializers.GlorotUniform(seed=0)
    if len(value.shape) == 4:
        return keras.layers.Conv2D(width, 1, kernel_initializer=initializer, name=name)(value)
    return keras.layers.Dense(width, kernel_initializer=initializer, name=name)(value)


def _function(sources: Sequence[keras.KerasTensor], result: keras.KerasTensor) -> TensorFunction:
    """What was computed from Keras tensors, as a function of values."""
    if any(x is result for x in sources):
        position = next(i for i, x in enumerate(sources) if x is result)
        return lambda *values: values[position]
    function = keras.Function(list(sources), result)
    return lambda *values: function._run_through_graph(
        list(values), operation_fn=lambda operation: operation_fn(operation, training=False)
    )


def _rename_twins(outputs: Sequence[keras.KerasTensor], builder: _Builder) -> None:
    """Give spliced-in layers other names where they collide with the clones', which keep the source's."""
    settled = {id(clone) for _, clone, _ in builder.clones.values()} | {id(x) for x in builder.given}
    for operation in _operations_behind(outputs):
        if id(operation) not in settled and not isinstance(operation, keras.layers.InputLayer):
            operation.name = unique_name(operation.name, builder.names)
            builder.names.add(operation.name)


def _operations_behind(outputs: Sequence[keras.KerasTensor]) -> list[keras.Operation]:
    """The operations that Keras tensors are computed by; Keras's own walk refuses two of one name."""
    found: dict[int, keras.Operation] = {}
    pending, seen = list(outputs), set()
    while pending:
        history = pending.pop()._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if id(node) not in seen:
            seen.add(id(node))
            found.setdefault(id(history.operation), history.operation)
            pending.extend(node.input_tensors)
    return list(found.values())


def _needed(
    calls: Calls,
    outputs: Sequence[Tensor],
    entries: Mapping[Tensor, keras.KerasTensor],
    splices: Mapping[Tensor, Splice],
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

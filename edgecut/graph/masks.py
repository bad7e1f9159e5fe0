"""The masks that Keras attaches to tensors, as tensors of the call list.

Keras records the arguments that a user passed, not the masks that Embedding(mask_zero=True) or Masking attach to their
results and that later layers take without being told. A graph that ignores them loses the mask at a start behind such
a layer, silently. The rules are those of keras/src/layers/layer.py (Layer.__call__, steps 6 and 7, _set_mask_metadata).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import keras
from keras import tree

from edgecut.graph.callgraph import Call, Calls, Tensor, flat
from edgecut.graph.keras_private import CallSpec, backend, is_default
from edgecut.graph.keras_types import S, Structure

# These look at the masks that are attached to what they are given, and have no argument for them, or ignore it.
_READ_ATTACHED = (keras.layers.Multiply, keras.layers.Minimum, keras.layers.Maximum, keras.layers.MultiHeadAttention)


class Mask(keras.Operation):
    """Computes what a layer's compute_mask does; stands in the call list for a mask that a layer makes."""

    def __init__(self, layer: keras.Layer) -> None:
        """layer: the one whose result carries the mask."""
        super().__init__()
        self.layer = layer

    def call(self, inputs: Structure, previous: Structure) -> list[keras.KerasTensor]:
        """The masks that are not None, of the layer's outputs in order."""
        return _present(self.layer.compute_mask(inputs, previous))


def with_masks(calls: Sequence[Call], recorded: Mapping[Tensor, Tensor]) -> tuple[list[Call], dict[Tensor, Tensor]]:
    """The calls with the masks they take among their inputs, and the mask of each tensor that has one.

    recorded: the masks of tensors that Keras has put into the graph itself. A mask is put out by "layer:mask", behind
    the layer that makes it.
    """
    rows = _Masks(calls, recorded)
    found = [row for call in calls for row in rows.add(call)]
    return found + [row for call in calls for row in rows.caught_up(call)], rows.of


def mask_of(value: object) -> keras.KerasTensor | None:
    """The mask that Keras has attached to a value, None without one."""
    return backend.get_keras_mask(value)


def carry(value: keras.KerasTensor, mask: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """`value` with a mask attached while the model runs, as Keras attaches it behind an Embedding(mask_zero=True).

    An Input comes without a mask, and some layers (Multiply, MultiHeadAttention) read none but the attached one. A
    model that is given a mask attaches it to its input, so one of a single Identity does it; Keras can save that.
    """
    x = keras.Input(batch_shape=value.shape, dtype=value.dtype, name="value")
    carrier = keras.Model(x, keras.layers.Identity(name="masked", dtype=value.dtype)(x), name=name)
    carrier.supports_masking = True
    return carrier(value, mask=mask)


def masks_to_make(calls: Calls, given: Iterable[Tensor], wanted: Iterable[Tensor]) -> set[Call]:
    """The mask calls to run where the tensors `given` aren't computed: for their masks, and for wanted masks."""
    given = set(given)
    pending = [*wanted, *(calls.masks[tensor] for tensor in given if tensor in calls.masks)]
    found: set[Call] = set()
    while pending:
        tensor = pending.pop()
        call = calls.producer[tensor]
        if tensor not in given and isinstance(call.operation, Mask) and call not in found:
            found.add(call)
            pending.extend(call.inputs)
    return found


def carried_masks(
    calls: Calls, call: Call, known: Mapping[Tensor, keras.KerasTensor]
) -> list[keras.KerasTensor] | None:
    """What a mask call puts out, read off the values that carry it; None if they aren't there, or for another call."""
    if not isinstance(call.operation, Mask):
        return None
    carriers = {mask: data for data, mask in reversed(list(calls.masks.items()))}
    found = [mask_of(known[carriers[mask]]) if carriers[mask] in known else None for mask in call.outputs]
    return None if any(mask is None for mask in found) else found


def unattached(
    calls: Calls, tensor: Tensor, known: Mapping[Tensor, keras.KerasTensor], given: Container[Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """The (tensor, mask) pairs of which `tensor` is one, whose values are known and not yet attached.

    given: the tensors that aren't computed. Where neither of a pair is one of them, Keras attaches by itself.
    """
    pairs = [(data, mask) for data, mask in calls.masks.items() if tensor is data or tensor is mask]
    return [
        (data, mask)
        for data, mask in pairs
        if mask in known and data in known and (data in given or mask in given) and mask_of(known[data]) is None
    ]


def is_carrier(operation: keras.Operation) -> bool:
    """Whether an operation does nothing but attach a mask, as made by carry()."""
    return isinstance(operation, keras.Model) and {type(x) for x in operation._flatten_layers(include_self=False)} == {
        keras.layers.InputLayer,
        keras.layers.Identity,
    }


def no_mask() -> None:
    """What takes the place of a mask whose layer an edit takes away: Keras then takes the attached one, if any."""


class _Masks:
    """The mask of each tensor so far: of, as it was made; now, as a later call finds it."""

    def __init__(self, calls: Sequence[Call], recorded: Mapping[Tensor, Tensor]) -> None:
        self.recorded = recorded
        self.of: dict[Tensor, Tensor] = {}
        self.now: dict[Tensor, Tensor] = {}
        self.producer = {tensor: call for call in calls for tensor in call.outputs}
        self.names = _mask_names(calls, recorded, self.producer)
        self.chain = _chain(calls, recorded, self.producer)
        self.deferred = set(self.chain)

    def add(self, call: Call) -> Iterator[Call]:
        if call in self.chain:
            return
        for tensor in call.inputs:
            yield from self.caught_up(self.producer[tensor])
        layer = call.operation
        if not isinstance(layer, keras.Layer) or call.is_input:
            yield call
            return
        stand_ins = _StandIns(self.now)
        masks = layer.supports_masking and not is_default(layer.compute_mask)
        if not masks and not is_carrier(layer) and not any(tensor in self.now for tensor in call.inputs):
            yield call
            return
        args, kwargs = stand_ins.make((call.args, call.kwargs))
        arguments = _filled_in(layer, args, kwargs)
        taken = stand_ins.tensors(arguments.values())
        if isinstance(layer, _READ_ATTACHED):
            taken += [self.now[tensor] for tensor in call.inputs if tensor in self.now]
        yield replace(call, inputs=tuple(dict.fromkeys((*call.inputs, *taken))))
        if is_carrier(layer):
            (mask,) = flat(call.kwargs["mask"])
            self._note(call.outputs[0], mask)
        elif layer.supports_masking:
            yield from self._made(call, stand_ins, args, {**kwargs, **arguments})
        if isinstance(layer, keras.layers.MultiHeadAttention):
            # Its call takes the masks off its arguments, unless they were converted to another dtype first.
            for given in (*call.args, *call.kwargs.values()):
                if isinstance(given, Tensor) and given.dtype == layer.input_dtype:
                    self.now.pop(given, None)

    def _note(self, output: Tensor, mask: Tensor) -> None:
        self.of[output] = self.now[output] = mask

    def _made(
        self, call: Call, stand_ins: _StandIns, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> Iterator[Call]:
        """Notes the masks of a call's outputs, and yields the calls that make them where they are new."""
        layer = call.operation
        first = args[0] if args else kwargs[next(iter(layer._call_signature.parameters))]
        previous = kwargs.get("mask")
        if previous is None:
            previous = tree.map_structure(mask_of, first)
        masks = layer.compute_mask(first, previous)
        known = {id(stand_in): tensor for tensor, stand_in in stand_ins.of.items()}
        new: dict[int, Tensor] = {}
        for output, mask in zip(call.outputs, tree.flatten(masks), strict=False):
            if mask is None:
                continue
            if id(mask) not in known and output in self.recorded:
                yield from self.caught_up(self.producer[self.recorded[output]])
                known[id(mask)] = self.recorded[output]
            self._note(output, known.get(id(mask)) or new.setdefault(id(mask), Tensor(tuple(mask.shape), "bool")))
        if new:
            present = [mask for mask in _present(masks) if id(mask) in new]
            yield Call(
                f"{call.name}:mask",
                f"{call.layer}:mask",
                Mask(layer),
                stand_ins.back((first, previous)),
                {},
                tuple(known[i] for i in _leaves(present) if i in known),
                tuple(new.values()),
            )

    def caught_up(self, call: Call) -> Iterator[Call]:
        """A call that was deferred, behind the deferred ones that it needs; nothing if it was not."""
        if call in self.deferred:
            self.deferred.remove(call)
            for source in call.inputs:
                yield from self.caught_up(self.producer[source])
            yield replace(call, name=self.names.get(call, call.name))


def _mask_names(
    calls: Sequence[Call], recorded: Mapping[Tensor, Tensor], producer: Mapping[Tensor, Call]
) -> dict[Call, str]:
    """What the makers of recorded masks are called: after the first layer whose result has the mask."""
    names: dict[Call, str] = {}
    for call in calls:
        for tensor in call.outputs:
            if tensor in recorded and len(producer[recorded[tensor]].outputs) == 1:
                names.setdefault(producer[recorded[tensor]], f"{call.name}:mask")
    return names


def _chain(calls: Sequence[Call], recorded: Mapping[Tensor, Tensor], producer: Mapping[Tensor, Call]) -> set[Call]:
    """The operators that compute recorded masks and nothing else; Keras sorts them by depth, anywhere."""
    chain = {producer[mask] for mask in recorded.values() if not isinstance(producer[mask].operation, keras.Layer)}
    users: dict[Tensor, set[Call]] = {}
    for call in calls:
        for tensor in call.inputs:
            users.setdefault(tensor, set()).add(call)
    for call in reversed(calls):
        used_by = {user for tensor in call.outputs for user in users.get(tensor, ())}
        if not isinstance(call.operation, keras.Layer) and used_by and used_by <= chain:
            chain.add(call)
    return chain


def _filled_in(layer: keras.Layer, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
    """{argument: mask or structure of masks} that Keras fills in by itself for these Keras tensors."""
    spec = CallSpec(layer._call_signature, layer._call_context_args, args, dict(kwargs))
    given = spec.tensor_arguments_dict
    if len(given) == 1:
        names = {"mask": next(iter(given.values()))}
    else:
        names = {f"{name}_mask": value for name, value in given.items()}
    found = {
        name: tree.map_structure(mask_of, value)
        for name, value in names.items()
        if name in spec.argument_names and spec.arguments_dict[name] is None
    }
    return {name: masks for name, masks in found.items() if any(mask is not None for mask in tree.flatten(masks))}


class _StandIns:
    """Keras tensors in the place of Tensors, with their masks attached."""

    def __init__(self, masks: Mapping[Tensor, Tensor]) -> None:
        self.masks = masks
        self.of: dict[Tensor, keras.KerasTensor] = {}

    def make(self, structure: S) -> S:
        return tree.map_structure(lambda x: self._of(x) if isinstance(x, Tensor) else x, structure)

    def back(self, structure: S) -> S:
        names = {id(stand_in): tensor for tensor, stand_in in self.of.items()}
        return tree.map_structure(lambda x: names.get(id(x), x), structure)

    def tensors(self, structures: Iterable[object]) -> list[Tensor]:
        return [x for x in tree.flatten(self.back(list(structures))) if isinstance(x, Tensor)]

    def _of(self, tensor: Tensor) -> keras.KerasTensor:
        if tensor not in self.of:
            stand_in = keras.KerasTensor(tensor.shape, tensor.dtype, sparse=tensor.sparse)
            self.of[tensor] = stand_in
            if tensor in self.masks:
                backend.set_keras_mask(stand_in, self._of(self.masks[tensor]))
        return self.of[tensor]


def _present(masks: Structure) -> list[keras.KerasTensor]:
    """The different masks that are not None."""
    return list({id(mask): mask for mask in tree.flatten(masks) if mask is not None}.values())


def _leaves(tensors: Iterable[keras.KerasTensor]) -> list[int]:
    """The ids of the Keras tensors that these are computed from and that no operation computes."""
    pending, seen, found = list(tensors), set(), []
    while pending:
        x = pending.pop(0)
        if id(x) in seen:
            continue
        seen.add(id(x))
        history = getattr(x, "_keras_history", None)
        if history is None or history.operation is None:
            found.append(id(x))
        else:
            pending.extend(history.operation._inbound_nodes[history.node_index].input_tensors)
    return found

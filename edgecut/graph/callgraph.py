"""The flat list of a model's calls as records, and the questions that are asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import keras
from keras import tree

from edgecut.errors import GraphError
from edgecut.graph.dataflow import ancestors, descendants, tensor_names
from edgecut.graph.keras_types import TensorTree
from edgecut.graph.tensor import Tensor
from edgecut.records.nearest import closest

__all__ = [
    "Call",
    "Calls",
    "Opened",
    "Tensor",
    "ancestors",
    "data_calls",
    "data_inputs",
    "descendants",
    "flat",
]

CLOSEST = 5


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer or operator.

    args, kwargs: as the operation was called, each Keras tensor replaced by its Tensor. inputs: the tensors in them
    and the masks that the call takes without being given them. outputs: flat. layer: the operation's own path, the
    same for all calls of a shared layer.
    """

    name: str
    layer: str
    operation: keras.Operation
    args: tuple[object, ...]
    kwargs: dict[str, object]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def type(self) -> str:
        """The class name of the operation, such as "Conv2D"."""
        return type(self.operation).__name__

    @property
    def is_input(self) -> bool:
        """Whether this is a model input rather than a computation."""
        return isinstance(self.operation, keras.layers.InputLayer)


@dataclass(frozen=True, eq=False)
class Opened:
    """A nested model whose calls are in the list. fed: the tensors that it was called on. outputs: its results."""

    path: str
    fed: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Calls:
    """The calls in an order in which they can be run, model inputs first; inputs and outputs keep their structure.

    masks: the mask that Keras attaches to a tensor, itself a tensor. mask_tensors: all masks of layers, attached or
    given as an argument that Keras has filled in. opened: the nested models by name. aliases:
    other names of a layer (the attribute of a subclassed model, or the Keras name behind it).
    """

    calls: tuple[Call, ...]
    inputs: TensorTree
    outputs: TensorTree
    name: str
    masks: Mapping[Tensor, Tensor] = field(default_factory=dict)
    opened: Mapping[str, Opened] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    mask_tensors: frozenset[Tensor] = frozenset()

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, position: int) -> Call:
        return self.calls[position]

    @cached_property
    def producer(self) -> Mapping[Tensor, Call]:
        """The call that puts a tensor out."""
        return {tensor: call for call in self.calls for tensor in call.outputs}

    @cached_property
    def consumers(self) -> Mapping[Tensor, tuple[Call, ...]]:
        """The calls that take a tensor in."""
        found: dict[Tensor, list[Call]] = {tensor: [] for tensor in self.producer}
        for call in self.calls:
            for tensor in dict.fromkeys(call.inputs):
                found[tensor].append(call)
        return {tensor: tuple(calls) for tensor, calls in found.items()}

    @cached_property
    def tensor_name(self) -> Mapping[Tensor, str]:
        """What a tensor is called: its call's name, "name:j" where the call puts several out."""
        return tensor_names((call.name, call.outputs) for call in self.calls)

    @property
    def flat_inputs(self) -> tuple[Tensor, ...]:
        """The inputs without their structure."""
        return flat(self.inputs)

    @property
    def flat_outputs(self) -> tuple[Tensor, ...]:
        """The outputs without their structure."""
        return flat(self.outputs)

    @property
    def names(self) -> tuple[str, ...]:
        """The calls' names in order."""
        return tuple(call.name for call in self.calls)

    def find(self, ref: str | int) -> Call:
        """The call with a name or at a position (negative from the end).

        Raises GraphError if there is none (closest names offered), or if the name is a shared layer's.
        """
        return self.tensors(ref)[0]

    def tensors(self, ref: str | int) -> tuple[Call, tuple[Tensor, ...]]:
        """The call that a reference names, and the tensors it means: one for "name:j", else all outputs.

        A nested model's name means its last call and its outputs.
        Raises GraphError as find() does, and if the call has no j-th output.
        """
        if isinstance(ref, int):
            if not -len(self) <= ref < len(self):
                raise GraphError(f"no layer at position {ref}: the model has {len(self)} calls, 0 to {len(self) - 1}")
            return self.calls[ref], self.calls[ref].outputs
        found = self._named(ref)
        if found is not None:
            return found
        base, _, index = ref.rpartition(":")
        found = self._named(base) if base and index.isdigit() else None
        if found is None:
            raise GraphError(self._why_not(ref))
        call, tensors = found
        if int(index) >= len(tensors):
            raise GraphError(f"layer {base!r} has {len(tensors)} outputs, so {ref!r} names none of them")
        return call, (tensors[int(index)],)

    def _named(self, name: str) -> tuple[Call, tuple[Tensor, ...]] | None:
        call = self._by_name.get(name)
        if call is not None:
            return call, call.outputs
        nested = self.opened.get(name)
        return None if nested is None else (self.producer[nested.outputs[-1]], nested.outputs)

    @cached_property
    def _by_name(self) -> Mapping[str, Call]:
        names = {call.name: call for call in self.calls}
        counts = Counter(call.layer for call in self.calls)
        for call in self.calls:
            if counts[call.layer] == 1:  # "layer@0" is good for a layer that is called once, too
                names.setdefault(f"{call.layer}@0", call)
        for alias, layer in self.aliases.items():
            for call in self.calls:
                if call.layer == layer and alias not in names:
                    names.setdefault(alias + call.name.removeprefix(layer), call)
        return names

    def _why_not(self, ref: str) -> str:
        layer = self.aliases.get(ref, ref)
        shared = [call.name for call in self.calls if call.layer == layer]
        shared = shared or [name for name in self.opened if name.rpartition("@")[0] == ref]
        if shared:
            return f"layer {ref!r} is called {len(shared)} times; say which: {', '.join(map(repr, shared))}"
        if ref.lstrip("-").isdigit():
            return f"no layer {ref!r}; a position is an integer, not text"
        return f"no layer {ref!r}{closest(ref, [*self.names, *self.opened, *self.aliases], CLOSEST)}"


def flat(structure: object) -> tuple[Tensor, ...]:
    """The tensors in a structure of tensors, in order."""
    return tuple(x for x in tree.flatten(structure) if isinstance(x, Tensor))


def data_inputs(calls: Calls, call: Call) -> tuple[Tensor, ...]:
    """The tensors that a call takes, without the masks that come attached to them."""
    given = dict.fromkeys(flat((call.args, call.kwargs)))
    return tuple(tensor for tensor in given if tensor not in calls.mask_tensors)


def data_calls(calls: Calls) -> set[Call]:
    """The calls that compute the outputs, without those that compute nothing but the masks of layers."""
    pending, found = list(flat(calls.outputs)), set[Call]()
    while pending:
        call = calls.producer[pending.pop()]
        if call not in found:
            found.add(call)
            pending.extend(data_inputs(calls, call))
    return found

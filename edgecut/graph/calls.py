"""A Keras model as a flat, topologically ordered list of calls, nested models opened."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import keras
from keras import tree
from keras.src.models.functional import Functional
from keras.src.ops.node import Node

from edgecut.errors import GraphError
from edgecut.records.document import closest


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value that flows through the graph. shape: with the batch axis first, None where it is open."""

    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer or operator.

    args, kwargs: as the operation was called, each Keras tensor replaced by its Tensor. inputs, outputs: the
    tensors in them, flat. layer: the operation's own path, the same for all calls of a shared layer.
    """

    name: str
    layer: str
    operation: keras.Operation
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
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


@dataclass(frozen=True)
class Calls:
    """The calls in an order in which they can be run, model inputs first; inputs and outputs keep their structure."""

    calls: tuple[Call, ...]
    inputs: Any
    outputs: Any
    name: str

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
        return {
            tensor: call.name if len(call.outputs) == 1 else f"{call.name}:{index}"
            for call in self.calls
            for index, tensor in enumerate(call.outputs)
        }

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

        Raises GraphError as find() does, and if the call has no j-th output.
        """
        if isinstance(ref, int):
            if not -len(self) <= ref < len(self):
                raise GraphError(f"no layer at position {ref}: the model has {len(self)} calls, 0 to {len(self) - 1}")
            return self.calls[ref], self.calls[ref].outputs
        call = self._by_name.get(ref)
        if call is not None:
            return call, call.outputs
        base, _, index = ref.rpartition(":")
        call = self._by_name.get(base) if _has_index(ref) else None
        if call is not None:
            if int(index) >= len(call.outputs):
                raise GraphError(f"layer {base!r} has {len(call.outputs)} outputs, so {ref!r} names none of them")
            return call, (call.outputs[int(index)],)
        raise GraphError(self._why_not(ref))

    @cached_property
    def _by_name(self) -> Mapping[str, Call]:
        names = {call.name: call for call in self.calls}
        for layer, count in Counter(call.layer for call in self.calls).items():
            if count == 1:  # "layer@0" is good for a layer that is called once, too
                names.setdefault(f"{layer}@0", names[layer])
        return names

    def _why_not(self, ref: str) -> str:
        shared = [call.name for call in self.calls if call.layer == ref]
        if shared:
            return f"layer {ref!r} is called {len(shared)} times; say which: {', '.join(map(repr, shared))}"
        if ref.lstrip("-").isdigit():
            return f"no layer {ref!r}; a position is an integer, not text"
        return f"no layer {ref!r}{closest(ref, self.names)}"


def calls(model: keras.Model) -> Calls:
    """The flat list of a model's calls, in an order in which they can be run.

    Nested Functional and Sequential models are opened as "outer.inner" unless their call is overridden or they are
    given a mask; the k-th call of a shared layer is "layer@k", counted from 0. The model isn't changed.
    Raises GraphError if the model has no graph.
    """
    graph = _graph_of(model)
    if graph is None:
        raise GraphError(
            f"model {model.name!r} ({type(model).__name__}) has no graph of layers; "
            "build it as a Functional or Sequential model with a declared input"
        )
    rows = _Rows()
    inputs = tree.map_structure(rows.declare_input, graph._inputs_struct)
    rows.open(graph, prefix="", overrides={})
    outputs = tree.map_structure(lambda x: rows.tensors[id(x)], graph._outputs_struct)
    return Calls(tuple(_numbered(rows.calls)), inputs, outputs, model.name)


def flat(structure: Any) -> tuple[Tensor, ...]:
    """The tensors in a structure of tensors, in order."""
    return tuple(x for x in tree.flatten(structure) if isinstance(x, Tensor))


def ancestors(calls: Calls, tensors: Iterable[Tensor], stop: Iterable[Tensor] = ()) -> set[Call]:
    """The calls that the tensors are computed from, their own included, nothing beyond the tensors in `stop`."""
    ends = set(stop)
    pending = [tensor for tensor in tensors if tensor not in ends]
    found: set[Call] = set()
    while pending:
        call = calls.producer[pending.pop()]
        if call not in found:
            found.add(call)
            pending.extend(tensor for tensor in call.inputs if tensor not in ends)
    return found


def descendants(calls: Calls, tensors: Iterable[Tensor]) -> set[Call]:
    """The calls that depend on any of the tensors."""
    reached = set(tensors)
    found: set[Call] = set()
    for call in calls:
        if any(tensor in reached for tensor in call.inputs):
            found.add(call)
            reached.update(call.outputs)
    return found


def takes_argument(operation: keras.Operation, name: str) -> bool:
    """Whether an operation's call has an argument of that name."""
    parameters = inspect.signature(operation.call).parameters
    return name in parameters


def _has_index(ref: str) -> bool:
    return ref.rpartition(":")[2].isdigit() and ":" in ref


def _graph_of(operation: keras.Operation) -> Functional | None:
    """The Functional graph that can be opened in place of an operation, None where there is none."""
    if isinstance(operation, keras.Sequential):
        unchanged = type(operation).call is keras.Sequential.call
        return operation._functional if unchanged else None
    if isinstance(operation, Functional):
        return operation if type(operation).call is Functional.call else None
    return None


class _Rows:
    """The calls found so far, and the Tensor of each Keras tensor."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.tensors: dict[int, Tensor] = {}

    def declare_input(self, keras_tensor: keras.KerasTensor) -> Tensor:
        """The Tensor of a model input, with an InputLayer call of its own."""
        operation = keras_tensor._keras_history.operation
        tensor = _tensor(keras_tensor)
        self.tensors[id(keras_tensor)] = tensor
        self.calls.append(Call(operation.name, operation.name, operation, (), {}, (), (tensor,)))
        return tensor

    def open(self, graph: Functional, prefix: str, overrides: Mapping[str, Any]) -> None:
        """Add a graph's calls. overrides: call arguments (training) that an outer call imposes."""
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if not node.is_input:
                    self.add(node, prefix, overrides)

    def add(self, node: Node, prefix: str, overrides: Mapping[str, Any]) -> None:
        operation = node.operation
        args, kwargs = node.arguments.convert(self._of)
        path = prefix + operation.name
        inner = _graph_of(operation)
        if inner is not None and kwargs.get("mask") is None:
            given = _match_inputs(inner, args[0] if args else kwargs["inputs"])
            if given is not None:
                pushed = {
                    **({"training": kwargs["training"]} if kwargs.get("training") is not None else {}),
                    **overrides,
                }
                self._open_nested(inner, given, node, path, pushed)
                return
        for key, value in overrides.items():
            if takes_argument(operation, key):
                kwargs = {**kwargs, key: value}
        outputs = tuple(_tensor(x) for x in node.outputs)
        self.tensors.update({id(x): tensor for x, tensor in zip(node.outputs, outputs, strict=True)})
        inputs = flat((args, kwargs))
        self.calls.append(Call(path, path, operation, args, kwargs, inputs, outputs))

    def _open_nested(
        self,
        inner: Functional,
        given: tuple[Tensor, ...],
        node: Node,
        path: str,
        overrides: Mapping[str, Any],
    ) -> None:
        # The same nested model may be opened twice: its tensors mean other values each time.
        kept = dict(self.tensors)
        self.tensors.update({id(x): tensor for x, tensor in zip(inner.inputs, given, strict=True)})
        first = len(self.calls)
        self.open(inner, path + ".", overrides)
        results = [self.tensors[id(x)] for x in inner.outputs]
        self.tensors = kept
        if any(x.shape != tensor.shape for x, tensor in zip(inner.inputs, given, strict=True)):
            results = self._infer_shapes(first, results)
        self.tensors.update({id(x): tensor for x, tensor in zip(node.outputs, results, strict=True)})

    def _infer_shapes(self, first: int, results: list[Tensor]) -> list[Tensor]:
        """Renew the shapes from call `first` on, where a nested model of open size is called on a fixed one."""
        renewed: dict[Tensor, Tensor] = {}
        for position in range(first, len(self.calls)):
            call = self.calls[position]
            args, kwargs = tree.map_structure(
                lambda x: renewed.get(x, x) if isinstance(x, Tensor) else x, (call.args, call.kwargs)
            )
            spec = call.operation.compute_output_spec(*_symbolic(args), **_symbolic(kwargs))
            outputs = tuple(_tensor(x) for x in tree.flatten(spec))
            renewed.update(zip(call.outputs, outputs, strict=True))
            self.calls[position] = replace(call, args=args, kwargs=kwargs, inputs=flat((args, kwargs)), outputs=outputs)
        return [renewed.get(tensor, tensor) for tensor in results]

    def _of(self, value: Any) -> Any:
        return self.tensors[id(value)] if isinstance(value, keras.KerasTensor) else value


def _symbolic(structure: Any) -> Any:
    return tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype) if isinstance(x, Tensor) else x, structure)


def _match_inputs(graph: Functional, given: Any) -> tuple[Tensor, ...] | None:
    """The outer tensors in the order of a nested model's inputs; None if they don't fit one to one."""
    struct = graph._inputs_struct
    if isinstance(struct, dict) and isinstance(given, dict):
        if set(struct) != set(given):
            return None
        given = {key: given[key] for key in struct}
    tensors = tree.flatten(given)
    ranks_fit = len(tensors) == len(graph.inputs) and all(
        isinstance(tensor, Tensor) and len(tensor.shape) == len(x.shape)
        and keras.backend.standardize_dtype(x.dtype) == tensor.dtype
        for tensor, x in zip(tensors, graph.inputs, strict=True)
    )  # fmt: skip
    return tuple(tensors) if ranks_fit else None


def _tensor(keras_tensor: keras.KerasTensor) -> Tensor:
    return Tensor(tuple(keras_tensor.shape), keras.backend.standardize_dtype(keras_tensor.dtype))


def _numbered(found: list[Call]) -> Iterator[Call]:
    """The calls with "@k" names where a layer is called more than once."""
    counts = Counter(call.layer for call in found)
    seen: Counter[str] = Counter()
    for call in found:
        if counts[call.layer] == 1:
            yield call
        else:
            yield replace(call, name=f"{call.layer}@{seen[call.layer]}")
            seen[call.layer] += 1

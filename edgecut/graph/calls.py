"""A Keras model as a flat, topologically ordered list of calls, nested models opened."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace

import keras
from keras import tree

from edgecut.graph.callgraph import Call, Calls, Opened, Tensor, ancestors, descendants, flat
from edgecut.graph.dataflow import call_names
from edgecut.graph.keras_private import Cast, Functional, Node
from edgecut.graph.keras_types import NamedInputs, S, TensorTree
from edgecut.graph.masks import mask_of, with_masks
from edgecut.graph.naming import attribute_names, automatic_name, has_automatic_name, unique_name
from edgecut.graph.trace import Graph, graph_of, own_graph

__all__ = ["Call", "Calls", "Opened", "Tensor", "ancestors", "calls", "descendants", "flat", "takes_argument"]


def calls(model: keras.Model, inputs: NamedInputs | None = None) -> Calls:
    """The flat list of a model's calls, in an order in which they can be run.

    Nested Functional and Sequential models are opened as "outer.inner" unless their call is overridden or they are
    given a mask; the k-th call of a shared layer is "layer@k", counted from 0; a mask is put out by "layer:mask". A
    subclassed model is traced through its call; its layers go by the attributes that hold them where Keras named
    them. The model isn't changed. inputs: what a subclassed model's call is given, keras.Input tensors by argument;
    needed where it takes several, since Keras records the first one's shape alone.
    Raises GraphError if the model has no graph and its call can't be traced.

    >>> [call.name for call in edgecut.calls(edgecut.load("bell.keras"))]
    ['image', 'conv', 'pool', 'scores']
    """
    with graph_of(model, inputs) as graph:
        is_traced = graph is not own_graph(model)
        rows = _Rows(attribute_names(model) if is_traced else {}, is_traced=is_traced)
        inputs = tree.map_structure(rows.declare_input, graph._inputs_struct)
        rows.open(graph, prefix="", overrides={})
        outputs = tree.map_structure(lambda x: rows.tensors[id(x)], graph._outputs_struct)
    found, masks = with_masks(_numbered(_used(rows.calls, outputs)), rows.recorded)
    return Calls(
        tuple(found),
        inputs,
        outputs,
        model.name,
        masks,
        _numbered_models(rows.opened),
        rows.aliases,
        frozenset((*masks.values(), *rows.recorded.values())),
    )


def takes_argument(operation: keras.Operation, name: str) -> bool:
    """Whether an operation's call has an argument of that name."""
    parameters = inspect.signature(operation.call).parameters
    return name in parameters


class _Rows:
    """The calls found so far, and the Tensor of each Keras tensor."""

    def __init__(self, attributes: Mapping[int, str], *, is_traced: bool) -> None:
        """attributes: the name that a subclassed model gives to a layer, by the layer's id."""
        self.is_traced = is_traced
        self.operators: dict[int, str] = {}
        self.calls: list[Call] = []
        self.tensors: dict[int, Tensor] = {}
        self.opened: list[Opened] = []
        self.aliases: dict[str, str] = {}
        self.recorded: dict[Tensor, Tensor] = {}
        self.attributes = attributes

    def declare_input(self, keras_tensor: keras.KerasTensor) -> Tensor:
        """The Tensor of a model input, with an InputLayer call of its own."""
        operation = keras_tensor._keras_history.operation
        tensor = _tensor(keras_tensor)
        self.tensors[id(keras_tensor)] = tensor
        self.calls.append(Call(operation.name, operation.name, operation, (), {}, (), (tensor,)))
        return tensor

    def open(self, graph: Graph, prefix: str, overrides: Mapping[str, object]) -> None:
        """Add a graph's calls. overrides: call arguments (training) that an outer call imposes."""
        nodes = [node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]]
        for node in nodes:
            if not node.is_input:
                self.add(node, prefix, overrides)
        for x in (x for node in nodes for x in node.outputs):
            if id(mask_of(x)) in self.tensors:
                self.recorded[self.tensors[id(x)]] = self.tensors[id(mask_of(x))]

    def add(self, node: Node, prefix: str, overrides: Mapping[str, object]) -> None:
        operation = node.operation
        args, kwargs = node.arguments.convert(self._of)
        path = prefix + self._name(operation)
        inner = own_graph(operation)
        # Keras fills in a structure of None as the mask of several inputs.
        if inner is not None and all(mask is None for mask in tree.flatten(kwargs.get("mask"))):
            given = self._match_inputs(inner, args[0] if args else kwargs["inputs"], path)
            if given is not None:
                training = {"training": kwargs["training"]} if kwargs.get("training") is not None else {}
                self._open_nested(inner, given, node, path, {**training, **overrides})
                return
        for key, value in overrides.items():
            if takes_argument(operation, key):
                kwargs = {**kwargs, key: value}
        outputs = tuple(_tensor(x) for x in node.outputs)
        self.tensors.update({id(x): tensor for x, tensor in zip(node.outputs, outputs, strict=True)})
        inputs = flat((args, kwargs))
        self.calls.append(Call(path, path, operation, args, kwargs, inputs, outputs))

    def _name(self, operation: keras.Operation) -> str:
        """The layer's name: the one it was given, else the attribute that holds it; the other is an alias.

        An operator of a traced model gets a name that doesn't differ from trace to trace.
        """
        attribute = self.attributes.get(id(operation))
        if attribute is None:
            return self._operator_name(operation) if self.is_traced else operation.name
        name, other = operation.name, attribute
        if has_automatic_name(operation):
            name, other = other, name
        if other != name:
            self.aliases[other] = name
        return name

    def _operator_name(self, operation: keras.Operation) -> str:
        if id(operation) not in self.operators:
            wanted = automatic_name(operation) if has_automatic_name(operation) else operation.name
            name = unique_name(wanted, {*self.operators.values(), *self.attributes.values()})
            self.operators[id(operation)] = name
        return self.operators[id(operation)]

    def _open_nested(
        self,
        inner: Functional,
        given: tuple[Tensor, ...],
        node: Node,
        path: str,
        overrides: Mapping[str, object],
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
        self.opened.append(Opened(path, given, tuple(results)))

    def _infer_shapes(self, first: int, results: list[Tensor]) -> list[Tensor]:
        """Renew the shapes from call `first` on, where a nested model of open size is called on a fixed one."""
        renewed: dict[Tensor, Tensor] = {}

        def renew(structure: S) -> S:
            return tree.map_structure(lambda x: renewed.get(x, x) if isinstance(x, Tensor) else x, structure)

        for position in range(first, len(self.calls)):
            call = self.calls[position]
            args, kwargs = renew((call.args, call.kwargs))
            spec = call.operation.compute_output_spec(*_symbolic(args), **_symbolic(kwargs))
            outputs = tuple(_tensor(x) for x in tree.flatten(spec))
            renewed.update(zip(call.outputs, outputs, strict=True))
            self.calls[position] = replace(call, args=args, kwargs=kwargs, inputs=flat((args, kwargs)), outputs=outputs)
        self.opened = [
            nested
            if not renewed.keys() & {*nested.fed, *nested.outputs}
            else Opened(nested.path, renew(nested.fed), renew(nested.outputs))
            for nested in self.opened
        ]
        self.recorded = {renewed.get(x, x): renewed.get(mask, mask) for x, mask in self.recorded.items()}
        return [renewed.get(tensor, tensor) for tensor in results]

    def _match_inputs(self, graph: Functional, given: TensorTree, path: str) -> tuple[Tensor, ...] | None:
        """The outer tensors in the order of a nested model's inputs; None if they don't fit one to one."""
        struct = graph._inputs_struct
        if isinstance(struct, dict) and isinstance(given, dict):
            if set(struct) != set(given):
                return None
            given = {key: given[key] for key in struct}
        tensors = tree.flatten(given)
        fits = len(tensors) == len(graph.inputs) and all(
            isinstance(tensor, Tensor) and len(tensor.shape) == len(x.shape)
            for tensor, x in zip(tensors, graph.inputs, strict=True)
        )
        return tuple(self._cast(t, x, path) for t, x in zip(tensors, graph.inputs, strict=True)) if fits else None

    def _cast(self, tensor: Tensor, wanted: keras.KerasTensor, path: str) -> Tensor:
        """The tensor in the dtype of a nested model's input, to which Keras converts what it is given."""
        dtype = keras.backend.standardize_dtype(wanted.dtype)
        if dtype == tensor.dtype:
            return tensor
        name = f"{path}.{wanted._keras_history.operation.name}"
        converted = replace(tensor, dtype=dtype)
        self.calls.append(Call(name, name, Cast(dtype), (tensor,), {}, (tensor,), (converted,)))
        return converted

    def _of(self, value: object) -> object:
        return self.tensors[id(value)] if isinstance(value, keras.KerasTensor) else value


def _used(found: list[Call], outputs: TensorTree) -> list[Call]:
    """The calls without those that nothing needs; inputs are kept."""
    needed = set(flat(outputs))
    kept = []
    for call in reversed(found):
        if call.is_input or any(tensor in needed for tensor in call.outputs):
            kept.append(call)
            needed.update(call.inputs)
    return kept[::-1]


def _symbolic(structure: S) -> S:
    return tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype) if isinstance(x, Tensor) else x, structure)


def _tensor(keras_tensor: keras.KerasTensor) -> Tensor:
    shape, dtype = tuple(keras_tensor.shape), keras.backend.standardize_dtype(keras_tensor.dtype)
    return Tensor(shape, dtype, bool(keras_tensor.sparse))


def _numbered(found: list[Call]) -> list[Call]:
    """The calls with "@k" names where a layer is called more than once."""
    names = call_names([call.layer for call in found])
    return [call if call.name == name else replace(call, name=name) for call, name in zip(found, names, strict=True)]


def _numbered_models(opened: list[Opened]) -> dict[str, Opened]:
    """The nested models by name, "@k" for the k-th call of one that is called several times."""
    return dict(zip(call_names([nested.path for nested in opened]), opened, strict=True))

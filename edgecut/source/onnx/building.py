"""What a rule has at hand: a node's inputs as views and constants, and how to make layers with weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from edgecut.source.onnx.layers import AddWeight, Weight
from edgecut.source.onnx.layout import LayoutError, Mover, View, constant_view
from edgecut.source.onnx.nodes import Node
from edgecut.source.onnx.tracing import Shape, Trace


class Unsupported(Exception):
    """A node that no layer computes; the message ends a sentence that begins with the node."""


@dataclass
class Build:
    """The state of an import. views: each tensor that was made. layers: of each layer, the node that it is of.

    origins: of a constant that is a weight under another name, that weight. called: by what makes layers alike, those
    with weights and what they were called on first. again: the further nodes that a layer is of.
    """

    trace: Trace
    views: dict[str, View] = field(default_factory=dict)
    layers: dict[str, Node] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    notes: dict[str, None] = field(default_factory=dict)
    moved: dict[tuple[Any, ...], tuple[Any, Any]] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    called: dict[tuple[str, ...], list[tuple[Any, Any]]] = field(default_factory=dict)
    again: dict[str, list[Node]] = field(default_factory=dict)

    def nodes_of(self, layer: str) -> tuple[str, ...]:
        """The names of the file's nodes that a layer computes."""
        nodes = [self.layers[layer], *self.again.get(layer, ())]
        return tuple(name for node in nodes for name in node.covers or (node.name,))


class Site:
    """One node and what its rule needs."""

    def __init__(self, build: Build, node: Node, name: str) -> None:
        """name: of its main layer."""
        self.node, self.name, self._build = node, name, build
        self.mover = Mover(self._reshape, self._permute, build.moved)

    @property
    def trace(self) -> Trace:
        """What the run showed."""
        return self._build.trace

    def note(self, sentence: str) -> None:
        """Say something once to whoever imports."""
        self._build.notes[sentence] = None

    def has(self, index: int) -> bool:
        """Whether an optional input is there."""
        return bool(self.node.input(index))

    def is_input(self, index: int) -> bool:
        """Whether an input of the node is one of the model's."""
        tensor = self.view(index).tensor
        return isinstance(tensor._keras_history.operation, keras.layers.InputLayer)

    def is_constant(self, index: int) -> bool:
        """Whether an input is a constant."""
        return self.node.input(index) in self.trace.constants

    def constant(self, index: int) -> np.ndarray | None:
        """An input's value, None where it is left out. Raises Unsupported if it depends on the data."""
        name = self.node.input(index)
        if not name:
            return None
        if name not in self.trace.constants:
            raise Unsupported(f"its input {name!r} is computed from the data, and a constant is expected")
        return self.trace.constants[name]

    def weight(self, index: int) -> np.ndarray:
        """A constant input that must be there, as float32."""
        value = self.constant(index)
        if value is None:
            raise Unsupported(f"lacks its input {index}")
        return value.astype(np.float32, copy=False)

    def optional(self, index: int) -> np.ndarray | None:
        """A constant input as float32, None where it is left out."""
        value = self.constant(index)
        return None if value is None else value.astype(np.float32, copy=False)

    def integers(self, index: int, attribute: str) -> list[int] | None:
        """Integers that are an input since some opset, and an attribute before it; None where there are none."""
        if attribute in self.node.attributes:
            value = self.node.attributes[attribute]
            return [int(value)] if isinstance(value, int) else [int(x) for x in value]
        value = self.constant(index)
        return None if value is None else [int(x) for x in np.atleast_1d(value)]

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute of the node."""
        return self.node.attributes.get(name, default)

    def view(self, index: int = 0) -> View:
        """An input as a view, a constant too."""
        name = self.node.input(index)
        if name in self._build.views:
            return self._build.views[name]
        value = self.constant(index)
        if value is None:
            raise Unsupported(f"lacks its input {index}")
        return constant_view(value)

    def tensor_view(self, index: int = 0) -> View:
        """An input as the view of a Keras tensor; a constant becomes a layer's weight."""
        view = self.view(index)
        return replace_tensor(view, self.as_tensor(view.tensor)) if isinstance(view.tensor, np.ndarray) else view

    def as_tensor(self, value: Any) -> Any:
        """A Keras tensor: itself, or the weight of a layer that puts out an array (1, ...)."""
        if not isinstance(value, np.ndarray):
            return value
        like = next(iter(self._build.views.values())).tensor
        layer = self.layer(Weight, "weight", shape=value.shape[1:], dtype=_float(value))
        return self.call(layer, like, [value[0]])

    def shape(self, output: int = 0) -> Shape:
        """The shape of an output at batch 1."""
        name = self.node.outputs[output]
        if name not in self.trace.shapes:
            raise Unsupported("puts out no tensor")
        return self.trace.shapes[name]

    def with_batch(self, name: str) -> list[bool] | None:
        """For each axis of a tensor whether the batch is in it; None where that can't be told."""
        one, three = self.trace.shapes.get(name), self.trace.batched.get(name)
        if one is None or three is None or len(one) != len(three):
            return None
        flags = [a != b for a, b in zip(one, three, strict=True)]
        return flags if any(flags) else None

    def layer(self, kind: Callable[..., Any], suffix: str = "", **options: Any) -> Any:
        """A layer of this node. suffix: tells it apart from the node's main layer."""
        return kind(name=self.layer_name(suffix), **options)

    def layer_name(self, suffix: str = "") -> str:
        """A name that no layer has yet."""
        base = f"{self.name}.{suffix}" if suffix else self.name
        name, count = base, 0
        while name.lower() in self._build.used:
            count += 1
            name = f"{base}_{count}"
        self._build.used.add(name.lower())
        self._build.layers[name] = self.node
        return name

    def call(self, layer: Any, x: Any, weights: Sequence[np.ndarray] = (), **options: Any) -> Any:
        """A layer called, with weights; an earlier node's layer where this one is the same of the same weights."""
        key = self._likeness(layer)
        if weights and not options:
            for other, first in self._build.called.get(key, ()):
                if self._is_same(other, first, x, weights):
                    del self._build.layers[layer.name]
                    self._build.used.discard(layer.name.lower())
                    self._build.again.setdefault(other.name, []).append(self.node)
                    return other(x)
        result = layer(x, **options)
        if weights and not options:
            self._build.called.setdefault(key, []).append((layer, x))
        for variable, value in zip(layer.weights, weights, strict=True) if weights else ():
            if tuple(variable.shape) != value.shape:
                raise Unsupported(f"its weight has the shape {value.shape}, and {tuple(variable.shape)} is expected")
            variable.assign(value)
        return result

    def _likeness(self, layer: Any) -> tuple[str, ...]:
        """What layers of the same weights have in common: kind, options, and the weights' names in the file."""
        constants = [name for name in self.node.inputs if name in self.trace.constants]
        config = {key: value for key, value in layer.get_config().items() if key != "name"}
        return (type(layer).__name__, str(config), *(self._build.origins.get(name, name) for name in constants))

    def _is_same(self, other: Any, first: Any, x: Any, weights: Sequence[np.ndarray]) -> bool:
        """Whether an earlier node's layer can be called on x in place of a new one.

        torch's exporter stores equal vectors of unlike modules once, those of fresh normalizations for one, so that
        vectors are only shared behind a layer that is.
        """
        if self._build.layers[other.name] is self.node or len(first.shape) != len(x.shape):
            return False
        if max(value.ndim for value in weights) < 2 and _weighted(first) is not _weighted(x):
            return False
        held = [keras.ops.convert_to_numpy(variable) for variable in other.weights]
        return all(np.array_equal(a, b) for a, b in zip(held, weights, strict=True))

    def op(self, function: Callable[..., Any], *args: Any, suffix: str = "", **options: Any) -> Any:
        """What an operation of keras.ops gives, under a name of this node."""
        result = function(*args, **options)
        first = result[0] if isinstance(result, list | tuple) else result
        operation = getattr(first, "_keras_history", None)
        if operation is not None:
            operation.operation.name = self.layer_name(suffix)
        return result

    def bias(self, x: Any, bias: np.ndarray | None, suffix: str = "bias") -> Any:
        """A tensor (..., channels) plus a bias by channel."""
        return x if bias is None else self.call(self.layer(AddWeight, suffix, shape=bias.shape), x, [bias])

    def out(self, view: View) -> None:
        """Keep the node's only output."""
        self._build.views[self.node.outputs[0]] = view

    def outs(self, views: Mapping[int, View]) -> None:
        """Keep outputs by their place, those that have a name."""
        for place, view in views.items():
            if place < len(self.node.outputs) and self.node.outputs[place]:
                self._build.views[self.node.outputs[place]] = view

    def _reshape(self, tensor: Any, sizes: tuple[int, ...]) -> Any:
        return self.call(self.layer(keras.layers.Reshape, "reshape", target_shape=sizes), tensor)

    def _permute(self, tensor: Any, order: tuple[int, ...]) -> Any:
        return self.call(self.layer(keras.layers.Permute, "permute", dims=order), tensor)


def replace_tensor(view: View, tensor: Any) -> View:
    """A view's axes over another tensor of its shape."""
    return View(tensor, view.axes, view.positive)


def _weighted(x: Any) -> Any:
    """The operation with weights that a tensor comes from, through operations of one input that have none."""
    operation, index, _ = x._keras_history
    inputs = operation._inbound_nodes[index].arguments.keras_tensors
    if getattr(operation, "weights", ()) or len(inputs) != 1:
        return operation
    return _weighted(inputs[0])


def axis_of(view: View, axis: int) -> int:
    """A positive axis. Raises LayoutError for one that isn't there."""
    rank = len(view.axes)
    if not -rank <= axis < rank:
        raise LayoutError(f"its axis {axis} isn't there in {rank} axes")
    return axis % rank


def _float(value: np.ndarray) -> str:
    return "float32" if value.dtype.kind == "f" else value.dtype.name

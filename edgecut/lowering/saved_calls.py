"""A saved model's calls in plain values, as a live model tells them; without Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgecut.graph.dataflow import call_names
from edgecut.graph.layer_call import LayerCall, setting
from edgecut.graph.tensor import Tensor
from edgecut.lowering.dtypes import output_dtype, said_dtype
from edgecut.lowering.layer_weights import known_weights
from edgecut.lowering.saved_nodes import Key, Reader, SavedNode, class_of, inner_layers, input_keys, keys
from edgecut.lowering.saved_order import in_order
from edgecut.lowering.shapes import Shape, input_shape, output_shape
from edgecut.records.json_value import JsonObject, table


@dataclass(frozen=True)
class SavedCalls:
    """The calls of a saved model in an order in which they can be run, nested models opened.

    inputs, outputs: of the whole. named: what each layer puts out, "outer.inner" in nested models.
    """

    calls: tuple[LayerCall, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    named: Mapping[str, tuple[Tensor, ...]]


def saved_calls(config: JsonObject) -> SavedCalls:
    """The calls of a functional or sequential model; none for another."""
    rows = _Rows()
    outputs = rows.open(config, "", None)
    names = call_names([call.path for call in rows.calls])
    numbered = tuple(replace(call, name=name) for call, name in zip(rows.calls, names, strict=True))
    return SavedCalls(numbered, tuple(rows.inputs), outputs, rows.named)


def unknown_layers(config: JsonObject) -> tuple[str, ...]:
    """The Lambdas and layers of one's own classes, whose operators no table knows; "outer.inner" in nested models."""
    names: list[str] = []
    for name, layer in inner_layers(config).items():
        if inner_layers(layer):
            names += [f"{name}.{inner}" for inner in unknown_layers(layer)]
        elif layer.get("registered_name") or layer.get("class_name") == "Lambda":
            names.append(name)
    return tuple(names)


@dataclass
class _Rows:
    """The calls so far, those of the models inside included."""

    calls: list[LayerCall] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    named: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)

    def open(self, config: JsonObject, prefix: str, fed: Sequence[Tensor] | None) -> tuple[Tensor, ...]:
        """Add the calls of a model; what it puts out. fed: what it is called on; None for the whole model."""
        layers = inner_layers(config)
        reader = Reader(layers)
        nodes = [node for name, layer in layers.items() for node in reader.nodes(name, layer)]
        if not nodes:
            return self._row(layers, prefix, fed)
        made: dict[Key, Tensor] = {}
        is_as_said = True
        for place, key in enumerate(input_keys(config, layers)):
            given = fed[place] if fed is not None and place < len(fed) else None
            settings = table(layers[key[0]].get("config"))
            made[key] = self._input(f"{prefix}{key[0]}", settings, given)
            # A model that is called on other sizes than those it was made for says nothing of these.
            is_as_said = is_as_said and made[key].shape == input_shape(settings)
        ends = tuple(keys(setting(config, "output_layers"), layers))
        for node in in_order(nodes, tuple(made), ends):
            told = reader.told(node)
            if not is_as_said:
                told = tuple(replace(tensor, shape=()) for tensor in told)
            outputs = self._call(f"{prefix}{node.layer}", layers[node.layer], _with_tensors(node, made), told)
            made |= {(node.layer, node.number, place): tensor for place, tensor in enumerate(outputs)}
        for (name, _, _), tensor in made.items():
            self.named[f"{prefix}{name}"] = (*self.named.get(f"{prefix}{name}", ()), tensor)
        return tuple(made[key] for key in ends if key in made)

    def _row(self, layers: Mapping[str, JsonObject], prefix: str, fed: Sequence[Tensor] | None) -> tuple[Tensor, ...]:
        """Add layers that are called one after another."""
        waiting, outputs = list(fed or ()), tuple(fed or ())
        for name, layer in layers.items():
            settings = table(layer.get("config"))
            if layer.get("class_name") == "InputLayer":
                outputs = (self._input(f"{prefix}{name}", settings, waiting.pop(0) if waiting else None),)
            else:
                outputs = outputs or (self._input(f"{prefix}input", {"batch_shape": _first_shape(layer)}, None),)
                outputs = self._call(f"{prefix}{name}", layer, (outputs, {}), ())
            self.named[f"{prefix}{name}"] = outputs
        return outputs

    def _input(self, name: str, settings: JsonObject, given: Tensor | None) -> Tensor:
        """What an input layer puts out: what the model is called on, or an input of the whole."""
        if given is not None:
            return given
        tensor = Tensor(input_shape(settings), said_dtype(settings.get("dtype")))
        self.calls.append(LayerCall(name, "InputLayer", settings, (), {}, (), (tensor,), path=name, layer=name))
        self.inputs.append(tensor)
        return tensor

    def _call(
        self,
        path: str,
        layer: JsonObject,
        given: tuple[tuple[object, ...], Mapping[str, object]],
        told: Sequence[Tensor],
    ) -> tuple[Tensor, ...]:
        """Add the call of a layer or model; what it puts out. given: args, kwargs. told: as the file says them."""
        inputs = tuple(_tensors(given))
        if not inputs:
            # A damaged file: what it reads is made by nothing.
            layer, told = {"class_name": "InputLayer"}, told[:1]
        if inner_layers(layer):
            return self.open(layer, f"{path}.", inputs)
        config = table(layer.get("config"))
        call = LayerCall(path, class_of(layer), config, *given, inputs, (), path=path, layer=path)
        first = told[0] if told else Tensor((), "")
        first = Tensor(first.shape or output_shape(call), first.dtype or output_dtype(call))
        outputs = (first, *(Tensor(tensor.shape, tensor.dtype or "float32") for tensor in told[1:]))
        call = replace(call, outputs=outputs)
        self.calls.append(replace(call, weights=known_weights(call)))
        return outputs


def _with_tensors(node: SavedNode, made: Mapping[Key, Tensor]) -> tuple[tuple[object, ...], Mapping[str, object]]:
    """What a call is given, each Key replaced by its Tensor."""

    def replaced(value: object) -> object:
        if isinstance(value, tuple):
            return made.get(value)
        if isinstance(value, list):
            return [replaced(x) for x in value]
        return {key: replaced(x) for key, x in value.items()} if isinstance(value, dict) else value

    return tuple(replaced(x) for x in node.args), {key: replaced(x) for key, x in node.kwargs.items()}


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for child in value:
            yield from _tensors(child)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))


def _first_shape(layer: JsonObject) -> Shape:
    """The shape that a row of layers takes, as its first layer says, or the first layer inside that."""
    shape = input_shape(table(layer.get("config")))
    inner = next(iter(inner_layers(layer).values()), None)
    return shape if shape or inner is None else _first_shape(inner)

"""A saved model's calls in plain values, as a live model tells them; without Keras."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgecut.graph.tensor import Tensor
from edgecut.lowering.layer_call import LayerCall, setting
from edgecut.lowering.shapes import Shape, input_shape, output_shape, said_shape
from edgecut.records.json_value import Json, JsonObject, items, table

Key = tuple[str, int, int]
"""What a call puts out: the layer, which of its calls, which output."""


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
    return SavedCalls(tuple(rows.calls), tuple(rows.inputs), outputs, rows.named)


def inner_layers(config: JsonObject) -> dict[str, JsonObject]:
    """The layers of a saved model by name, in the file's order; none for a layer that is no model."""
    layers = [row for row in items(setting(config, "layers")) if isinstance(row, Mapping)]
    return {str(name): layer for layer in layers if (name := layer.get("name") or setting(layer, "name"))}


def unknown_layers(config: JsonObject) -> tuple[str, ...]:
    """The Lambdas and layers of one's own classes, whose operators no table knows; "outer.inner" in nested models."""
    names: list[str] = []
    for name, layer in inner_layers(config).items():
        if inner_layers(layer):
            names += [f"{name}.{inner}" for inner in unknown_layers(layer)]
        elif layer.get("registered_name") or layer.get("class_name") == "Lambda":
            names.append(name)
    return tuple(names)


@dataclass(frozen=True, eq=False)
class _Node:
    """A call as it is saved. args, kwargs: what it is given, each tensor as its Key; keys: those in them."""

    layer: str
    number: int
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    keys: tuple[Key, ...]


@dataclass
class _Rows:
    """The calls so far, those of the models inside included."""

    calls: list[LayerCall] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    named: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)

    def open(self, config: JsonObject, prefix: str, fed: Sequence[Tensor] | None) -> tuple[Tensor, ...]:
        """Add the calls of a model; what it puts out. fed: what it is called on; None for the whole model."""
        layers = inner_layers(config)
        reader = _Reader(layers)
        nodes = [node for name, layer in layers.items() for node in reader.nodes(name, layer)]
        if not nodes:
            return self._row(layers, prefix, fed)
        made: dict[Key, Tensor] = {}
        for place, key in enumerate(_input_keys(config, layers)):
            given = fed[place] if fed is not None and place < len(fed) else None
            made[key] = self._input(f"{prefix}{key[0]}", table(layers[key[0]].get("config")), given)
        times = Counter(node.layer for node in nodes)
        for node in _in_order(nodes, made):
            name = f"{prefix}{node.layer}" + (f"@{node.number}" if times[node.layer] > 1 else "")
            outputs = self._call(name, layers[node.layer], _with_tensors(node, made), reader.shapes(node))
            made |= {(node.layer, node.number, place): tensor for place, tensor in enumerate(outputs)}
        for (name, _, _), tensor in made.items():
            self.named[f"{prefix}{name}"] = (*self.named.get(f"{prefix}{name}", ()), tensor)
        return tuple(made[key] for key in _keys(setting(config, "output_layers"), layers) if key in made)

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
        tensor = Tensor(input_shape(settings), "float32")
        self.calls.append(LayerCall(name, "InputLayer", settings, (), {}, (), (tensor,)))
        self.inputs.append(tensor)
        return tensor

    def _call(
        self,
        name: str,
        layer: JsonObject,
        given: tuple[tuple[object, ...], Mapping[str, object]],
        shapes: Sequence[Shape],
    ) -> tuple[Tensor, ...]:
        """Add the call of a layer or model; what it puts out. given: args, kwargs. shapes: as the file says them."""
        inputs = tuple(_tensors(given))
        if not inputs:
            # A damaged file: what it reads is made by nothing.
            layer, shapes = {"class_name": "InputLayer"}, shapes[:1]
        if inner_layers(layer):
            return self.open(layer, f"{name}.", inputs)
        call = LayerCall(name, str(layer.get("class_name")), table(layer.get("config")), *given, inputs, ())
        first = shapes[0] if shapes and shapes[0] else output_shape(call)
        outputs = tuple(Tensor(shape, "float32") for shape in (first, *shapes[1:]))
        self.calls.append(replace(call, outputs=outputs))
        return outputs


class _Reader:
    """The calls of layers as Keras 3 and Keras 2 save them, and the shapes that Keras 3 saves with their tensors."""

    def __init__(self, layers: Mapping[str, JsonObject]) -> None:
        """layers: of one model, by name."""
        self._layers = layers
        self._shapes: dict[tuple[str, int], dict[int, Shape]] = {}
        self._keys: list[Key] = []

    def nodes(self, name: str, layer: JsonObject) -> Iterator[_Node]:
        """The calls of a layer in order, inputs left out."""
        for number, saved in enumerate(items(layer.get("inbound_nodes"))):
            self._keys = []
            if isinstance(saved, Mapping):
                args = tuple(self._structure(x) for x in items(saved.get("args")))
                kwargs = {key: self._structure(x) for key, x in table(saved.get("kwargs")).items()}
            else:
                args, kwargs = self._of_keras_2(items(saved))
            if self._keys:
                yield _Node(name, number, args, kwargs, tuple(self._keys))

    def shapes(self, node: _Node) -> tuple[Shape, ...]:
        """The shapes of what a call puts out, as far as others read it."""
        told = self._shapes.get((node.layer, node.number), {})
        return tuple(told.get(place, ()) for place in range(max(told, default=-1) + 1))

    def _structure(self, value: Json) -> object:
        if isinstance(value, Mapping):
            facts = table(value.get("config"))
            key = self._key(facts.get("keras_history"))
            return {name: self._structure(x) for name, x in value.items()} if key is None else self._read(key, facts)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self._structure(x) for x in value]
        return value

    def _of_keras_2(self, saved: Sequence[Json]) -> tuple[tuple[object, ...], dict[str, object]]:
        """[name, node, tensor, {argument: the same or a constant}], alone or several in a list."""
        key = self._key(saved)
        if key is None:
            rows = [self._of_keras_2(items(row)) for row in saved]
            return tuple(x for args, _ in rows for x in args), {k: v for _, kwargs in rows for k, v in kwargs.items()}
        told = table(saved[3]).items() if len(saved) > 3 else ()
        given = {name: (self._key(value), value) for name, value in told}
        kwargs: dict[str, object] = {
            name: value if inner is None else self._read(inner) for name, (inner, value) in given.items()
        }
        return (self._read(key),), kwargs

    def _key(self, value: Json) -> Key | None:
        row = items(value)
        if len(row) < 3 or not isinstance(row[0], str) or row[0] not in self._layers:
            return None
        node, place = row[1], row[2]
        return (row[0], node, place) if isinstance(node, int) and isinstance(place, int) and place >= 0 else None

    def _read(self, key: Key, facts: JsonObject | None = None) -> Key:
        name, node, place = key
        # A place that no layer has isn't worth a list as long.
        if place < _MOST_OUTPUTS:
            self._shapes.setdefault((name, node), {})[place] = said_shape(facts or {})
        self._keys.append(key)
        return key


_MOST_OUTPUTS = 1024


def _in_order(nodes: Sequence[_Node], made: Iterable[Key]) -> Iterator[_Node]:
    """The nodes in the file's order, each behind what it reads; those that can't be run, of a damaged file, last."""
    done = {(name, number) for name, number, _ in made}
    missing = [{key[:2] for key in node.keys} - done for node in nodes]
    readers: dict[tuple[str, int], list[int]] = {}
    for index, keys in enumerate(missing):
        for key in keys:
            readers.setdefault(key, []).append(index)
    ready = [index for index, keys in enumerate(missing) if not keys]
    while ready:
        index = heapq.heappop(ready)
        node = nodes[index]
        yield node
        for reader in readers.get((node.layer, node.number), ()):
            missing[reader].discard((node.layer, node.number))
            if not missing[reader]:
                heapq.heappush(ready, reader)
    yield from (node for node, keys in zip(nodes, missing, strict=True) if keys)


def _with_tensors(node: _Node, made: Mapping[Key, Tensor]) -> tuple[tuple[object, ...], Mapping[str, object]]:
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


def _input_keys(config: JsonObject, layers: Mapping[str, JsonObject]) -> tuple[Key, ...]:
    named = tuple(_keys(setting(config, "input_layers"), layers))
    return named or tuple((name, 0, 0) for name, layer in layers.items() if layer.get("class_name") == "InputLayer")


def _keys(value: Json, layers: Mapping[str, JsonObject]) -> Iterator[Key]:
    """The keys in "input_layers" or "output_layers": [name, node, tensor], alone, in lists or in tables."""
    row = tuple(value.values()) if isinstance(value, Mapping) else items(value)
    if len(row) == 3 and isinstance(row[0], str):
        if row[0] in layers and isinstance(row[1], int) and isinstance(row[2], int):
            yield row[0], row[1], row[2]
        return
    for child in row:
        yield from _keys(child, layers)


def _first_shape(layer: JsonObject) -> Shape:
    """The shape that a row of layers takes, as its first layer says, or the first layer inside that."""
    shape = input_shape(table(layer.get("config")))
    inner = next(iter(inner_layers(layer).values()), None)
    return shape if shape or inner is None else _first_shape(inner)

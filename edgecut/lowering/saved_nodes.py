"""The calls of layers as Keras 3 and Keras 2 save them; without Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgecut.graph.layer_call import setting
from edgecut.graph.tensor import Tensor
from edgecut.lowering.shapes import said_shape
from edgecut.records.json_value import Json, JsonObject, items, table

Key = tuple[str, int, int]
"""What a call puts out: the layer, which of its calls, which output."""


_MOST_OUTPUTS = 1024


_FUNCTIONAL = frozenset({"Functional", "Model"})


def inner_layers(config: JsonObject) -> dict[str, JsonObject]:
    """The layers of a saved model by name, in the file's order; none for a layer that is no model."""
    layers = [row for row in items(setting(config, "layers")) if isinstance(row, Mapping)]
    return {str(name): layer for layer in layers if (name := layer.get("name") or setting(layer, "name"))}


def is_keras_own(said: JsonObject) -> bool:
    """Whether an object is of a class of Keras itself or of edgecut; files of Keras 2 don't say it, and it counts so.

    A module of null is of a class that the session defined which saved it, whatever that is called.
    """
    module, registered = said.get("module", "keras"), said.get("registered_name")
    if isinstance(registered, str) and registered.startswith("edgecut>"):
        return True
    if said.get("class_name") == "function" and not str(module).startswith("keras"):
        return False
    return str(module).partition(".")[0] in {"keras", "builtins"}


def class_of(layer: JsonObject) -> str:
    """The name of a layer's class; "package>Name" of one that isn't Keras's own, which no table of layers has."""
    name = str(layer.get("class_name"))
    return name if is_keras_own(layer) or ">" in name else f"Custom>{name}"


@dataclass(frozen=True, eq=False)
class SavedNode:
    """A call as it is saved. args, kwargs: what it is given, each tensor as its Key; keys: those in them."""

    layer: str
    number: int
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    keys: tuple[Key, ...]


class Reader:
    """The calls of layers as Keras 3 and Keras 2 save them, and the shapes that Keras 3 saves with their tensors."""

    def __init__(self, layers: Mapping[str, JsonObject]) -> None:
        """layers: of one model, by name."""
        self._layers = layers
        self._told: dict[tuple[str, int], dict[int, Tensor]] = {}
        self._keys: list[Key] = []

    def nodes(self, name: str, layer: JsonObject) -> Iterator[SavedNode]:
        """The calls of a layer in order, inputs left out."""
        for number, saved in enumerate(items(layer.get("inbound_nodes"))):
            self._keys = []
            if isinstance(saved, Mapping):
                args = tuple(self._structure(x) for x in items(saved.get("args")))
                kwargs = {key: self._structure(x) for key, x in sorted(table(saved.get("kwargs")).items())}
            else:
                args, kwargs = self._of_keras_2(items(saved))
            if self._keys:
                yield SavedNode(name, number, args, kwargs, tuple(self._keys))

    def told(self, node: SavedNode) -> tuple[Tensor, ...]:
        """What a call puts out, as far as others read it and say it: a shape of (), a dtype of "" where not."""
        told = self._told.get((node.layer, node.number), {})
        return tuple(told.get(place, Tensor((), "")) for place in range(max(told, default=-1) + 1))

    def _structure(self, value: Json) -> object:
        if isinstance(value, Mapping):
            facts = table(value.get("config"))
            key = self._key(facts.get("keras_history"))
            return (
                {name: self._structure(x) for name, x in sorted(value.items())}
                if key is None
                else self._read(key, facts)
            )
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self._structure(x) for x in value]
        return value

    def _of_keras_2(self, saved: Sequence[Json]) -> tuple[tuple[object, ...], dict[str, object]]:
        """[name, node, tensor, {argument: the same or a constant}], alone or several in a list."""
        key = _counted_from_0(self._key(saved), self._layers)
        if key is None:
            rows = [self._of_keras_2(items(row)) for row in saved]
            return tuple(x for args, _ in rows for x in args), {k: v for _, kwargs in rows for k, v in kwargs.items()}
        told = table(saved[3]).items() if len(saved) > 3 else ()
        given = {name: (_counted_from_0(self._key(value), self._layers), value) for name, value in told}
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
            dtype = (facts or {}).get("dtype")
            said = Tensor(said_shape(facts or {}), dtype if isinstance(dtype, str) else "")
            self._told.setdefault((name, node), {})[place] = said
        self._keys.append(key)
        return key


def input_keys(config: JsonObject, layers: Mapping[str, JsonObject]) -> tuple[Key, ...]:
    """What a model takes, in its order."""
    named = tuple(keys(setting(config, "input_layers"), layers))
    return named or tuple((name, 0, 0) for name, layer in layers.items() if layer.get("class_name") == "InputLayer")


def keys(value: Json, layers: Mapping[str, JsonObject]) -> Iterator[Key]:
    """The keys in "input_layers" or "output_layers": [name, node, tensor], alone, in lists or in tables."""
    row = tuple(x for _, x in sorted(value.items())) if isinstance(value, Mapping) else items(value)
    if len(row) == 3 and isinstance(row[0], str):
        if row[0] in layers and isinstance(row[1], int) and isinstance(row[2], int):
            yield _counted_from_0((row[0], row[1], row[2]), layers) or (row[0], row[1], row[2])
        return
    for child in row:
        yield from keys(child, layers)


def _counted_from_0(key: Key | None, layers: Mapping[str, JsonObject]) -> Key | None:
    """The key with the call that it names counted from 0.

    Keras' own models of the functional API call themselves once when they are made, which counts in Keras 2's files,
    and in Keras 3's where they name a model's outputs.
    """
    if key is None or layers[key[0]].get("class_name") not in _FUNCTIONAL or not inner_layers(layers[key[0]]):
        return key
    return key[0], max(0, key[1] - 1), key[2]

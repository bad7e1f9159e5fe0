"""Which TFLite operators a saved model's layers become, as far as its configuration tells it; without Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgecut.lowering.layer_operators import ACTIVATIONS, PLAIN

# Layers and activations whose operator a runtime may lack or run slowly.
_LAYERS = (
    "Sum",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling1D",
    "Mean",
    "Gelu",
    "GELU",
    "Power",
    "Tile",
    "RepeatVector",
    "Conv3D",
    "TopK",
    "OneHot",
    "Where",
    "Exp",
    "HardSilu",
    "HardSwish",
)
_ACTIVATIONS = ("gelu", "hard_silu", "hard_swish", "exponential")


def expected_operators(config: Mapping[str, Any], to: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """(layer, operator) for each layer whose operator is known, "outer.inner" in nested models, in the file's order.

    config: of a functional or sequential model. to: keep only what these layers need; () keeps the whole model.
    Layers that aren't in the table, such as Lambda, say nothing: the written file does.
    """
    return tuple(_expected(config, tuple(to), ""))


def inner_layers(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The layers of a saved model by name, in the file's order; none for a layer that is no model."""
    inner = config.get("config")
    rows = inner.get("layers") if isinstance(inner, dict) else None
    layers = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {str(name): layer for layer in layers if (name := layer.get("name") or _setting(layer, "name"))}


def layers_before(layers: Mapping[str, Mapping[str, Any]], name: str) -> tuple[str, ...]:
    """The layers whose outputs a layer takes; the one before it in the list, in a model that has no nodes."""
    if any(layer.get("inbound_nodes") for layer in layers.values()):
        return tuple(p for p in _named(layers[name].get("inbound_nodes")) if p in layers)
    place = list(layers).index(name)
    return (list(layers)[place - 1],) if place else ()


def unknown_layers(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The Lambdas and layers of one's own classes, whose operators no table knows; "outer.inner" in nested models."""
    names: list[str] = []
    for name, layer in inner_layers(config).items():
        if inner_layers(layer):
            names += [f"{name}.{inner}" for inner in unknown_layers(layer)]
        elif layer.get("registered_name") or layer.get("class_name") == "Lambda":
            names.append(name)
    return tuple(names)


def _expected(config: Mapping[str, Any], to: tuple[str, ...], prefix: str) -> Iterator[tuple[str, str]]:
    layers = inner_layers(config)
    wanted = needed_layers(layers, {name.partition(".")[0] for name in to}) if to else set(layers)
    for name, layer in layers.items():
        if name not in wanted:
            continue
        if inner_layers(layer):
            ends = tuple(end.partition(".")[2] for end in to if end.startswith(f"{name}."))
            yield from _expected(layer, ends, f"{prefix}{name}.")
        else:
            yield from ((f"{prefix}{name}", operator) for operator in _operators(layer))


def needed_layers(layers: Mapping[str, Mapping[str, Any]], ends: set[str]) -> set[str]:
    """The layers that compute the ends; what comes before them in the list, in a model that has no nodes."""
    names = list(layers)
    if not any(layer.get("inbound_nodes") for layer in layers.values()):
        last = max((names.index(end) for end in ends if end in layers), default=len(names) - 1)
        return set(names[: last + 1])
    needed: set[str] = set()
    waiting = [end for end in ends if end in layers]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += layers_before(layers, name)
    return needed


def _named(value: Any) -> Iterator[str]:
    """The layers that a node takes: "keras_history" in Keras 3, [name, node, tensor, ...] in Keras 2."""
    if isinstance(value, dict):
        history = value.get("keras_history")
        if isinstance(history, list) and history:
            yield str(history[0])
        for child in value.values():
            yield from _named(child)
    elif isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and all(isinstance(x, int) for x in value[1:3]):
            yield value[0]
        for child in value:
            yield from _named(child)


def _operators(layer: Mapping[str, Any]) -> Iterator[str]:
    name = layer.get("class_name")
    if name in _LAYERS:
        yield from PLAIN[str(name)]
    activation = _setting(layer, "activation")
    if isinstance(activation, str) and activation in _ACTIVATIONS:
        yield from ACTIVATIONS[activation]


def _setting(layer: Mapping[str, Any], key: str) -> Any:
    settings = layer.get("config")
    return settings.get(key) if isinstance(settings, dict) else None

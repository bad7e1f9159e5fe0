"""Where a saved model keeps the shifts of its normalizations, which a converter leaves out if they are zeros."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from edgecut.lowering.saved_nodes import inner_layers
from edgecut.records.json_value import JsonObject, table


@dataclass(frozen=True)
class Shift:
    """path: the layer's, "outer.inner" in nested models. places: in the file of weights, in one of which it is.

    name: the layer's own.
    """

    path: str
    places: tuple[str, ...]
    name: str


def shifts(config: JsonObject) -> tuple[Shift, ...]:
    """The shift of each LayerNormalization that has one."""
    return tuple(_shifts(config, "", "", ""))


def _shifts(config: JsonObject, path: str, place: str, outer: str) -> Iterator[Shift]:
    """place: the model's group in a .keras archive's weights. outer: the layer of an .h5 file that holds it, or ""."""
    counts: Counter[str] = Counter()
    for name, layer in inner_layers(config).items():
        kind, settings = str(layer.get("class_name")), table(layer.get("config"))
        word = _SNAKES.get(kind, kind)
        group = f"{place}layers/{word}_{counts[word]}/" if counts[word] else f"{place}layers/{word}/"
        counts[word] += 1
        if inner_layers(layer):
            yield from _shifts(layer, f"{path}{name}.", group, outer or name)
        elif kind == "LayerNormalization" and settings.get("center", True):
            own = f"{group}vars/{int(settings.get('scale', True) is True)}"
            legacy = f"model_weights/{outer or name}/{name}/beta"
            yield Shift(f"{path}{name}", (own, legacy, f"{legacy}:0"), name)


# The groups of a .keras archive are called by the classes, as Keras spells them, and counted.
_SNAKES = {"LayerNormalization": "layer_normalization", "Functional": "functional", "Sequential": "sequential"}

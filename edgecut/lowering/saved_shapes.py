"""What a saved model takes and puts out, as far as its configuration tells it; without Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgecut.lowering.expected_operators import inner_layers, layers_before, needed_layers

Shape = tuple[int | None, ...]

# Settings that are the last dimension of what a layer puts out.
_WIDTHS = {
    "Dense": "units",
    "Conv1D": "filters",
    "Conv2D": "filters",
    "Conv2DTranspose": "filters",
    "SeparableConv2D": "filters",
}
# How many dimensions an output has, the batch included; other layers keep those of their first input.
_RANKS = {
    "Conv1D": 3,
    "Conv2D": 4,
    "Conv2DTranspose": 4,
    "SeparableConv2D": 4,
    "MaxPooling2D": 4,
    "AveragePooling2D": 4,
    "DepthwiseConv2D": 4,
    "ZeroPadding2D": 4,
    "UpSampling2D": 4,
    "GlobalAveragePooling1D": 2,
    "GlobalAveragePooling2D": 2,
    "GlobalMaxPooling2D": 2,
    "Flatten": 2,
}
# Layers whose output has the last dimension of their first input.
_SAME_WIDTH = frozenset(
    {
        "Activation",
        "ActivityRegularization",
        "Add",
        "Average",
        "AveragePooling2D",
        "BatchNormalization",
        "Dropout",
        "ELU",
        "GlobalAveragePooling1D",
        "GlobalAveragePooling2D",
        "GlobalMaxPooling2D",
        "LayerNormalization",
        "LeakyReLU",
        "MaxPooling2D",
        "ReLU",
        "Softmax",
        "UpSampling2D",
        "ZeroPadding2D",
    }
)


def input_shapes(config: Mapping[str, Any], to: Sequence[str] = ()) -> tuple[Shape, ...] | None:
    """The shape of each input, the batch first; None where the configuration doesn't say it.

    to: only of the inputs that these layers need; () is the whole model.
    """
    layers = inner_layers(config)
    if not layers:
        return None
    if config.get("class_name") == "Sequential":
        first = next(iter(layers.values()))
        shape = _entry_shape(first)
        return (shape,) if shape is not None else input_shapes(first)
    facts = config["config"].get("input_layers")
    names = list(_ends(facts)) or [n for n, layer in layers.items() if layer.get("class_name") == "InputLayer"]
    if to:
        needed = needed_layers(layers, {name.partition(".")[0] for name in to})
        names = [name for name in names if name in needed]
    shapes = [_entry_shape(layers[name]) for name in names if name in layers]
    known = tuple(shape for shape in shapes if shape is not None)
    return known if known and len(known) == len(names) else None


def output_shapes(config: Mapping[str, Any], to: Sequence[str] = ()) -> tuple[Shape | None, ...]:
    """The shape of each output, sizes before the last one None; None where only the model tells; () if none is named.

    to: these layers put out, "outer.inner" in nested models; () is the whole model.
    """
    layers = inner_layers(config)
    if to:
        return tuple(_named_shape(layers, name) for name in to)
    if config.get("class_name") == "Sequential":
        return (_shape(layers, list(layers)[-1]),) if layers else ()
    inner = config.get("config")
    ends = _ends(inner.get("output_layers")) if isinstance(inner, dict) else ()
    return tuple(_shape(layers, name) for name in ends)


def picture_shape(config: Mapping[str, Any]) -> tuple[int | None, int | None, int] | None:
    """(height, width, channels) of the one picture that a saved model takes; None if it isn't said there."""
    shapes = input_shapes(config) or ()
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] is None:
        return None
    return shapes[0][1], shapes[0][2], shapes[0][3]


def _entry_shape(layer: Mapping[str, Any]) -> Shape | None:
    facts = layer.get("config")
    shape = (facts.get("batch_shape") or facts.get("batch_input_shape")) if isinstance(facts, dict) else None
    if not isinstance(shape, list) or not shape:
        return None
    return tuple(size if isinstance(size, int) else None for size in shape)


def _ends(value: Any) -> Iterator[str]:
    """The layers of "input_layers" or "output_layers": [name, node, tensor], alone, in lists or in tables."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        yield value[0]
    elif isinstance(value, list | dict):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _ends(child)


def _named_shape(layers: Mapping[str, Mapping[str, Any]], name: str) -> Shape | None:
    outer, _, inner = name.partition(".")
    if name in layers or not inner:
        return _shape(layers, name)
    return output_shapes(layers[outer], (inner,))[0] if outer in layers else None


def _shape(layers: Mapping[str, Mapping[str, Any]], name: str) -> Shape | None:
    """What a layer puts out, followed back through layers that keep the number of dimensions or the last of them."""
    rank: int | None = None
    width: int | None = None
    for _ in range(len(layers)):  # a file may say that a layer comes before itself
        layer = layers.get(name, {})
        kind, facts = str(layer.get("class_name")), layer.get("config")
        settings = facts if isinstance(facts, dict) else {}
        whole = _whole_shape(layer)
        if settings.get("data_format") == "channels_first":
            return None
        rank = rank or (len(whole) if whole else _RANKS.get(kind))
        count = whole[-1] if whole else settings.get(_WIDTHS.get(kind, ""))
        width = width or (count if isinstance(count, int) else None)
        if rank and width:
            return (*(None,) * (rank - 1), width)
        before = layers_before(layers, name) if name in layers else ()
        if not before or (kind not in _SAME_WIDTH and not width) or (kind not in {*_SAME_WIDTH, "Dense"} and not rank):
            return None
        name = before[0]
    return None


def _whole_shape(layer: Mapping[str, Any]) -> Shape | None:
    """The shape of an input, of what a Reshape makes, or of a nested model's only output."""
    if layer.get("class_name") == "InputLayer":
        return _entry_shape(layer)
    if layer.get("class_name") == "Reshape":
        sizes = layer["config"].get("target_shape") if isinstance(layer.get("config"), dict) else None
        return (None, *sizes) if isinstance(sizes, list) and all(isinstance(s, int) and s > 0 for s in sizes) else None
    shapes = output_shapes(layer) if inner_layers(layer) else ()
    return shapes[0] if len(shapes) == 1 else None

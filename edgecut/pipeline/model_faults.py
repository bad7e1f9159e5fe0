"""Faults of a request for a model of these inputs and outputs: planned from the saved file, built from the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecut.errors import SourceError
from edgecut.graph.saved import config_of
from edgecut.images.device import CHANNELS, DEFAULT_ORDER
from edgecut.lowering.saved_shapes import input_shapes, output_shapes
from edgecut.records.json_value import JsonObject
from edgecut.records.recipe import LayerRef, Recipe, Stem

Shape = Sequence[int | None]


def planned_part(recipe: Recipe) -> tuple[JsonObject, tuple[str, ...]] | None:
    """(the saved model's configuration, the layers that the build ends at); None where only the edited model tells."""
    cut = recipe.cut
    refs: tuple[LayerRef, ...] = cut.to if isinstance(cut.to, tuple) else () if cut.to is None else (cut.to,)
    if cut.start is not None or cut.drop or cut.replace or not all(isinstance(ref, str) for ref in refs):
        return None
    try:
        config = config_of(recipe.source.model)
    except SourceError:
        return None
    return None if config is None else (config, tuple(str(ref) for ref in refs))


def planned_faults(recipe: Recipe) -> Iterator[str]:
    """The faults of a request, as far as the saved model tells what its build will take and put out."""
    part = planned_part(recipe)
    if part is None:
        return
    config, ends = part
    inputs = input_shapes(config, ends)
    if inputs is not None:
        yield from input_faults(recipe, _behind_stem(inputs, recipe.stem))
    yield from output_faults(recipe, output_shapes(config, ends))


def _behind_stem(inputs: Sequence[Shape], stem: Stem) -> tuple[Shape, ...]:
    if not is_picture(inputs):
        return tuple(inputs)
    height, width = stem.size or inputs[0][1:3]
    channels = stem.channels or (CHANNELS[stem.order] if stem.order else inputs[0][3])
    return ((inputs[0][0], height, width, channels),)


def is_picture(inputs: Sequence[Shape]) -> bool:
    """Whether a model takes one picture, (batch, height, width, channels)."""
    return len(inputs) == 1 and len(inputs[0]) == 4 and inputs[0][3] in DEFAULT_ORDER


def input_faults(recipe: Recipe, inputs: Sequence[Shape]) -> Iterator[str]:
    """What a model of these inputs can't be fed or written with. inputs: behind the stem, the batch first."""
    shapes = [tuple(shape) for shape in inputs]
    if is_picture(inputs):
        if None in shapes[0][1:3]:
            yield (f"stem.size: the model's input is {shapes[0]}, of open size; say what the device feeds (--size HxW)")
        return
    if recipe.data.train is not None:
        yield f"data.train: the model takes {shapes}, so images can't feed it"
    for shape in shapes:
        if None in shape[1:]:
            yield f"source.model: an input is {shape}, and a file has inputs of fixed size; save the model with one"


def output_faults(recipe: Recipe, outputs: Sequence[Shape | None]) -> list[str]:
    """Whether the labels are as many as the outputs that a model without a new head keeps. None: a shape unknown."""
    # Imported here: it is only needed where a recipe names labels.
    if recipe.head is not None or (recipe.data.train is None and recipe.data.labels is None):
        return []
    from edgecut.images.classes import own_output_faults

    return own_output_faults(recipe.data, outputs)

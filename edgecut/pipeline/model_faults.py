"""Faults of a request for a model of these inputs and outputs: planned from the saved file, built from the model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecut.errors import DataError, SourceError
from edgecut.graph.saved import config_of
from edgecut.images.arrays import ArrayInput, ArrayInputs
from edgecut.images.device import CHANNELS, is_picture
from edgecut.images.feed import kind_of
from edgecut.images.listing import class_folders, class_names_of
from edgecut.lowering.saved_shapes import SavedInput, output_activations, output_shapes, saved_inputs
from edgecut.pipeline.onnx_source import imported_inputs, is_onnx
from edgecut.records.data import Data
from edgecut.records.document import closest
from edgecut.records.json_value import JsonObject
from edgecut.records.recipe import CustomPreprocess, LayerRef, Recipe, Stem
from edgecut.score.threshold import one_sided

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


def planned_inputs(recipe: Recipe) -> tuple[SavedInput, ...] | None:
    """The inputs of the model that a build feeds, before its stem; None where only the loaded one tells."""
    part = planned_part(recipe)
    if part is not None:
        return saved_inputs(*part)
    if not is_onnx(recipe.source) or recipe.cut.start is not None:
        return None
    inputs = imported_inputs(recipe.source)
    if inputs is None or (len(inputs) > 1 and recipe.cut.to is not None):  # a part may take fewer
        return None
    return tuple(SavedInput(each.name, each.shape, each.dtype) for each in inputs)


def planned_arrays(recipe: Recipe) -> ArrayInputs | None:
    """The inputs that the recipe's arrays feed, () where only the model tells; None where pictures feed it."""
    inputs = planned_inputs(recipe)
    if inputs is None:
        return () if recipe.data.kind == "arrays" else None
    if kind_of(recipe.data, [each.shape for each in inputs]) == "pictures":
        return None
    return tuple(ArrayInput(each.name, each.shape[1:], each.dtype) for each in inputs)


def planned_faults(recipe: Recipe) -> Iterator[str]:
    """The faults of a request, as far as the saved model tells what its build will take and put out."""
    yield from planned_input_faults(recipe)
    part = planned_part(recipe)
    if part is None:
        yield from unit_faults(recipe, ())
        return
    inputs, outputs = saved_inputs(*part), output_shapes(*part)
    yield from unit_faults(recipe, outputs)
    if recipe.head is None and recipe.data.threshold is not None and recipe.data.train and outputs:
        widths = [0 if shape is None or len(shape) != 2 else shape[-1] or 0 for shape in outputs]
        if recipe.data.target == "classes" and min(widths) > 2:
            yield f"data.threshold: is of two classes or of tags, and the model tells {min(widths)} apart; leave it out"
    if recipe.head is None and len(outputs) == 1 and (fault := one_sided(recipe.data, output_activations(*part)[0])):
        yield fault
    if inputs is not None:
        yield from target_faults(recipe, [each.shape for each in inputs], outputs)
    yield from output_faults(recipe, outputs)


def planned_input_faults(recipe: Recipe) -> Iterator[str]:
    """What the saved model can't be fed, whatever it puts out."""
    inputs = planned_inputs(recipe)
    # Of an .onnx file whose sizes are open its own fault says how to fix them.
    if inputs is not None and not (is_onnx(recipe.source) and any(None in each.shape[1:] for each in inputs)):
        yield from input_faults(recipe, _behind_stem(inputs, recipe.stem))


def _behind_stem(inputs: Sequence[SavedInput], stem: Stem) -> tuple[Shape, ...]:
    shapes = tuple(each.shape for each in inputs)
    if not is_picture(shapes):
        return shapes
    height, width = stem.size or shapes[0][1:3]
    channels = stem.channels or (CHANNELS[stem.order] if stem.order else shapes[0][3])
    return ((shapes[0][0], height, width, channels),)


def input_faults(recipe: Recipe, inputs: Sequence[Shape]) -> Iterator[str]:
    """What a model of these inputs can't be fed or written with. inputs: behind the stem, the batch first."""
    shapes = [tuple(shape) for shape in inputs]
    if kind_of(recipe.data, inputs) == "pictures":
        if not is_picture(inputs):
            yield f"data.kind: the model takes {shapes}, and pictures feed one (batch, height, width, 1, 3 or 4)"
        elif None in shapes[0][1:3]:
            yield (f"stem.size: the model's input is {shapes[0]}, of open size; say what the device feeds (--size HxW)")
        return
    for shape in shapes:
        if None in shape[1:]:
            yield f"source.model: an input is {shape}, and a file has inputs of fixed size; save the model with one"
    if recipe.stem.is_edit and recipe.cut.start is None:
        yield f"stem: edits an input of pictures, and arrays feed {shapes} as they are; leave [stem] out"
    if recipe.data.train is not None:
        yield from scaling_faults(recipe, shapes)
    if recipe.export.quantizer == "ort":
        yield (
            "export.quantizer: ort calibrates on pictures, and arrays feed the model; leave it out, since TFLite's "
            "converter makes int8 files of both formats"
        )
    if recipe.compress.is_asked and len(shapes) > 1:
        yield f"compress: trains a model of one input, and this takes {shapes}; leave [compress] out"


def scaling_faults(recipe: Recipe, shapes: Sequence[tuple[int | None, ...]]) -> Iterator[str]:
    """Whether source.preprocess can be of arrays of these shapes."""
    preprocess = recipe.source.preprocess
    if preprocess == "none":
        return
    if not isinstance(preprocess, CustomPreprocess):
        yield (
            f"source.preprocess: {preprocess!r} is of pictures; arrays are taken as they are, or by "
            "{scale = ..., offset = ...}"
        )
        return
    if preprocess.order != "rgb":
        yield "source.preprocess: order is of pictures; leave it out"
    if len(shapes) > 1:
        yield "source.preprocess: is of one input, and the model takes several; scale the arrays before they are saved"
        return
    for key, values in (("scale", preprocess.scale), ("offset", preprocess.offset)):
        last = shapes[0][-1] if len(shapes[0]) > 1 else None
        if isinstance(values, tuple) and len(values) not in {1, last}:
            yield (
                f"source.preprocess: {key} has {len(values)} values, and the input {shapes[0]} has {last} in its last "
                "axis; give one for each, or one number"
            )


def target_faults(recipe: Recipe, inputs: Sequence[Shape], outputs: Sequence[Shape | None]) -> Iterator[str]:
    """Whether a model of these inputs and outputs can put out again what it takes, where data.target says so."""
    if recipe.data.target != "input" or recipe.data.train is None:
        return
    remedy = "set data.target to what the labels are (--target)"
    if len(inputs) != 1:
        yield f"data.target: 'input' is of a model with one input, and this takes {len(inputs)}; {remedy}"
        return
    sizes, taken = [None if shape is None else _values(shape) for shape in outputs], tuple(inputs[0][1:])
    if sizes and None not in sizes and None not in taken and _values(inputs[0]) not in sizes:
        shown = ", ".join(str(tuple(shape or ())) for shape in outputs)
        yield f"data.target: 'input' needs an output of the input's {taken}, and the model puts out {shown}; {remedy}"


def _values(shape: Shape) -> int | None:
    """How many values one sample of a shape has, the batch first; None where a size is open."""
    sizes = [size for size in shape[1:] if size is not None]
    return math.prod(sizes) if len(sizes) == len(shape) - 1 else None


def threshold_faults(recipe: Recipe) -> Iterator[str]:
    """Whether a threshold can be had of what the recipe makes, as far as it tells."""
    data, head = recipe.data, recipe.head
    if data.threshold is None and data.positive is None:
        return
    key = "data.positive" if data.threshold is None else "data.threshold"
    if data.target not in {"classes", "tags"}:
        yield f"{key}: decides classes or tags, and data.target is {data.target!r}; leave it out"
    elif data.threshold_rule and data.train is None:
        yield f"{key}: {data.threshold_rule} is chosen on labelled data; set data.train (--data), or give a number"
    if data.target == "classes" and head is not None and head.classes > 2:
        yield f"{key}: is of two classes or of tags, and head.classes is {head.classes}; leave it out"
    elif data.target == "classes" and head is not None and head.classes == 2 and head.activation == "logits":
        yield f"{key}: is of a softmax over two classes; set head.activation = 'softmax'"
    elif data.target == "classes" and head is not None and (fault := one_sided(data, head.activation)):
        yield fault
    names = _class_names(data)
    if data.positive is not None and names and data.positive not in names:
        yield f"data.positive: no class {data.positive!r}{closest(data.positive, names)}"


def _class_names(data: Data) -> tuple[str, ...]:
    """The names of the labels or of the class folders, as far as they are known; their faults are told elsewhere."""
    try:
        names = class_names_of(data)
        if names is None and data.target == "classes" and data.train is not None and Path(data.train).is_dir():
            names = tuple(path.name for path in class_folders(Path(data.train), "data.train"))
    except DataError:
        return ()
    return names or ()


def unit_faults(recipe: Recipe, outputs: Sequence[Shape | None]) -> Iterator[str]:
    """Whether there are as many units as values. outputs: of a model without a new head; None: a shape unknown."""
    units = recipe.data.unit_names
    if len(units) < 2 or (recipe.head is None and (not outputs or None in outputs)):
        return
    counts = [shape[-1] for shape in outputs if shape] if recipe.head is None else [recipe.head.classes]
    if len(units) not in counts and None not in counts:
        shown = " and ".join(map(str, counts))
        yield f"data.units: names {len(units)} units, and an output has {shown} values; give one for each, or one"


def output_faults(recipe: Recipe, outputs: Sequence[Shape | None]) -> list[str]:
    """Whether the labels are as many as the outputs that a model without a new head keeps. None: a shape unknown."""
    # Imported here: it is only needed where a recipe names labels.
    if recipe.head is not None or (recipe.data.train is None and recipe.data.labels is None):
        return []
    from edgecut.images.classes import own_output_faults

    return own_output_faults(recipe.data, outputs)

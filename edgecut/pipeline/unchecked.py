"""What a plan can't know about its build, since only the loaded model, the read images or the written files tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgecut.errors import DataError
from edgecut.lowering.saved_calls import unknown_layers
from edgecut.lowering.saved_shapes import input_shapes, output_shapes
from edgecut.pipeline.model_faults import planned_arrays, planned_inputs, planned_part
from edgecut.pipeline.onnx_source import is_onnx
from edgecut.records.recipe import Recipe

_SHOWN = 3  # layers named


def unchecked(recipe: Recipe) -> Iterator[str]:
    """One sentence for each thing that a request without known faults may still fail by."""
    part, cut = planned_part(recipe), recipe.cut
    if part is None:
        edited = cut.start is not None or cut.drop or cut.replace
        why = "the edited model" if edited else f"{recipe.source.model} once it is loaded"
        known = is_onnx(recipe.source) and planned_inputs(recipe) is not None
        yield f"{'' if known else 'inputs, '}outputs and operators, which only {why} tells"
    else:
        config, ends = part
        if input_shapes(config, ends) is None or None in output_shapes(config, ends):
            yield "all shapes of inputs and outputs, which the saved model doesn't say"
        layers = unknown_layers(config)
        if layers:
            more = f" and {len(layers) - _SHOWN} more" if len(layers) > _SHOWN else ""
            yield f"the operators of {', '.join(map(repr, layers[:_SHOWN]))}{more}, which aren't among the known layers"
    if cut.to is not None or cut.start is not None or cut.drop or cut.replace:
        yield "whether the model can be cut there: `edgecut inspect MODEL --cuts --legal` says so"
    if recipe.stem.is_edit:
        yield "whether the stem is exact, and what it loses where it isn't"
    yield from _images(recipe)
    yield "the written files' operators, size, arena, latency and accuracy, against the devices and the limits"


def _images(recipe: Recipe) -> Iterator[str]:
    data = recipe.data
    if data.train is None:
        return
    # Imported here: it is only needed where a recipe names images.
    from edgecut.images.dataset import chosen_files
    from edgecut.images.decode_children import decodes_quickly
    from edgecut.images.npz import read_headers
    from edgecut.images.rows import are_quick
    from edgecut.images.shards import is_sharded

    arrays = planned_arrays(recipe)
    for where, path in (("data.train", data.train), ("data.val", data.val)):
        if path is not None and arrays is None and is_sharded(path):
            yield f"{where}: whether each image of the shards decodes"
    files_of = chosen_files(data, partial=recipe.head is None) if arrays is None else {}
    for where, files in files_of.items():
        if not decodes_quickly(files):
            yield f"{where}: whether each of {len(files):,} images decodes beyond its first bytes"
    for where, path in (("data.train", data.train), ("data.val", data.val)):
        if path is None or Path(path).suffix.lower() != ".npz":
            continue
        try:
            headers = read_headers(Path(path), where)
        except DataError:
            continue
        names = [name for name in headers if name.startswith("x_")]
        if arrays == ():
            yield f"{where}: whether {', '.join(names)} have the shapes of the model's inputs"
        elif arrays is not None and not are_quick(headers, names):
            yield f"{where}: whether the values of {', '.join(names)} are finite"
        elif arrays is None and any(headers[name].dtype != "|u1" for name in names):
            names = [name for name in names if headers[name].dtype != "|u1"]
            yield f"{where}: whether the values of {', '.join(names)} are bytes"

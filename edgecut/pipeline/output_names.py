"""What the outputs are called that a model keeps: as the recipe says, as its file says, or as nobody knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecut.errors import DataError, SourceError
from edgecut.images.classes import GIVE_LABELS, Shape, absent_classes, assumed_order, first_names, own_names
from edgecut.images.shards import is_folder_of_pictures
from edgecut.lowering.saved_shapes import output_shapes
from edgecut.pipeline.model_faults import planned_part
from edgecut.pipeline.onnx_source import is_onnx
from edgecut.records.recipe import Recipe, make_recipe
from edgecut.runtime.class_names import class_names
from edgecut.source.onnx import survey


def with_own_names(recipe: Recipe) -> Recipe:
    """The recipe with the names that the source's file holds of the outputs it keeps, where data.labels has none."""
    if recipe.data.labels is not None or not _keeps_outputs(recipe) or not is_onnx(recipe.source):
        return recipe
    path = Path(recipe.source.model)
    try:
        sizes = {size for shape in _shapes(recipe) for size in shape[1:] if size is not None}
        names = class_names(path, frozenset(sizes))
    except SourceError:
        return recipe  # the import says why
    return with_labels(recipe, names) if names else recipe


def with_labels(recipe: Recipe, labels: str | Sequence[str]) -> Recipe:
    """The recipe with these names, or the names in this file."""
    tables = recipe.to_dict()
    return make_recipe(tables, {"data.labels": labels}, where=recipe.name)


def name_notes(recipe: Recipe, named: Recipe) -> Iterator[str]:
    """What is to be said of the names of the outputs that a model keeps. named: the recipe with its file's own."""
    if recipe.head is not None:
        return
    if named.data.labels != recipe.data.labels and isinstance(named.data.labels, tuple):
        yield f"the outputs have the names that {recipe.source.model} holds ({first_names(named.data.labels)})"
    yield from filter(None, [assumed_order(named.data), absent_classes(named.data)])
    if _keeps_outputs(recipe) and not assumed_order(named.data) and (count := _unnamed(named)):
        yield f"the model's {count} outputs have no names; {GIVE_LABELS}"


def names_question(recipe: Recipe) -> str:
    """What to ask who sits at a terminal about outputs that nothing names; "" where there is nothing to ask."""
    try:
        if not _keeps_outputs(recipe) or not (count := _unnamed(with_own_names(recipe))):
            return ""
        folders = _folders(recipe) if recipe.data.target == "classes" else ()
    except (DataError, SourceError):
        return ""  # the plan says what is wrong
    outputs = f"The model's {count} outputs have no names. Name them: a file, one to a line, or with commas"
    if len(folders) == count:
        whose = "class folders'" if is_folder_of_pictures(str(recipe.data.train)) else "data's"
        return f"{outputs} (Enter: assume the {whose} order, {first_names(folders)})"
    return f"{outputs} (Enter: go on without)"


def _keeps_outputs(recipe: Recipe) -> bool:
    return recipe.head is None and recipe.cut.to is None and recipe.data.target != "input"


def _unnamed(recipe: Recipe) -> int:
    """How many values the outputs have that nothing names; 0 where something does, or nobody would."""
    if recipe.data.labels is not None:
        return 0
    widths = (shape[-1] for shape in _shapes(recipe) if len(shape) == 2)
    return next((width for width in widths if width is not None and width > 1), 0)


def _shapes(recipe: Recipe) -> Sequence[Shape]:
    """The shapes of the outputs, as far as the file tells them; the batch first. Raises SourceError."""
    part = planned_part(recipe)
    if part is not None:
        return [shape for shape in output_shapes(*part) if shape is not None]
    if not is_onnx(recipe.source):
        return ()
    return [tensor.shape for tensor in survey(recipe.source.model).outputs]


def _folders(recipe: Recipe) -> tuple[str, ...]:
    train = recipe.data.train
    return () if train is None else own_names(Path(train), "data.train", recipe.data) or ()

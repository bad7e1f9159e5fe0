"""What the device feeds: the stem that takes it, and the images in its format."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edgecut.errors import RequestError
from edgecut.images.dataset import Images, check_classes, read_calibration, read_data
from edgecut.images.device import DEFAULT_ORDER, in_order
from edgecut.pipeline.model_faults import input_faults, is_picture, output_faults
from edgecut.pipeline.reference import with_features
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Recipe
from edgecut.stem.edit import StemResult, stem

if TYPE_CHECKING:
    from edgecut.pipeline.running import Run

LOOKED_AT = 32  # images on which a stem that isn't fitted is looked at


def edit_stem(state: Run, model: keras.Model) -> keras.Model:
    """The model that takes what the device feeds; the model itself where nothing is asked of its input."""
    recipe = state.recipe
    if recipe.cut.start is not None:
        return model
    if recipe.stem.is_edit:
        with state.step("stem") as facts:
            result = stem_of(recipe, model, state.progress)
            facts.update(stem_facts(model, result))
        model = result.model
    _check_request(recipe, model)
    if is_picture([tensor.shape for tensor in model.inputs]):
        state.device_shape = tuple(model.inputs[0].shape)[1:]
    return model


def read_images(state: Run, model: keras.Model) -> None:
    """Put the recipe's images, in the device's format, into the run; nothing without data.train."""
    recipe = state.recipe
    _check_request(recipe, model)  # an edited model that was kept comes here alone
    if recipe.data.train is None or state.device_shape is None:
        return
    height, width, channels = state.device_shape
    order = recipe.stem.order or DEFAULT_ORDER[channels]
    with state.step("data") as facts:
        colours = 1 if order == "gray" else 3
        dataset = read_data(recipe.data, height=height, width=width, channels=colours, partial=recipe.head is None,
                            progress=state.progress)  # fmt: skip
        if recipe.data.target == "features":
            dataset = with_features(dataset, recipe, state.source, (height, width), state.progress)
        if recipe.head is not None:
            dataset = check_classes(dataset, recipe.head.classes)
        state.dataset = replace(dataset, train=_in_order(dataset.train, order), val=_in_order(dataset.val, order))
        facts.update(changed=False, after={"train": len(dataset.train.pixels), "val": len(dataset.val.pixels)})


def stem_of(recipe: Recipe, model: keras.Model, progress: Progress = SILENT) -> StemResult:
    """The stem that a recipe asks for. Raises StemError, or DataError for images that can't be used."""
    wanted = recipe.stem
    return stem(
        model, channels=wanted.channels, size=wanted.size, preprocess=recipe.source.preprocess,
        resolution=wanted.resolution, pixels=wanted.pixels, data=_pictures(recipe, model, progress), order=wanted.order,
        kernel=wanted.kernel, stride=wanted.stride, filters=wanted.filters, batch_norm=wanted.batch_norm,
        constant_padding=recipe.export.pads_with_values,
    )  # fmt: skip


def stem_facts(model: keras.Model, result: StemResult) -> dict[str, Any]:
    """What a stem's step says: {"changed", "before", "after", "proof", "notes"}."""
    return {
        "changed": result.construction != "none", "before": _facts(model, result, "before"),
        "after": _facts(result.model, result, "after"), "proof": result.proof,
        "notes": (f"construction: {result.construction}", *result.notes),
    }  # fmt: skip


def shapes(model: keras.Model) -> dict[str, Any]:
    """{"inputs", "outputs", "params"} of a model, for a step's record."""
    return {
        "inputs": [list(tensor.shape) for tensor in model.inputs],
        "outputs": [list(tensor.shape) for tensor in model.outputs],
        "params": model.count_params(),
    }


def _check_request(recipe: Recipe, model: keras.Model) -> None:
    inputs, outputs = ([tuple(tensor.shape) for tensor in side] for side in (model.inputs, model.outputs))
    faults = [*input_faults(recipe, inputs), *output_faults(recipe, outputs)]
    if faults:
        raise RequestError("\n".join(faults))


def _pictures(recipe: Recipe, model: keras.Model, progress: Progress) -> np.ndarray | None:
    """Training images at the source's own size: to fit on, or to look at another size with; None where not needed."""
    shape: tuple[Any, ...] = tuple(model.inputs[0].shape) if len(model.inputs) == 1 else ()
    if recipe.data.train is None or not recipe.stem.uses_images:
        return None
    if len(shape) != 4 or None in shape[1:3] or shape[3] not in {1, 3}:
        return None
    is_fit = recipe.stem.resolution == "fit"
    loses_colour = shape[3] == 3 and (recipe.stem.channels == 1 or recipe.stem.order == "gray")
    if not is_fit and not loses_colour and recipe.stem.size in {None, tuple(shape[1:3])}:
        return None
    return read_calibration(
        recipe.data.train, height=shape[1], width=shape[2], channels=shape[3],
        count=recipe.data.calibration if is_fit else LOOKED_AT, seed=recipe.data.seed, where="data.train",
        progress=progress,
    )  # fmt: skip


def _in_order(images: Images, order: str) -> Images:
    return replace(images, pixels=in_order(images.pixels, order))


def _facts(model: keras.Model, result: StemResult, when: str) -> dict[str, Any]:
    return {**shapes(model), **{key: values[when] for key, values in result.cost.items()}}

"""The stem that takes what the device feeds."""

from __future__ import annotations

import keras
import numpy as np

from edgecut.errors import RequestError, several
from edgecut.images.arrays import ArrayInput, ArrayInputs
from edgecut.images.dataset import read_calibration
from edgecut.images.device import is_picture
from edgecut.images.encoded import requested
from edgecut.images.feed import ArrayFeed, Feed, PictureFeed, kind_of
from edgecut.pipeline.load import shapes
from edgecut.pipeline.model_faults import input_faults, output_faults, target_faults
from edgecut.pipeline.values import Clock, Done, timed
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Recipe
from edgecut.records.report import Step
from edgecut.stem.edit import stem
from edgecut.stem.records import StemResult

LOOKED_AT = 32  # images on which a stem that isn't fitted is looked at


def edit_stem(model: keras.Model, recipe: Recipe, progress: Progress) -> Done[tuple[keras.Model, Feed]]:
    """The model that takes what the device feeds, and that feed; the model itself where its input stays."""
    if recipe.cut.start is not None:
        return Done((model, ArrayFeed(array_inputs(model), recipe.source.preprocess)))
    steps: tuple[Step, ...] = ()
    if recipe.stem.is_edit:
        with timed("stem", progress) as clock:
            result = stem_of(recipe, model, progress)
            steps = (stem_step(clock, model, result),)
        model = result.model
    return Done((model, feed_of(recipe, model)), steps)


def feed_of(recipe: Recipe, model: keras.Model) -> Feed:
    """What feeds a model that a recipe has made so far: a camera's pictures, or arrays of its inputs' shapes."""
    taken = [tuple(tensor.shape) for tensor in model.inputs]
    if is_picture(taken) and kind_of(recipe.data, taken) == "pictures":
        return PictureFeed(taken[0][1:], recipe.source.preprocess, recipe.stem.pixels)
    return ArrayFeed(array_inputs(model), recipe.source.preprocess)


def array_inputs(model: keras.Model) -> ArrayInputs:
    """The model's inputs in its own order, for arrays that feed them."""
    return tuple(
        ArrayInput(tensor._keras_history.operation.name, tuple(tensor.shape[1:]), tensor.dtype)
        for tensor in model.inputs
    )


def refuse_request(recipe: Recipe, model: keras.Model) -> None:
    """Raises RequestError where the edited model can't be fed, or judged, as the recipe says.

    A search doesn't ask it of the whole source, which no choice of it keeps the outputs of.
    """
    inputs, outputs = ([tuple(tensor.shape) for tensor in side] for side in (model.inputs, model.outputs))
    faults = [
        *input_faults(recipe, inputs),
        *target_faults(recipe, inputs, outputs),
        *output_faults(recipe, outputs),
    ]
    if faults:
        raise several(RequestError, faults)


def stem_of(recipe: Recipe, model: keras.Model, progress: Progress = SILENT) -> StemResult:
    """The stem that a recipe asks for. Raises StemError, or DataError for images that can't be used."""
    request = recipe.stem
    return stem(
        model,
        channels=request.channels,
        size=request.size,
        preprocess=recipe.source.preprocess,
        resolution=request.resolution,
        pixels=request.pixels,
        data=_pictures(recipe, model, progress),
        order=request.order,
        kernel=request.kernel,
        stride=request.stride,
        filters=request.filters,
        batch_norm=request.batch_norm,
        constant_padding=recipe.export.pads_with_values,
    )


def stem_step(clock: Clock, model: keras.Model, result: StemResult) -> Step:
    """The row of a step that made `result` of a model's stem."""
    cost = result.cost
    return clock.step(
        changed=result.construction != "none",
        before=shapes(model).model_copy(update={"macs": cost.macs.before, "operators": cost.operators.before}),
        after=shapes(result.model).model_copy(update={"macs": cost.macs.after, "operators": cost.operators.after}),
        proof=result.proof,
        notes=(f"construction: {result.construction}", *result.notes),
    )


def _pictures(recipe: Recipe, model: keras.Model, progress: Progress) -> np.ndarray | None:
    """Training images at the source's own size: to fit on, or to look at another size with; None where not needed."""
    shape = tuple(model.inputs[0].shape) if len(model.inputs) == 1 else ()
    if recipe.data.train is None or not recipe.stem.uses_images:
        return None
    if len(shape) != 4 or None in shape[1:3] or shape[3] not in {1, 3}:
        return None
    is_fit = recipe.stem.resolution == "fit"
    loses_colour = shape[3] == 3 and (recipe.stem.channels == 1 or recipe.stem.order == "gray")
    if not is_fit and not loses_colour and recipe.stem.size in {None, tuple(shape[1:3])}:
        return None
    return read_calibration(
        recipe.data.train,
        (shape[1], shape[2], shape[3]),
        count=recipe.data.calibration if is_fit else LOOKED_AT,
        seed=recipe.data.seed,
        where="data.train",
        request=requested(recipe.data),
        progress=progress,
    )

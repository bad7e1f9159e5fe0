"""The model trained smaller, or truer in int8."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from edgecut.compress.qat import write_saved_model
from edgecut.compress.run import Compressed, Stage, compress
from edgecut.errors import DataError
from edgecut.export.agreeing import converted
from edgecut.images.dataset import Dataset
from edgecut.pipeline.judged_outputs import answers_of, validation_outputs
from edgecut.pipeline.losses import lost
from edgecut.pipeline.values import Done, Fitted, timed, training_labels
from edgecut.records.facts import StepFacts, TrainingFacts
from edgecut.records.progress import Progress
from edgecut.records.recipe import Compress, Recipe
from edgecut.score.threshold import judged_output


def compress_model(fitted: Fitted, images: Dataset | None, recipe: Recipe, progress: Progress) -> Done[Fitted]:
    """The model after the recipe's [compress], the model itself without one.

    The head is trained with the rest, so it is not fitted again on the int8 body. With precision "auto" alone,
    quantization-aware training waits until the other corrections have been tried.
    """
    request = recipe.compress
    if "int8" not in recipe.export.precisions:
        request = request.model_copy(update={"qat": False})
    if not request.is_asked:
        return Done(fitted)
    with timed("compress", progress) as clock:
        result = train(fitted, images, request, recipe, progress=progress)
        before, losses = _lost(fitted, result.model, images, recipe, progress)
        step = clock.step(
            before=StepFacts(params=fitted.model.count_params()),
            after=StepFacts.model_validate({stage.name: stage_facts(stage) for stage in result.stages}),
            proof=result.proof,
            notes=tuple(_left_out(result)),
            losses=losses,
        )
    traced_anew = replace(fitted, float_file=None)  # its folder is gone when the uncompressed files are written
    value = Fitted(result.model, fitted.feed, compressed=result, before=traced_anew, uncompressed=before)
    return Done(value, (step,))


def train(
    fitted: Fitted,
    images: Dataset | None,
    request: Compress,
    recipe: Recipe,
    *,
    rows: np.ndarray | None = None,
    progress: Progress,
) -> Compressed:
    """The fitted model trained on the training images, as `request` says. Raises DataError without images.

    rows: indices of the training images, default: all.
    """
    if images is None:
        raise DataError("compress: trains on labelled images; set data.train (--data)")
    pixels, labels = images.train.pixels, training_labels(images)
    if rows is not None:
        pixels, labels = pixels[rows], labels[rows]
    return compress(
        fitted.model,
        pixels,
        labels,
        request,
        to_input=fitted.feed.values,
        calibration=fitted.feed.calibration(images.train, recipe.data),
        seed=recipe.data.seed,
        progress=progress,
    )


def aware_file(compressed: Compressed, calibration: np.ndarray, scratch: Path) -> bytes:
    """The int8 file of a quantization-aware model: integers in and out, with the trained ranges.

    What TFMOT left in float is calibrated. Raises ExportError if an operator would stay in float.
    """
    write_saved_model(compressed.aware, scratch / "aware")
    return converted(scratch / "aware", compressed.model, "int8", [calibration])


def stage_facts(stage: Stage) -> TrainingFacts:
    """What a step's record says of a training."""
    trained = stage.trained
    more = {
        "epochs": trained.epochs,
        "best_epoch": trained.best,
        "held_out_accuracy": round(trained.accuracy, 4),
        "left_out": len(stage.left_out),
    }
    return stage.facts.model_copy(update=more)


def _lost(
    fitted: Fitted, trained: keras.Model, images: Dataset | None, recipe: Recipe, progress: Progress
) -> tuple[tuple[np.ndarray, ...], tuple[str, ...]]:
    """What the model put out for the validation images before it was trained; and what it lost since."""
    if images is None:
        return (), ()
    answers, feed = answers_of(trained, recipe, images), fitted.feed
    place = judged_output(answers)
    before = validation_outputs(fitted.model, feed, images, title="uncompressed model", progress=progress)
    if images.val.labels is None or place is None:
        return before, ()
    labels = np.asarray(images.val.labels)
    after = validation_outputs(trained, feed, images, title="compressed model", progress=progress)
    return before, lost(answers[place], before[place], after[place], labels, "the float model, against before")


def _left_out(result: Compressed) -> Iterator[str]:
    """A sentence for each training and reason, with the layers that it is of."""
    for stage in result.stages:
        layers: dict[str, list[str]] = {}
        for sentence in stage.left_out:
            layer, _, why = sentence.partition(": ")
            layers.setdefault(why, []).append(layer)
        yield from (f"{stage.name} leaves out {', '.join(names)}: {why}" for why, names in layers.items())

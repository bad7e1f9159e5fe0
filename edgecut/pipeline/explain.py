"""A section of every report: what quantization did to each layer of the files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecut.errors import ExportError, RequestError, RunError
from edgecut.images.dataset import Dataset, calibration_sample
from edgecut.images.feed import ArrayFeed
from edgecut.memory import give_back
from edgecut.pipeline.values import Done, Fitted, WrittenFile, timed
from edgecut.quantize.causes import AUTO_REMEDY
from edgecut.quantize.explain import Reference, explain
from edgecut.quantize.feeding import feeding_suspicions, picture_suspicions
from edgecut.quantize.source_values import images_that_fit, reference
from edgecut.records.explanation import Explanation, Suspicion
from edgecut.records.facts import StepFacts
from edgecut.records.progress import Progress
from edgecut.records.recipe import Data, Recipe
from edgecut.tflite.flatbuffer import read_content

EXPLAINED = ("int8", "int16x8")
IMAGES = 16


def explain_files(
    fitted: Fitted, images: Dataset | None, files: Sequence[WrittenFile], recipe: Recipe, progress: Progress
) -> Done[tuple[Explanation, ...]]:
    """An explanation of each quantized .tflite file; none without images."""
    chosen = [f for f in files if f.artifact.format == "tflite" and f.artifact.precision in EXPLAINED]
    if images is None or not chosen:
        return Done(())
    with timed("explain", progress) as clock:
        count = images_that_fit(fitted.model, IMAGES)
        # Held-out pictures: those that set the ranges could never exceed them.
        pixels = calibration_sample(images.val, count, recipe.data.seed)
        inputs = fitted.feed.values(pixels)
        suspicions = _suspicions(fitted, images, pixels, recipe.data)
        notes: list[str] = []
        explanations: list[Explanation] = []
        source: Reference | None = None
        for file in chosen:
            try:
                source = source or reference(fitted.model, inputs, _float_file(fitted, files))
                give_back()  # what a float file's conversion leaves lies in other heaps than all values of a file
                content = read_content(file.path)
                explanation = explain(content, file.artifact.name, inputs, source, suspicions=suspicions)
            except (ExportError, RequestError, RunError) as exc:
                # A file that can't be explained can still be right.
                notes.append(f"{file.artifact.name} can't be explained: {exc}")
                continue
            if not _auto_helps(recipe, file):
                explanation = without_remedy(explanation)
            explanations.append(explanation)
            notes += [f"{explanation.artifact}: {suspicion.sentence}" for suspicion in explanation.suspicions]
        after = StepFacts.model_validate({x.artifact: x.collapses_at or "no layer collapses" for x in explanations})
        step = clock.step(changed=False, after=after, notes=tuple(dict.fromkeys(notes)))
    return Done(tuple(explanations), (step,))


def without_remedy(explanation: Explanation) -> Explanation:
    """The same without the advice to try precision "auto"."""
    told = [x.model_copy(update={"sentence": x.sentence.removesuffix(AUTO_REMEDY)}) for x in explanation.suspicions]
    return explanation.model_copy(update={"suspicions": tuple(told)})


def _float_file(fitted: Fitted, files: Sequence[WrittenFile]) -> bytes | None:
    """The float .tflite file among those of the build, or that of the head's features; None without one."""
    kinds = {(file.artifact.format, file.artifact.precision): file for file in files}
    file = kinds.get(("tflite", "float32"))
    if file is not None:
        return read_content(file.path)
    return None if fitted.float_file is None else fitted.float_file.content


def _auto_helps(recipe: Recipe, file: WrittenFile) -> bool:
    """Whether precision "auto" wasn't tried and can be: it corrects int8 files of classes."""
    is_int8 = file.artifact.precision == "int8" and "auto" not in recipe.export.precisions
    return is_int8 and recipe.data.target == "classes"


def _suspicions(fitted: Fitted, images: Dataset, pixels: np.ndarray, data: Data) -> tuple[Suspicion, ...]:
    """What is wrong with the calibration pictures, or with the recipe's preprocess; nothing is known of arrays.

    A stem that was edited has its source's pixels no more, and is not asked for the latter.
    """
    if isinstance(fitted.feed, ArrayFeed):
        return ()
    pictures = picture_suspicions(calibration_sample(images.train, data.calibration, data.seed))
    if fitted.feed.pixels == "raw":
        return pictures
    return (*pictures, *feeding_suspicions(fitted.model, pixels, fitted.feed.preprocess))

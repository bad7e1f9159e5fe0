"""A section of every report: what quantization did to each layer of the files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from edgecut.errors import ExportError, RequestError, RunError
from edgecut.images.dataset import calibration_sample
from edgecut.pipeline.fitting import to_input
from edgecut.quantize.causes import AUTO_REMEDY
from edgecut.quantize.explain import explain
from edgecut.quantize.feeding import feeding_suspicions, picture_suspicions
from edgecut.quantize.source_values import images_that_fit, reference
from edgecut.records.explanation import Explanation, Suspicion
from edgecut.tflite.flatbuffer import read_content

if TYPE_CHECKING:
    from edgecut.pipeline.files import WrittenFile
    from edgecut.pipeline.running import Run

EXPLAINED = ("int8", "int16x8")
IMAGES = 16


def explain_files(state: Run, model: keras.Model, files: Sequence[WrittenFile]) -> None:
    """Add an explanation of each quantized .tflite file to the run; none without images."""
    chosen = [f for f in files if f.artifact.format == "tflite" and f.artifact.precision in EXPLAINED]
    if state.dataset is None or not chosen:
        return
    with state.step("explain") as facts:
        count = images_that_fit(model, IMAGES)
        # Held-out pictures: those that set the ranges could never exceed them.
        pixels = calibration_sample(state.dataset.val, count, state.recipe.data.seed)
        fed = to_input(state, pixels)
        suspicions = _suspicions(state, model, pixels)
        notes, source = [], None
        for file in chosen:
            try:
                source = source or reference(model, fed, _float_file(files))
                content = read_content(file.path)
                found = explain(content, file.artifact.name, fed, source, suspicions=suspicions)
                if not _auto_helps(state, file):
                    found = without_remedy(found)
            except (ExportError, RequestError, RunError) as exc:
                # A file that can't be explained can still be right.
                notes.append(f"{file.artifact.name} can't be explained: {exc}")
                continue
            state.explanations.append(found)
            notes += [f"{found.artifact}: {suspicion.sentence}" for suspicion in found.suspicions]
        after = {x.artifact: x.collapses_at or "no layer collapses" for x in state.explanations}
        facts.update(changed=False, after=after, notes=tuple(dict.fromkeys(notes)))


def _float_file(files: Sequence[WrittenFile]) -> bytes | None:
    """The float .tflite file among those of the build, None without one."""
    kinds = {(file.artifact.format, file.artifact.precision): file for file in files}
    file = kinds.get(("tflite", "float32"))
    return None if file is None else read_content(file.path)


def _auto_helps(state: Run, file: WrittenFile) -> bool:
    """Whether precision "auto" wasn't tried and can be: it mends int8 files of classes."""
    recipe = state.recipe
    is_int8 = file.artifact.precision == "int8" and "auto" not in recipe.export.precisions
    return is_int8 and recipe.data.target == "classes"


def without_remedy(found: Explanation) -> Explanation:
    """The same without the advice to try precision "auto"."""
    told = [x.model_copy(update={"sentence": x.sentence.removesuffix(AUTO_REMEDY)}) for x in found.suspicions]
    return found.model_copy(update={"suspicions": tuple(told)})


def _suspicions(state: Run, model: keras.Model, pixels: np.ndarray) -> tuple[Suspicion, ...]:
    """What is wrong with the calibration pictures, or with the recipe's preprocess.

    A stem that was edited has its source's pixels no more, and is not asked for the latter.
    """
    data = state.recipe.data
    found: tuple[Suspicion, ...] = ()
    if state.dataset is not None:
        found = picture_suspicions(calibration_sample(state.dataset.train, data.calibration, data.seed))
    if state.recipe.stem.pixels == "raw":
        return found
    return (*found, *feeding_suspicions(model, pixels, state.recipe.source.preprocess))

"""The model files of a plan, written and read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from edgecut.errors import ExportError, RequestError
from edgecut.export.agreeing import check_against_model, converted
from edgecut.export.artifacts import write_file, write_static
from edgecut.export.readback import read_artifact
from edgecut.export.tflite import traced_once
from edgecut.graph.archive import write_archive
from edgecut.images.dataset import Dataset
from edgecut.images.rows import columns
from edgecut.pipeline.compress import aware_file
from edgecut.pipeline.head import refit_on_int8
from edgecut.pipeline.int8 import auto_file
from edgecut.pipeline.values import Converted, Done, Fitted, Written, WrittenFile, gathered, timed
from edgecut.records.artifact import Artifact
from edgecut.records.facts import StepFacts
from edgecut.records.precision import needs_images, written_as
from edgecut.records.progress import Progress
from edgecut.records.recipe import Format, Recipe, Wanted
from edgecut.whole import scratch_folder

Files = Sequence[tuple[Format, Wanted]]


def keras_file(model: keras.Model, name: str, folder: Path) -> Path:
    """Write the float Keras model into the bundle in `folder`: models/NAME.keras."""
    path = folder / "models" / f"{name}.keras"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_archive(model, path)
    return path


def write_files(
    fitted: Fitted, images: Dataset | None, recipe: Recipe, files: Files, folder: Path, progress: Progress
) -> Done[Written]:
    """Every file of `files`, (format, precision) each, written into the bundle in `folder` and read back."""
    precisions = list(dict.fromkeys(precision for _, precision in files))
    written: list[WrittenFile] = []
    contents: list[Done[Converted]] = []
    with timed("export", progress, len(precisions)) as clock, scratch_folder() as scratch:
        for precision in precisions:
            content = content_of(fitted, images, recipe, precision, scratch, progress)
            contents.append(content)
            for form in (form for form, p in files if p == precision):
                path = folder / "models" / f"{recipe.name}.{precision}.{form}"
                path.parent.mkdir(parents=True, exist_ok=True)
                if (form, precision, recipe.export.quantizer) == ("onnx", "int8", "ort"):
                    floats = content_of(fitted, images, recipe, "float32", scratch, progress).value
                    write_static(floats.content, _calibration(fitted, images, recipe), path)
                else:
                    write_file(content.value.content, form, path)
                written.append(WrittenFile(path, _read_back(path, fitted, precision, folder)))
            clock.advance(1)
        after = StepFacts.model_validate({file.artifact.name: file.artifact.size_bytes for file in written})
        step = clock.step(after=after, notes=tuple(_notes(fitted, precisions, written)))
    trials = tuple(trial for content in contents for trial in content.value.trials)
    return gathered(Written(tuple(written), trials), *contents, Done(None, (step,)))


def content_of(
    fitted: Fitted, images: Dataset | None, recipe: Recipe, precision: Wanted, scratch: Path, progress: Progress
) -> Done[Converted]:
    """The TFLite file of a model in a precision, as a build writes it.

    scratch: a folder that the files of one model share, so that those in float are traced once.
    """
    if precision == "auto":
        outcome = auto_file(fitted, images, recipe, scratch, progress)
        return gathered(Converted(outcome.value.content, outcome.value.trials), outcome)
    if precision == "int8" and fitted.compressed is not None and fitted.compressed.aware is not None:
        return Done(Converted(aware_file(fitted.compressed, _calibration(fitted, images, recipe)[0], scratch)))
    model = fitted.model
    if precision == "int8":
        model, content = refit_on_int8(fitted, images, recipe, scratch, progress)
        if content is not None:
            check_against_model(content, model, precision, _calibration(fitted, images, recipe))
            return Done(Converted(content))
    if precision == "float32" and fitted.float_file is not None:
        check_against_model(fitted.float_file.content, model, precision)
        return Done(Converted(fitted.float_file.content))
    saved_model = traced_once(model, scratch / ("float" if model is fitted.model else precision), precision)
    calibration = _calibration(fitted, images, recipe) if needs_images(precision) else None
    return Done(Converted(converted(saved_model, model, precision, calibration)))


def _calibration(fitted: Fitted, images: Dataset | None, recipe: Recipe) -> list[np.ndarray]:
    """What the ranges are set on, an array for each input. Raises RequestError without images."""
    if images is None:
        raise RequestError("export.precisions: int8 needs data to calibrate on; set data.train (--data)")
    return list(columns(fitted.feed.calibration(images.train, recipe.data)))


def _read_back(path: Path, fitted: Fitted, precision: Wanted, folder: Path) -> Artifact:
    expects = fitted.feed.pixels if fitted.feed.shape else None
    artifact = read_artifact(path, name=path.name, precision=written_as(precision), expects=expects, relative_to=folder)
    _check_bytes_pass(artifact)
    return artifact


def _check_bytes_pass(artifact: Artifact) -> None:
    """Raises ExportError where an int8 input that expects raw pixels doesn't hold the camera's bytes."""
    for spec in artifact.inputs:
        if spec.expects == "raw" and spec.dtype == "int8" and not spec.takes_bytes:
            raise ExportError(
                f"export: {artifact.name}: input {spec.name!r} has scale {spec.scale} and zero point "
                f"{spec.zero_point}, and raw bytes pass unchanged with 1 and -128; calibrate on images with 0 and 255"
            )


def _notes(fitted: Fitted, precisions: Sequence[Wanted], written: Sequence[WrittenFile]) -> Iterator[str]:
    if fitted.body is not None and "int8" in precisions:
        yield "int8: the head is fitted on the features of the int8 body"
    if any(file.artifact.inputs[0].takes_bytes for file in written):
        yield "int8: the camera's bytes go in unchanged, xor 0x80 (scale 1, zero point -128 in the file)"

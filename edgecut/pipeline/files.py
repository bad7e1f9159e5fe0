"""The model files of a run: written, checked against the float model in their runtimes, measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edgecut.bench.agreement import agreement
from edgecut.bench.devices import Device, measure_on
from edgecut.bench.measure import on_device, size
from edgecut.bench.runners.local import Local
from edgecut.errors import ExportError, RunError
from edgecut.export.artifacts import write_file, write_static
from edgecut.export.readback import read_artifact
from edgecut.export.tflite import convert, write_saved_model
from edgecut.graph.archive import write_archive
from edgecut.graph.calls import calls, flat
from edgecut.graph.predict import predict
from edgecut.graph.proof import seeded_inputs
from edgecut.head.metrics import SCORES, metric_of
from edgecut.pipeline.benching import by_runners
from edgecut.pipeline.compressing import aware_file
from edgecut.pipeline.fitting import FittedModel, calibration_inputs, predict_file, refit_on_int8, to_input
from edgecut.pipeline.mending import auto_file
from edgecut.pipeline.planning import NEEDS_IMAGES, taken_by, written_as
from edgecut.records.artifact import Artifact
from edgecut.records.measurement import Measurement, Metric, measured, missing
from edgecut.records.recipe import Wanted
from edgecut.runtime.files import FileRunner

if TYPE_CHECKING:
    from edgecut.pipeline.running import Run


@dataclass(frozen=True)
class WrittenFile:
    """A file of the bundle, where it is, and what it is."""

    path: Path
    artifact: Artifact


def keras_file(state: Run, model: keras.Model) -> Path:
    """Write the float Keras model into the bundle."""
    path = state.folder / "models" / f"{state.recipe.name}.keras"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_archive(model, path)
    return path


def write_files(state: Run, fitted: FittedModel, scratch: Path) -> list[WrittenFile]:
    """Every file of the plan, written and read back."""
    files = []
    with state.step("export") as facts:
        precisions = list(dict.fromkeys(precision for _, precision in state.plan.files))
        with state.progress.task("export", len(precisions)) as advance:
            for precision in precisions:
                content = content_of(state, fitted, precision, scratch)
                for form in (form for form, p in state.plan.files if p == precision):
                    path = state.folder / "models" / f"{state.recipe.name}.{precision}.{form}"
                    if (form, precision, state.recipe.export.quantizer) == ("onnx", "int8", "ort"):
                        float_file = content_of(state, fitted, "float32", scratch)
                        write_static(float_file, [calibration_inputs(state)], path)
                    else:
                        write_file(content, form, path)
                    expects = state.recipe.stem.pixels if state.device_shape else None
                    artifact = read_artifact(
                        path, name=path.name, precision=written_as(precision), expects=expects, relative_to=state.folder
                    )
                    _check_bytes_pass(artifact)
                    files.append(WrittenFile(path, artifact))
                advance(1)
        notes = []
        if fitted.body is not None and "int8" in precisions:
            notes.append("int8: the head is fitted on the features of the int8 body")
        if any(file.artifact.inputs[0].takes_bytes for file in files):
            notes.append("int8: the camera's bytes go in unchanged, xor 0x80 (scale 1, zero point -128 in the file)")
        facts.update(after={file.artifact.name: file.artifact.size_bytes for file in files}, notes=tuple(notes))
    return files


def _check_bytes_pass(artifact: Artifact) -> None:
    """Raises ExportError where an int8 input that expects raw pixels doesn't hold the camera's bytes."""
    for spec in artifact.inputs:
        if spec.expects == "raw" and spec.dtype == "int8" and not spec.takes_bytes:
            raise ExportError(
                f"export: {artifact.name}: input {spec.name!r} has scale {spec.scale} and zero point "
                f"{spec.zero_point}, and raw bytes pass unchanged with 1 and -128; calibrate on images with 0 and 255"
            )


def content_of(state: Run, fitted: FittedModel, precision: Wanted, scratch: Path) -> bytes:
    """The TFLite file of a model in a precision, as a build writes it."""
    if precision == "auto":
        return auto_file(state, fitted, scratch)
    if precision == "int8" and fitted.trained is not None and fitted.trained.aware is not None:
        return aware_file(state, fitted.trained, scratch)
    model = refit_on_int8(state, fitted, scratch) if precision == "int8" else fitted.model
    folder = scratch / ("int8" if precision == "int8" else "float")
    if not folder.exists():
        write_saved_model(model, folder)
    calibration = [calibration_inputs(state)] if precision in NEEDS_IMAGES else None
    return convert(folder, model, precision, calibration)


def check_files(state: Run, model: keras.Model, files: Sequence[WrittenFile]) -> list[Measurement]:
    """Each file run on the held-out images against the float model: errors and, with labels, accuracy.

    Without images: on seeded random inputs, and only where the model has a single input.
    """
    if len(model.inputs) != 1:
        reason = f"the model has {len(model.inputs)} inputs; files are checked on a single input"
        return [missing("max_abs_error", f.artifact.name, reason, where="host", method="comparison") for f in files]
    with state.step("check") as facts:
        if state.dataset is not None:
            pixels, labels = state.dataset.val.pixels, state.dataset.val.labels
            reference = predict(
                model, pixels, lambda x: to_input(state, x), title="float model", progress=state.progress
            )
        else:
            pixels, labels = seeded(state, model), None
            reference = predict(model, pixels, lambda x: x)
        if labels is not None and not answers(reference, labels):
            labels = None  # the outputs are no scores of these classes
        conditions: dict[str, Any] = {
            "images": len(pixels),
            "inputs": "held-out images" if state.dataset else "seeded random",
        }
        found = []
        metric = metric_of(state.recipe.data.target)
        float_accuracy = None if labels is None else SCORES[metric](reference, labels)
        baseline = float_accuracy if state.baseline is None else state.baseline
        if float_accuracy is not None:
            name = f"{state.recipe.name}.keras"
            found.append(measured(metric, name, [float_accuracy], where="host", method="Keras", conditions=conditions))
        for file in files:
            found += _check(state, file, pixels, labels, reference, baseline, conditions)
        proof = {"inputs": len(pixels), **_bytes_proof(files, found)}
        facts.update(changed=False, proof=proof, after={f"float_{metric}": float_accuracy})
    return found


def answers(outputs: np.ndarray, labels: np.ndarray) -> bool:
    """Whether outputs (n, ...) can be judged by the labels: a score for each class, or a value for each target."""
    if outputs.ndim != 2:
        return False
    return outputs.shape == labels.shape if labels.ndim == 2 else int(labels.max()) < outputs.shape[1]


def _bytes_proof(files: Sequence[WrittenFile], found: Sequence[Measurement]) -> dict[str, Any]:
    """Of the first file that was fed the camera's bytes: how near it is to the float model on the same bytes."""
    names = [file.artifact.name for file in files if file.artifact.inputs[0].takes_bytes]
    wanted = ("sqnr", "top1_agreement")
    rows = {m.metric: m.value for m in found if names and m.artifact == names[0] and m.metric in wanted}
    return {"bytes_in": names[0], **{metric: rows[metric] for metric in wanted if metric in rows}} if rows else {}


def _check(
    state: Run, file: WrittenFile, pixels: np.ndarray, labels: np.ndarray | None, reference: np.ndarray,
    float_accuracy: float | None, conditions: dict[str, Any],
) -> Iterator[Measurement]:  # fmt: skip
    name, method = file.artifact.name, "LiteRT" if file.artifact.format == "tflite" else "ONNX Runtime"
    try:
        runner = FileRunner(file.path)
        outputs = predict_file(state, runner, pixels, name) if state.dataset else runner.predict(pixels)
    except RunError as exc:
        # A file that its own runtime refuses is worth reporting, not worth losing the others for.
        yield missing("accuracy", name, str(exc), where="host", method=method)
        return
    if state.dataset and file.artifact.inputs[0].takes_bytes:
        conditions = {**conditions, "fed": "the camera's bytes xor 0x80"}
    values: dict[Metric, float] = {**agreement(reference, outputs)}
    if float_accuracy is not None and labels is not None:
        scored = metric_of(state.recipe.data.target)
        values[scored] = SCORES[scored](outputs, labels)
        values["accuracy_drop"] = float_accuracy - values[scored]
    for metric, value in values.items():
        yield measured(metric, name, [value], where="host", method=method, conditions=conditions)


def seeded(state: Run, model: keras.Model) -> np.ndarray:
    """What a model of one input is checked on without images: (8, ...), as the model takes it."""
    if state.recipe.stem.pixels == "raw":
        shape = (8, *model.inputs[0].shape[1:])
        return np.random.default_rng(0).integers(0, 256, shape).astype("float32")
    return seeded_inputs(flat(calls(model).inputs))[0]


def bench_files(state: Run, files: Sequence[WrittenFile]) -> list[Measurement]:
    """Size, host latency and memory of each file, and what it costs on each device whose runtime takes it."""
    settings, profiles = state.recipe.bench, state.plan.profiles
    host = next((profile for profile in profiles if profile.class_ == "host"), None)
    found: list[Measurement] = []
    dropped: list[str] = []
    with state.step("bench") as facts, state.progress.task("bench", len(files)) as advance:
        for file in files:
            name = file.artifact.name
            found.append(size(file.path, name))
            for profile in profiles:
                if profile is not host and taken_by(profile, file.artifact.format, file.artifact.precision):
                    found += on_device(file.path, profile, name)
            # A file that this host's runtime refuses may run on the devices: the row says why, and the others stay.
            found += measure_on(file.path, (Device(Local(), host),), settings, name).measurements
            takers = [p for p in profiles if taken_by(p, file.artifact.format, file.artifact.precision)]
            asked = by_runners(file.path, file.artifact, settings, profiles, takers)
            found += asked.measurements
            dropped += [str(failure) for failure in asked.failures]
            advance(1)
        facts.update(changed=False, after={"measurements": len(found)}, notes=tuple(dropped))
    return found

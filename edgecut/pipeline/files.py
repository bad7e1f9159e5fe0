"""The model files of a run: written, and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from edgecut.bench.devices import Device, measure_on
from edgecut.bench.measure import on_device, size
from edgecut.bench.runners.local import Local
from edgecut.errors import ExportError
from edgecut.export.artifacts import write_file, write_static
from edgecut.export.readback import read_artifact
from edgecut.export.tflite import convert, write_saved_model
from edgecut.graph.archive import write_archive
from edgecut.pipeline.benching import by_runners
from edgecut.pipeline.compressing import aware_file
from edgecut.pipeline.fitting import FittedModel, calibration_inputs, refit_on_int8
from edgecut.pipeline.mending import auto_file
from edgecut.pipeline.planning import NEEDS_IMAGES, taken_by, written_as
from edgecut.records.artifact import Artifact
from edgecut.records.measurement import Measurement
from edgecut.records.recipe import Wanted

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

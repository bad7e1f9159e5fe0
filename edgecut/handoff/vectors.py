"""Golden vectors: what the camera gives, what goes into the file, and what must come out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from edgecut.bench.runners import tflm
from edgecut.errors import RunError
from edgecut.handoff.seal import json_text
from edgecut.images.rows import columns
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.document import Record
from edgecut.runtime.files import FileRunner, dequantize_rows, quantize_rows

VECTORS = "vectors/vectors.json"
_FLOAT_TOLERANCE = 1e-4
_FEW_STEPS = 12  # of an integer output: a twentieth of the 255 of int8
# TFLM's reference kernels take about 10 ns per multiply-accumulate here, so this is half a second.
_TFLM_MACS = 50_000_000
_LSB_REASON = (
    "integer kernels of different libraries round differently: one step is usual (tensorflow issue 99072), and "
    "{kernels} differ by {found} on these vectors"
)
_FLOAT_REASON = (
    "float kernels add in different orders: 1e-4 of the largest output, and four times the {found:.3g} by "
    "which {kernels} differ on these vectors"
)
_KERNELS = {
    ".tflite": "LiteRT with and without its XNNPACK delegate",
    ".onnx": "ONNX Runtime with and without its graph optimizations",
}


class Tolerance(Record):
    """How far an output may be off: in steps of its quantization, or in its own unit."""

    lsb: int | None = None
    absolute: float | None = None
    reason: str = ""


class GoldenOutput(Record):
    """One output of the file, and how far it may be off."""

    spec: TensorSpec
    tolerance: Tolerance


class GoldenFiles(Record):
    """The files of one vector, beside vectors.json; `expected` holds all outputs, one after the other."""

    camera: str | None
    input: str
    expected: str


class Agreement(Record):
    """Another artifact of the same precision, fed with the same inputs, against `reference`.

    found: the largest difference when the bundle was made. agrees: whether that was within the tolerance.
    """

    artifact: str
    reference: str
    tolerance: Tolerance
    found: float
    agrees: bool


class VectorSheet(Record):
    """vectors.json. All files are little-endian, in C order, without a header.

    more_inputs: of a file of several, those behind `input`; an input file holds all, one after the other. tflm_lsb: the
    largest difference under TensorFlow Lite Micro's interpreter, in steps; None if not run.
    """

    schema_: Literal["edgecut.vectors/1"] = Field(default="edgecut.vectors/1", alias="schema")
    artifact: str
    camera_shape: tuple[int, ...] | None
    input: TensorSpec
    more_inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[GoldenOutput, ...]
    vectors: tuple[GoldenFiles, ...]
    agreements: tuple[Agreement, ...] = ()
    tflm_lsb: int | None = None

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Every input of the file, in its order."""
        return (self.input, *self.more_inputs)


@dataclass(frozen=True, eq=False)
class Vectors:
    """k golden vectors of the file at `path`.

    camera: (k, height, width, channels) uint8, None where no camera feeds the model. inputs: rows (k, ...) in the
    dtypes of the file's inputs, which are specs. expected: one array (k, ...) per output, in the file's output dtypes.
    tflm_lsb: as in VectorSheet.
    """

    path: Path
    camera: np.ndarray | None
    inputs: np.ndarray
    expected: tuple[np.ndarray, ...]
    specs: tuple[TensorSpec, ...]
    outputs: tuple[GoldenOutput, ...]
    tflm_lsb: int | None = None


def wide(sheet: VectorSheet) -> Iterator[str]:
    """A note on each output whose tolerance is so wide that answers within it may be others."""
    for output in sheet.outputs:
        steps = output.tolerance.lsb
        if steps is not None and steps > _FEW_STEPS:
            yield (
                f"{sheet.artifact}: {output.spec.name!r} may be off by {steps} steps, which counts as what the vectors "
                "expect: runtimes' kernels differ that much on this file, so its answers depend on the runtime"
            )


def golden_vectors(artifact_path: Path, camera_pixels: np.ndarray | None, model_inputs: np.ndarray) -> Vectors:
    """The vectors that a model file gives by its own runtime on this host.

    camera_pixels: (k, height, width, channels) uint8, what the device's camera gives, None without a camera.
    model_inputs: rows (k, ...), the same as the float model takes them; quantized by the file's own scales.
    Raises RunError if the file can't be run, or puts out what isn't finite, against which nothing can be held.
    """
    runner = FileRunner(artifact_path)
    inputs = quantize_rows(model_inputs, runner.inputs, str(artifact_path))
    expected = runner.predict_raw_each(inputs)
    for spec, values in zip(runner.outputs, expected, strict=True):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise RunError(
                f"{artifact_path.name}: output {spec.name!r} holds nan or infinity for an input of the golden vectors, "
                "against which no device can be held; cut the model before the layer that puts it out"
            )
    others = FileRunner(artifact_path, kernels="plain").predict_raw_each(inputs)
    kernels = _KERNELS[artifact_path.suffix]
    outputs = tuple(
        GoldenOutput(spec=spec, tolerance=_tolerance(here, there, kernels))
        for spec, here, there in zip(runner.outputs, expected, others, strict=True)
    )
    return Vectors(artifact_path, camera_pixels, inputs, expected, runner.inputs, outputs)


def tried_in_tflm(vectors: Vectors, arena_bytes: int, macs: int) -> Vectors:
    """The same vectors with a tolerance that TensorFlow Lite Micro's own kernels keep as well.

    As many vectors are run as 50 million multiply-accumulates allow, at least one. The vectors come back as
    they are for several outputs, float outputs, where the interpreter is absent, and where it can't run the
    file.
    """
    output = vectors.outputs[0]
    if len(vectors.outputs) > 1 or output.tolerance.lsb is None or not tflm.is_here():
        return vectors
    count = max(1, min(len(vectors.inputs), _TFLM_MACS // max(macs, 1)))
    try:
        found = tflm.run_tflm(vectors.path, vectors.inputs[:count], arena_bytes)
    except RunError:
        return vectors
    off = int(np.abs(vectors.expected[0][:count].astype(np.int64) - found.astype(np.int64)).max(initial=0))
    reason = f"{output.tolerance.reason}; TensorFlow Lite Micro's reference kernels by {off}"
    wider = Tolerance(lsb=max(output.tolerance.lsb, off), reason=reason)
    return replace(vectors, outputs=(GoldenOutput(spec=output.spec, tolerance=wider),), tflm_lsb=off)


def write_vectors(vectors: Vectors, folder: Path, artifact: str, agreements: Sequence[Agreement]) -> VectorSheet:
    """Write camera_K.bin, input_K.bin, expected_K.bin and vectors.json into a new folder; what vectors.json says."""
    folder.mkdir()
    rows = []
    for k in range(len(vectors.inputs)):
        camera = None if vectors.camera is None else f"camera_{k}.bin"
        row = GoldenFiles(camera=camera, input=f"input_{k}.bin", expected=f"expected_{k}.bin")
        if camera is not None and vectors.camera is not None:
            (folder / camera).write_bytes(_bytes(vectors.camera[k]))
        (folder / row.input).write_bytes(b"".join(_bytes(x[k]) for x in columns(vectors.inputs)))
        (folder / row.expected).write_bytes(b"".join(_bytes(output[k]) for output in vectors.expected))
        rows.append(row)
    sheet = VectorSheet(
        artifact=artifact,
        camera_shape=None if vectors.camera is None else vectors.camera.shape[1:],
        input=vectors.specs[0],
        more_inputs=vectors.specs[1:],
        outputs=vectors.outputs,
        vectors=tuple(rows),
        agreements=tuple(agreements),
        tflm_lsb=vectors.tflm_lsb,
    )
    (folder / "vectors.json").write_text(json_text(sheet.to_dict()), encoding="utf-8")
    return sheet


def agreements(folder: Path, artifacts: Sequence[Artifact], vectors: Vectors) -> tuple[Agreement, ...]:
    """How each ONNX artifact under `folder` agrees with the TFLite one of its precision on equal inputs."""
    x = dequantize_rows(vectors.inputs, vectors.specs)
    partners = {a.precision: a for a in artifacts if a.format == "tflite"}
    found = []
    for artifact in (a for a in artifacts if a.format == "onnx" and a.precision in partners):
        partner = partners[artifact.precision]
        if artifact.inputs[0].dtype != partner.inputs[0].dtype:
            continue  # Quantized by ONNX Runtime: other integers, between float inputs and outputs.
        reference, spec = reference_outputs(folder / partner.path, x)
        tolerance = _agreement_tolerance(spec, reference)
        off = distance(reference, FileRunner(folder / artifact.path).predict(x), tolerance, spec)
        limit = tolerance.absolute if tolerance.lsb is None else tolerance.lsb
        found.append(
            Agreement(
                artifact=artifact.path,
                reference=partner.path,
                tolerance=tolerance,
                found=off,
                agrees=off <= (limit or 0.0),
            )
        )
    return tuple(found)


def reference_outputs(path: Path, x: np.ndarray) -> tuple[np.ndarray, TensorSpec]:
    """(outputs (k, ...) in float32, the output's spec) of a file for float inputs."""
    runner = FileRunner(path)
    return runner.predict(x), runner.outputs[0]


def distance(reference: np.ndarray, outputs: np.ndarray, tolerance: Tolerance, spec: TensorSpec) -> float:
    """The largest difference of two float outputs in the tolerance's unit: steps of `spec`, or absolute.

    Infinity for outputs of other shapes.
    """
    if reference.shape != outputs.shape:
        return math.inf
    off = float(np.abs(reference.astype(np.float64) - outputs.astype(np.float64)).max(initial=0.0))
    return round(off / (spec.scale or 1.0), 3) if tolerance.lsb is not None else off


def _agreement_tolerance(spec: TensorSpec, reference: np.ndarray) -> Tolerance:
    if spec.scale is not None:
        return Tolerance(lsb=1, reason="both compute the same integers, but for the rounding of single kernels")
    largest = float(np.abs(reference).max(initial=0.0))
    return Tolerance(absolute=_FLOAT_TOLERANCE * max(largest, 1e-6), reason="1e-4 of the largest output")


def _tolerance(here: np.ndarray, there: np.ndarray, kernels: str) -> Tolerance:
    off = np.abs(here.astype(np.float64) - there.astype(np.float64)).max(initial=0.0)
    if here.dtype.kind in "iu":
        return Tolerance(lsb=max(1, int(off)), reason=_LSB_REASON.format(found=int(off), kernels=kernels))
    largest = float(np.abs(here).max(initial=0.0))
    absolute = max(_FLOAT_TOLERANCE * max(largest, 1e-6), 4 * float(off))
    return Tolerance(absolute=absolute, reason=_FLOAT_REASON.format(found=float(off), kernels=kernels))


def _bytes(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()

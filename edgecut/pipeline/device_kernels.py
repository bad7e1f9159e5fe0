"""What an int8 file loses by the kernels of a microcontroller, which round otherwise than LiteRT's XNNPACK.

TFLM's interpreter takes ten times as long as LiteRT, so that it runs few pictures, on which LiteRT's own kernels,
without XNNPACK, are held against it. Where those are equal to a step of the output, they stand for it on more.
CMSIS-NN is made to be equal to TFLM's reference kernels bit by bit (README of ARM-software/CMSIS-NN), and so is
edgecut's C (tests/engine); ESP-NN, Ethos-U and vendors' runtimes promise nothing of the kind, and aren't on this host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.bench.runners import tflm
from edgecut.errors import MissingRuntimeError, RunError
from edgecut.images.feed import Feed
from edgecut.images.rows import columns
from edgecut.pipeline.run_file import fed, predict_file_outputs
from edgecut.pipeline.values import WrittenFile
from edgecut.records.measurement import Measurement, measured, missing
from edgecut.records.precision import taken_by
from edgecut.records.profile import Profile
from edgecut.records.progress import SILENT
from edgecut.runtime.files import FileRunner, dequantize
from edgecut.score.answer import Answer

REFERENCE = "TFLM's reference kernels"
_EQUAL = frozenset({"", "reference", "cmsis-nn"})
_HERE = frozenset({"litert", "onnxruntime"})
_IMAGES, _FEWEST = 200, 64
_TFLM_MACS = 50_000_000  # half a second, as for golden vectors


@dataclass(frozen=True, eq=False)
class Judged:
    """What a file puts out by LiteRT for the images that judge it.

    pixels: (n, ...), as `feed` has them. outputs: (n, ...), float32, of the output at `place`, which `answer` and
    labels judge. drop: what it loses against the float model.
    """

    file: WrittenFile
    pixels: np.ndarray
    feed: Feed
    place: int
    outputs: np.ndarray
    answer: Answer
    labels: np.ndarray
    drop: float


@dataclass(frozen=True, eq=False)
class _Other:
    """What other kernels put out: (k, ...) for the images at `places`.

    tried: how many of these they ran themselves. steps: the most by which what stands for them on the others differs
    from them on these, in steps of the output.
    """

    places: np.ndarray
    outputs: np.ndarray
    tried: int
    steps: int


def lost_on_devices(judged: Judged, profiles: Sequence[Profile]) -> tuple[Measurement, ...]:
    """For each device that takes an int8 file and runs other kernels: the accuracy_drop there, or why it's unknown."""
    artifact = judged.file.artifact
    takers = [p for p in profiles if p.runtime.name not in _HERE and taken_by(p, artifact.format, artifact.precision)]
    integers = {spec.dtype for spec in (*artifact.inputs, *artifact.outputs)} == {"int8"}
    if artifact.format != "tflite" or not integers or not takers:
        return ()
    try:
        found: _Other | str = _reference_outputs(judged)
    except (RunError, MissingRuntimeError) as exc:
        found = str(exc)
    return tuple(_row(judged, found, profile) for profile in takers)


def notes(rows: Sequence[Measurement]) -> Iterator[str]:
    """A sentence for each file whose answers hang on the kernels."""
    told: set[str] = set()
    for row in rows:
        share, lsb = row.conditions.get("kernel_agreement"), row.conditions.get("kernel_steps")
        if isinstance(share, float) and share < 1 and row.artifact not in told:
            told.add(row.artifact)
            yield (
                f"{row.artifact}: its answers hang on how kernels round: by {REFERENCE} {1 - share:.1%} of "
                f"{row.conditions['images']} images get another one than by LiteRT's XNNPACK, which measures accuracy "
                f"here, with outputs up to {lsb} of 255 steps apart"
            )


def _row(judged: Judged, other: _Other | str, profile: Profile) -> Measurement:
    name, kernels = judged.file.artifact.name, profile.runtime.kernels or profile.runtime.name
    if isinstance(other, str):
        why = f"the accuracy on {profile.id} isn't known, since {REFERENCE} couldn't be tried: {other}"
        return missing("accuracy_drop", name, why, where="host", method=REFERENCE, profile=profile.id)
    answer, metric = judged.answer, judged.answer.metric
    here, labels, total = judged.outputs[other.places], judged.labels[other.places], len(judged.labels)
    share = answer.agreement(here, other.outputs)
    conditions: dict[str, object] = {
        "kernels": REFERENCE,
        "device_kernels": kernels,
        "images": len(other.places),
        "of_images": total,
        "kernel_agreement": share,
        "kernel_steps": _steps(judged, here, other.outputs),
        "tried_images": other.tried,
        "stand_in_steps": other.steps,
    }
    if metric is None or (not _is_equal(profile) and share != 1):
        steps = f"outputs are up to {conditions['kernel_steps']} of 255 steps from LiteRT's"
        told = steps if share is None else f"{share:.1%} of {len(other.places)} images get LiteRT's answer"
        why = (
            f"{profile.id} runs {kernels}, which isn't on this host, and the answers hang on the kernels: by "
            f"{REFERENCE} {told}"
        )
        return missing(
            "accuracy_drop", name, why, where="host", method=REFERENCE, profile=profile.id, conditions=conditions
        )
    shift = answer.drops(here, other.outputs, labels)[metric]
    value, band = judged.drop + shift.value, 0.0 if len(other.places) == total else 2 * shift.error
    whole = other.tried == total and _is_equal(profile)
    return measured(
        "accuracy_drop",
        name,
        [value],
        where="host",
        method=REFERENCE,
        profile=profile.id,
        kind="measured" if whole else "estimated",
        conditions={**conditions, "low": value - band, "high": value + band},
    )


def _is_equal(profile: Profile) -> bool:
    runtime = profile.runtime
    return runtime.name == "c" or (runtime.name == "tflm" and runtime.kernels.lower() in _EQUAL)


def _reference_outputs(judged: Judged) -> _Other:
    """Raises RunError where TFLM can't run the file, or too few images in the time, MissingRuntimeError without it."""
    total, macs = len(judged.labels), max(judged.file.artifact.macs or 0, 1)
    places = np.unique(np.linspace(0, total - 1, min(total, _IMAGES)).astype(int))
    plain = FileRunner(judged.file.path, kernels="plain")
    rows = judged.pixels[places]
    outputs = predict_file_outputs(plain, rows, judged.feed, title=REFERENCE, progress=SILENT)[judged.place]
    few = min(len(places), max(1, _TFLM_MACS // macs))
    tried = _in_tflm(judged, plain, rows[:few])
    steps = _steps(judged, outputs[:few], tried)
    if steps <= 1:
        return _Other(places, np.concatenate([tried, outputs[few:]]), few, steps)
    if few < min(total, _FEWEST):
        raise RunError(f"LiteRT's own kernels differ from it by {steps} steps, and it runs {few} images in its time")
    return _Other(places[:few], tried, few, 0)


def _in_tflm(judged: Judged, runner: FileRunner, rows: np.ndarray) -> np.ndarray:
    """The judged output by TFLM, (n, ...), float32."""
    inputs = columns(fed(runner, rows, judged.feed))
    encoded = [b"".join(np.ascontiguousarray(x).tobytes() for x in row) for row in zip(*inputs, strict=True)]
    (found,) = tflm.interpreter_outputs([judged.file.path], [encoded])
    if isinstance(found, str):
        raise RunError(found)
    sizes = [int(np.prod(spec.shape)) for spec in runner.outputs]
    start, spec = sum(sizes[: judged.place]), runner.outputs[judged.place]
    codes = [np.frombuffer(y, np.int8)[start : start + sizes[judged.place]] for y in found]
    return dequantize(np.stack(codes).reshape(len(rows), *spec.shape[1:]), spec)


def _steps(judged: Judged, here: np.ndarray, there: np.ndarray) -> int:
    """The largest difference, in steps of the output."""
    scale = judged.file.artifact.outputs[judged.place].scale or 1.0
    return round(float(np.abs(here - there).max(initial=0.0)) / scale)

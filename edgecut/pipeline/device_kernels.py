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
from edgecut.records.artifact import Artifact
from edgecut.records.document import Record
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
    labels judge. drop: what it loses against the float model, whose outputs `floats` (n, ...) `by` decides.
    """

    file: WrittenFile
    pixels: np.ndarray
    feed: Feed
    place: int
    outputs: np.ndarray
    answer: Answer
    labels: np.ndarray
    drop: float
    floats: np.ndarray
    by: Answer


class KernelLoss(Record):
    """What is lost by other kernels than this host's.

    of_all: between what all images lose, of which those that judge are a sample; of_judging: between what these lose,
    as far as those that were tried tell. Both with 95 %.
    """

    drop: float
    of_all: tuple[float, float]
    of_judging: tuple[float, float]


class KernelTrial(Record):
    """A file's answers by TFLM's reference kernels against those by LiteRT; `reason` says why there are none.

    images: of the of_images that judge. tried_images: how many of them TFLM ran itself; stand_in_steps: by how much
    what stands for it on the others differs from it on these. kernel_agreement: the part of answers that stay;
    kernel_steps: the largest difference, in steps of the output. loss: None where no labels judge.
    """

    reason: str = ""
    images: int = 0
    of_images: int = 0
    tried_images: int = 0
    stand_in_steps: int = 0
    kernel_agreement: float | None = None
    kernel_steps: int = 0
    loss: KernelLoss | None = None


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


def takers(artifact: Artifact, profiles: Sequence[Profile]) -> list[Profile]:
    """The devices that take an int8 file and run other kernels than this host."""
    integers = {spec.dtype for spec in (*artifact.inputs, *artifact.outputs)} == {"int8"}
    if artifact.format != "tflite" or not integers:
        return []
    return [p for p in profiles if p.runtime.name not in _HERE and taken_by(p, artifact.format, artifact.precision)]


def tries_kernels(profiles: Sequence[Profile]) -> bool:
    """Whether any of the devices runs other kernels than this host."""
    return any(profile.runtime.name not in _HERE for profile in profiles)


def lost_on_devices(judged: Judged, profiles: Sequence[Profile]) -> tuple[Measurement, ...]:
    """For each device that takes an int8 file and runs other kernels: the accuracy_drop there, or why it's unknown."""
    own = takers(judged.file.artifact, profiles)
    return rows_of(try_kernels(judged), judged.file.artifact.name, own) if own else ()


def try_kernels(judged: Judged) -> KernelTrial:
    """What an int8 file answers by TFLM's reference kernels, or why they couldn't be tried."""
    try:
        other = _reference_outputs(judged)
    except (RunError, MissingRuntimeError) as exc:
        return KernelTrial(reason=str(exc))
    answer, metric, places = judged.answer, judged.answer.metric, other.places
    here, labels = judged.outputs[places], judged.labels[places]
    loss = None
    if metric is not None:
        shift = answer.drops(here, other.outputs, labels)[metric]
        whole = answer.drops(judged.floats[places], other.outputs, labels, by=judged.by)[metric]
        loss = KernelLoss(
            drop=judged.drop + shift.value,
            of_all=(whole.low, whole.high),
            of_judging=(judged.drop + shift.low, judged.drop + shift.high),
        )
    return KernelTrial(
        images=len(places),
        of_images=len(judged.labels),
        tried_images=other.tried,
        stand_in_steps=other.steps,
        kernel_agreement=answer.agreement(here, other.outputs),
        kernel_steps=_steps(judged, here, other.outputs),
        loss=loss,
    )


def rows_of(trial: KernelTrial, name: str, profiles: Sequence[Profile]) -> tuple[Measurement, ...]:
    """The accuracy_drop of the file `name` on each of the devices, by their kernels; or why it's unknown."""
    return tuple(_row(trial, name, profile) for profile in profiles)


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


def _row(trial: KernelTrial, name: str, profile: Profile) -> Measurement:
    kernels, share = profile.runtime.kernels or profile.runtime.name, trial.kernel_agreement
    if trial.reason:
        why = f"the accuracy on {profile.id} isn't known by {REFERENCE}: {trial.reason}"
        return missing("accuracy_drop", name, why, where="host", method=REFERENCE, profile=profile.id)
    conditions: dict[str, object] = {
        "kernels": REFERENCE,
        "device_kernels": kernels,
        "images": trial.images,
        "of_images": trial.of_images,
        "kernel_agreement": share,
        "kernel_steps": trial.kernel_steps,
        "tried_images": trial.tried_images,
        "stand_in_steps": trial.stand_in_steps,
    }
    if trial.loss is None or (not _is_equal(profile) and share != 1):
        steps = f"outputs are up to {trial.kernel_steps} of 255 steps from LiteRT's"
        told = steps if share is None else f"{share:.1%} of {trial.images} images get LiteRT's answer"
        why = (
            f"{profile.id} runs {kernels}, which isn't on this host, and the answers hang on the kernels: by "
            f"{REFERENCE} {told}"
        )
        return missing(
            "accuracy_drop", name, why, where="host", method=REFERENCE, profile=profile.id, conditions=conditions
        )
    whole = trial.tried_images == trial.of_images and _is_equal(profile)
    low, high = trial.loss.of_all if whole else trial.loss.of_judging
    return measured(
        "accuracy_drop",
        name,
        [trial.loss.drop],
        where="host",
        method=REFERENCE,
        profile=profile.id,
        kind="measured" if whole else "estimated",
        conditions={**conditions, "low": low, "high": high},
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
        raise RunError(
            f"LiteRT's kernels without XNNPACK, which would stand for them, are up to {steps} steps from them on {few} "
            f"images, and TFLM's interpreter is too slow for the {min(total, _FEWEST)} that are needed at least"
        )
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

"""A choice made as `edgecut build` would make it, and judged on images that chose nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgecut.export.readback import read_artifact
from edgecut.graph.predict import predict
from edgecut.pipeline.build import edit, write
from edgecut.pipeline.device_kernels import Judged, KernelTrial, rows_of, takers, tries_kernels, try_kernels
from edgecut.pipeline.explain import explain_files
from edgecut.pipeline.judged_outputs import answers_of
from edgecut.pipeline.plan import plan
from edgecut.pipeline.run_file import predict_file
from edgecut.records.document import Record
from edgecut.records.explanation import Explanation
from edgecut.records.front import Basis, DeviceCost, FrontPoint, LatencyBasis
from edgecut.records.measurement import Measurement, Metric
from edgecut.records.measurement import measured as measured_value
from edgecut.records.precision import taken_by
from edgecut.records.recipe import Precision
from edgecut.runtime.files import FileRunner
from edgecut.runtime.session import runtime_words
from edgecut.score.intervals import fraction_error, resampled_error
from edgecut.score.metrics import SCORES, MetricName
from edgecut.search import costs
from edgecut.search.inputs import Workbench, outputs_of
from edgecut.search.request import COLOURS, Choice, Request, recipe_for
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.ops import macs
from edgecut.whole import scratch_folder


class Made(Record):
    """A choice's file, and how well it does: on the images that choose, and on the others, which judge.

    error: the standard error of chosen_by. drop: what the judging score lost against the float model's. explanation:
    of a quantized file. kernels: what it loses by a microcontroller's, where a limit asks for that.
    """

    file: str
    precision: Precision
    outputs: int
    chosen_by: float
    error: float
    accuracy: float
    drop: float
    judging: int
    explanation: Explanation | None = None
    kernels: KernelTrial | None = None


def name_of(choice: Choice) -> str:
    """What a choice's files are called."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in choice.cut)
    if choice.size is None or choice.channels is None:
        return f"arrays_{plain}_{choice.precision}"
    height, width = choice.size
    return f"{COLOURS[choice.channels]}_{height}x{width}_{plain}_{choice.precision}"


def make(bench: Workbench, choice: Choice) -> tuple[Made, bytes]:
    """The choice made by the steps of a build, and its file's content.

    One half of the held-out images gives `chosen_by`, by which a device's choice is made, and the other `accuracy`.
    """
    request, progress = bench.request, bench.progress
    dataset = bench.images(choice.size, choice.channels)
    labels = np.asarray(dataset.val.labels)
    name = name_of(choice)
    # A build puts the precision into the file's name.
    recipe = recipe_for(request, choice, outputs_of(dataset), name.removesuffix(f"_{choice.precision}"))
    profiles = [p for p in request.profiles if taken_by(p, "tflite", choice.precision)]
    body = edit(bench.source, recipe, progress).value
    with scratch_folder(prefix="edgecut-search-") as scratch:
        fitted, written = write(body, dataset, plan(recipe, profiles), scratch, progress)
        file = next(file for file in written.value.files if file.artifact.format == "tflite")
        scores = predict_file(FileRunner(file.path), dataset.val.pixels, fitted.feed, title=name, progress=progress)
        float_model = fitted.before or fitted
        floats = predict(
            float_model.model, dataset.val.pixels, fitted.feed.values, title="float model", progress=progress
        )
        explanations = explain_files(fitted, dataset, [file], recipe, progress).value
        content = file.path.read_bytes()
        choosing, judging = halves(len(scores), recipe.data.seed)
        score = SCORES[request.scored_by]
        chosen_by, accuracy = (round(score(scores[part], labels[part]), 9) for part in (choosing, judging))
        drop = round(score(floats[judging], labels[judging]) - accuracy, 9)
        kernels = None
        if by_kernels(request) and takers(file.artifact, request.profiles):
            answer = answers_of(fitted.model, recipe, dataset)[0]
            shown = dataset.val.pixels[judging]
            rows = (scores[judging], answer, labels[judging], drop, floats[judging], answer)
            kernels = _tried(Judged(file, shown, fitted.feed, 0, *rows), request.scored_by)
    made = Made(
        file=file.path.name,
        precision=file.artifact.precision,
        outputs=outputs_of(dataset),
        chosen_by=chosen_by,
        error=standard_error(request.scored_by, scores[choosing], labels[choosing]),
        accuracy=accuracy,
        drop=drop,
        judging=len(judging),
        explanation=explanations[0] if explanations else None,
        kernels=kernels,
    )
    return made, content


def by_kernels(request: Request) -> bool:
    """Whether choices are tried by a microcontroller's kernels, too: where what they lose there has a limit."""
    return request.recipe.budget.accuracy_drop is not None and tries_kernels(request.profiles)


def _tried(judged: Judged, scored_by: MetricName) -> KernelTrial:
    metric = judged.answer.metric
    if metric != scored_by:
        return KernelTrial(reason=f"the search scores by {scored_by}, and answers are judged by {metric or 'nothing'}")
    return try_kernels(judged)


def priced(request: Request, made: Made, path: Path, choice: Choice) -> tuple[FrontPoint, list[Measurement]]:
    """The point that a made choice is on the front, and its measurements: what its file costs on each device."""
    recipe = recipe_for(request, choice, made.outputs, path.name.partition(".")[0])
    profiles = [p for p in request.profiles if taken_by(p, "tflite", choice.precision)]
    artifact = read_artifact(
        path,
        name=path.name,
        precision=made.precision,
        expects=None if choice.size is None else recipe.stem.pixels,
        relative_to=request.out,
    )
    rows = costs.measured(path, artifact, recipe, profiles)
    conditions = {"images": made.judging, "inputs": "held-out images that chose nothing"}
    scores: dict[Metric, float] = {request.scored_by: made.accuracy, "accuracy_drop": made.drop}
    by = runtime_words(artifact.format, artifact.precision)
    rows += [
        measured_value(metric, artifact.name, [value], where="host", method=by, conditions=conditions)
        for metric, value in scores.items()
    ]
    if made.kernels is not None:
        rows += rows_of(made.kernels, artifact.name, takers(artifact, profiles))
    devices = costs.device_costs(recipe, profiles, artifact, rows)
    device = devices[0] if devices else None
    file = read(path)
    point = FrontPoint(
        cut=choice.cut,
        size=choice.size,
        channels=choice.channels,
        precision=choice.precision,
        accuracy=made.accuracy,
        chosen_by=made.chosen_by,
        chosen_error=made.error,
        latency=None if device is None else device.latency,
        arena=_arena(device, costs.arena_bytes(file, profiles)),
        size_bytes=artifact.size_bytes,
        macs=macs(file),
        basis=Basis(accuracy="measured", latency=latency_basis(device)),
        devices=devices,
        artifact=path.relative_to(request.out).as_posix(),
    )
    return point, rows


def standard_error(metric: MetricName, scores: np.ndarray, labels: np.ndarray) -> float:
    """By how much chance alone moves a score over so few images: of hits by their count, else of seeded resamples."""
    count = max(1, len(labels))
    if metric == "accuracy":
        return round(fraction_error(SCORES[metric](scores, labels), count), 9)
    return round(resampled_error(lambda rows: SCORES[metric](scores[rows], labels[rows]), count), 9)


def halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The positions of the images that choose, and of those that judge; seeded, in order, none in both."""
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def latency_basis(device: DeviceCost | None) -> LatencyBasis:
    """The kind of a device's latency, "unknown" without one."""
    return (device.latency_kind or "unknown") if device is not None and device.latency is not None else "unknown"


def _arena(device: DeviceCost | None, planned: float) -> float:
    return device.arena if device is not None and device.arena is not None else planned

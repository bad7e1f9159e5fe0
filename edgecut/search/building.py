"""A choice made as `edgecut build` would make it, and judged on images that chose nothing."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecut.export.readback import read_artifact
from edgecut.graph.edits import edit
from edgecut.graph.predict import predict
from edgecut.pipeline.explaining import explain_files
from edgecut.pipeline.files import write_files
from edgecut.pipeline.fitting import fit_head, predict_file, to_input
from edgecut.pipeline.planning import plan
from edgecut.pipeline.running import Run
from edgecut.records.front import Basis, DeviceCost, FrontPoint, LatencyBasis
from edgecut.records.measurement import Measurement, Metric
from edgecut.records.measurement import measured as measured_value
from edgecut.records.recipe import Precision
from edgecut.runtime.files import FileRunner
from edgecut.score.intervals import fraction_error, resampled_error
from edgecut.score.metrics import SCORES, MetricName
from edgecut.search import costs
from edgecut.search.asked import Request, Size, recipe_for
from edgecut.search.inputs import Bench, outputs_of
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.ops import macs


@dataclass(frozen=True)
class Made:
    """A choice's file, and how well it does: on the images that choose, and on the others, which judge.

    error: the standard error of chosen_by. drop: what the judging score lost against the float model's. explanation:
    of a quantized file, as its record says it.
    """

    file: str
    precision: str
    outputs: int
    chosen_by: float
    error: float
    accuracy: float
    drop: float
    judging: int
    explanation: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready data."""
        return asdict(self)


def name_of(cut: str, size: Size, channels: int, precision: str) -> str:
    """What a choice's files are called."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in cut)
    return f"{'gray' if channels == 1 else 'colour'}_{size[0]}x{size[1]}_{plain}_{precision}"


def make(bench: Bench, cut: str, size: Size, channels: int, precision: Precision) -> tuple[Made, bytes]:
    """The choice made, and its file's content.

    One half of the held-out images gives `chosen_by`, by which a device's choice is made, and the other `accuracy`.
    """
    request, dataset = bench.request, bench.images(size, channels)
    labels = np.asarray(dataset.val.labels)
    name = name_of(cut, size, channels, precision)
    stem_name = name.removesuffix(f"_{precision}")  # a build puts the precision into the file's name
    recipe = recipe_for(request.recipe, cut, size, channels, precision, outputs_of(dataset), stem_name)
    profiles = [p for p in request.profiles if precision in p.runtime.precisions]
    with tempfile.TemporaryDirectory(prefix="edgecut-search-") as scratch:
        state = Run(plan(recipe, profiles), Path(scratch), bench.progress)
        state.device_shape, state.dataset, state.loaded = (*size, channels), dataset, bench.source
        (state.folder / "models").mkdir()
        converter = state.folder / "converter"
        converter.mkdir()
        fitted = fit_head(state, edit(bench.model(size, channels), to=cut, prove=False).model)
        (file,) = write_files(state, fitted, converter)
        scores = predict_file(state, FileRunner(file.path), dataset.val.pixels, name)
        floats = predict(
            fitted.model, dataset.val.pixels, lambda x: to_input(state, x), title="float model", progress=bench.progress
        )
        explain_files(state, fitted.model, [file])
        content = file.path.read_bytes()
    choosing, judging = halves(len(scores), recipe.data.seed)
    score = SCORES[request.scored_by]
    chosen_by, accuracy = (round(score(scores[part], labels[part]), 9) for part in (choosing, judging))
    drop = round(score(floats[judging], labels[judging]) - accuracy, 9)
    made = Made(
        file=file.path.name, precision=file.artifact.precision, outputs=outputs_of(dataset), chosen_by=chosen_by,
        error=standard_error(request.scored_by, scores[choosing], labels[choosing]), accuracy=accuracy, drop=drop,
        judging=len(judging), explanation=state.explanations[0].to_dict() if state.explanations else None,
    )  # fmt: skip
    return made, content


def priced(
    request: Request, made: Made, path: Path, cut: str, size: Size, channels: int, precision: Precision
) -> tuple[FrontPoint, list[Measurement]]:
    """The point that a made choice is on the front, and its measurements: what its file costs on each device."""
    recipe = recipe_for(request.recipe, cut, size, channels, precision, made.outputs, path.name.partition(".")[0])
    profiles = [p for p in request.profiles if precision in p.runtime.precisions]
    expects = request.recipe.stem.pixels
    artifact = read_artifact(
        path, name=path.name, precision=made.precision, expects=expects, relative_to=request.out
    )  # fmt: skip
    rows = costs.measured(path, artifact, recipe, profiles)
    conditions = {"images": made.judging, "inputs": "held-out images that chose nothing"}
    scores: dict[Metric, float] = {request.scored_by: made.accuracy, "accuracy_drop": made.drop}
    rows += [
        measured_value(metric, artifact.name, [value], where="host", method="LiteRT", conditions=conditions)
        for metric, value in scores.items()
    ]
    devices = costs.device_costs(recipe, profiles, artifact, rows)
    device = devices[0] if devices else None
    file = read(path)
    point = FrontPoint(
        cut=cut, size=size, channels=channels, precision=precision, accuracy=made.accuracy, chosen_by=made.chosen_by,
        chosen_error=made.error, latency=None if device is None else device.latency,
        arena=_arena(device, costs.arena_bytes(file, profiles)), size_bytes=artifact.size_bytes, macs=macs(file),
        basis=Basis(accuracy="measured", latency=latency_basis(device)), devices=devices,
        artifact=path.relative_to(request.out).as_posix(),
    )  # fmt: skip
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

"""A choice built as `edgecut build` would build it, and judged on images that chose nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from edgecut.bench.run import FileRunner
from edgecut.graph.edits import edit
from edgecut.head.probe import accuracy
from edgecut.pipeline.files import write_files
from edgecut.pipeline.fitting import fit_head, predict_file
from edgecut.pipeline.planning import plan
from edgecut.pipeline.running import Run
from edgecut.records.front import Basis, DeviceCost, FrontPoint, LatencyBasis
from edgecut.records.measurement import Measurement
from edgecut.records.measurement import measured as measured_value
from edgecut.records.recipe import Precision
from edgecut.search import costs
from edgecut.search.asked import Size, recipe_for
from edgecut.search.inputs import Bench
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.ops import macs


def name_of(cut: str, size: Size, channels: int, precision: str) -> str:
    """What a choice's files are called."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in cut)
    return f"{'gray' if channels == 1 else 'colour'}_{size[0]}x{size[1]}_{plain}_{precision}"


def build_choice(
    bench: Bench, cut: str, size: Size, channels: int, precision: Precision
) -> tuple[FrontPoint, list[Measurement]]:
    """The choice built and written to OUT/models, and its measurements.

    One half of the held-out images gives `chosen_by`, by which a device's choice is made, and the other `accuracy`.
    """
    request = bench.request
    model, dataset = bench.fed(size, channels)
    name = name_of(cut, size, channels, precision)
    stem_name = name.removesuffix(f"_{precision}")  # a build puts the precision into the file's name
    recipe = recipe_for(request.recipe, cut, size, channels, precision, len(dataset.labels), stem_name)
    profiles = [p for p in request.profiles if precision in p.runtime.precisions]
    with tempfile.TemporaryDirectory(prefix="edgecut-search-", dir=_folder(request.out)) as scratch:
        state = Run(plan(recipe, profiles), Path(scratch), bench.progress)
        state.device_shape, state.dataset = (*size, channels), dataset
        (state.folder / "models").mkdir()
        converter = state.folder / "converter"
        converter.mkdir()
        fitted = fit_head(state, edit(model, to=cut, prove=False).model)
        (file,) = write_files(state, fitted, converter)
        scores = predict_file(state, FileRunner(file.path), dataset.val.pixels, name)
        rows = costs.measured(file.path, file.artifact, recipe, profiles)
        devices = costs.device_costs(recipe, profiles, file.artifact, rows)
        arena = costs.arena_bytes(read(file.path), profiles)
        target = request.out / "models" / file.path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.path.replace(target)
    choosing, judging = halves(len(scores), recipe.data.seed)
    labels = np.asarray(dataset.val.labels)
    judged = accuracy(scores[judging], labels[judging])
    conditions = {"images": len(judging), "inputs": "held-out images that chose nothing"}
    rows.append(
        measured_value("accuracy", file.artifact.name, [judged], where="host", method="LiteRT", conditions=conditions)
    )
    device = devices[0] if devices else None
    point = FrontPoint(
        cut=cut, size=size, channels=channels, precision=precision, accuracy=judged,
        chosen_by=accuracy(scores[choosing], labels[choosing]), latency=None if device is None else device.latency,
        arena=_arena(device, arena), size_bytes=file.artifact.size_bytes, macs=macs(read(target)),
        basis=Basis(accuracy="measured", latency=latency_basis(device)), devices=devices,
        artifact=target.relative_to(request.out).as_posix(),
    )  # fmt: skip
    return point, rows


def halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The positions of the images that choose, and of those that judge; seeded, in order, none in both."""
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def latency_basis(device: DeviceCost | None) -> LatencyBasis:
    """The kind of a device's latency, "unknown" without one."""
    return (device.latency_kind or "unknown") if device is not None and device.latency is not None else "unknown"


def _arena(device: DeviceCost | None, planned: float) -> float:
    return device.arena if device is not None and device.arena is not None else planned


def _folder(out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    return out

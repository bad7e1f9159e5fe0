"""A plan carried out, step by step, into a folder that appears whole or not at all."""

from __future__ import annotations

import importlib.metadata
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import edgecut
from edgecut.errors import DataError
from edgecut.handoff.output import output_folder
from edgecut.pipeline.planning import Plan, plan, read_paths, written_files
from edgecut.records.explanation import Explanation
from edgecut.records.profile import Profile, find_profile
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Recipe, read_recipe
from edgecut.records.report import Report, SourceFacts, Step, overall
from edgecut.records.trial import Trial

if TYPE_CHECKING:
    import keras

    from edgecut.handoff.vectors import Vectors
    from edgecut.images.dataset import Dataset
    from edgecut.pipeline.files import WrittenFile

VECTORS = 4  # golden vectors in a bundle
PACKAGES = (
    "tensorflow",
    "keras",
    "ai-edge-litert",
    "onnxruntime",
    "onnx",
    "tf2onnx",
    "tflite-micro",
    "numpy",
)


@dataclass
class Run:
    """What a run has so far.

    device_shape: (height, width, channels) of the device's pictures, None without a camera. baseline: the accuracy of
    the float model before it was compressed, against which drops count.
    """

    plan: Plan
    folder: Path
    progress: Progress
    steps: list[Step] = field(default_factory=list)
    device_shape: tuple[int, int, int] | None = None
    dataset: Dataset | None = None
    trials: list[Trial] = field(default_factory=list)
    explanations: list[Explanation] = field(default_factory=list)
    baseline: float | None = None

    @property
    def recipe(self) -> Recipe:
        """The request."""
        return self.plan.recipe

    @property
    def labels(self) -> np.ndarray:
        """The training labels, (n,) int64. Raises DataError if the images have none."""
        if self.dataset is None or self.dataset.train.labels is None:
            raise DataError("data.train: has no labels to fit a head on; give class folders or an .npz with y_train")
        return self.dataset.train.labels

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Time a step; what is put into the dict (changed, before, after, proof, notes) goes into its record."""
        facts: dict[str, Any] = {"changed": True}
        begin = time.perf_counter()
        with self.progress.task(name):
            yield facts
        self.steps.append(Step(name=name, seconds=round(time.perf_counter() - begin, 3), **facts))


def build(
    recipe: Recipe | str | Path,
    profiles: Sequence[Profile | str] = (),
    out: str | Path = "dist",
    *,
    force: bool = False,
    progress: Progress = SILENT,
) -> Report:
    """The report of a whole build, whose bundle is then in `out`.

    recipe: a Recipe or a recipe file. profiles: Profiles, ids or files; default: this host.
    force: replace an existing `out`, which stays as it was if the build fails.
    Raises RequestError before anything is started, StepError for a step that failed.
    """
    file = None if isinstance(recipe, Recipe) else Path(recipe)
    request = recipe if isinstance(recipe, Recipe) else read_recipe(Path(recipe))
    devices = [profile if isinstance(profile, Profile) else find_profile(profile) for profile in profiles]
    return run(plan(request, devices, Path(out), force, file), Path(out), force=force, progress=progress)


def run(plan: Plan, out: Path, *, force: bool = False, progress: Progress = SILENT) -> Report:
    """Carry out a plan into the folder `out`; the same as `build`, for a request that was checked already."""
    with output_folder(out, force, keep=read_paths(plan.recipe, plan.recipe_file)) as folder:
        return _run(Run(plan, folder, progress))


def exit_code(report: Report, strict: bool = False) -> int:
    """0 if every budget is met, 1 if one is missed; one that is unknown counts only if `strict`."""
    return 1 if report.status == "misses" or (strict and report.status == "unknown") else 0


def _run(state: Run) -> Report:
    from edgecut.graph.quiet import import_keras_quietly

    with state.progress.task("starting TensorFlow"):
        import_keras_quietly()
    from edgecut.pipeline.compressing import compress_model
    from edgecut.pipeline.explaining import explain_files
    from edgecut.pipeline.files import bench_files, check_files, keras_file, write_files
    from edgecut.pipeline.fitting import fit_head
    from edgecut.pipeline.judging import judge
    from edgecut.pipeline.precisions import slower_notes
    from edgecut.pipeline.picture import edit_stem, read_images
    from edgecut.pipeline.runtimes import refuse_file, refuse_model
    from edgecut.pipeline.uncompressed import compare

    model, source = _load(state)
    model = _cut(state, model)
    refuse_model(model, written_files(state.plan.files), state.plan.profiles)
    model = edit_stem(state, model)
    read_images(state, model)
    fitted = compress_model(state, fit_head(state, model))
    keras_file(state, fitted.model)
    with tempfile.TemporaryDirectory() as scratch:
        files = write_files(state, fitted, Path(scratch))
    for file in files:
        refuse_file(file.path, file.artifact.precision, state.plan.profiles)
    explain_files(state, fitted.model, files)
    measurements = [*check_files(state, fitted.model, files), *bench_files(state, files)]
    measurements += compare(state, fitted, files, measurements)
    artifacts = tuple(file.artifact for file in files)
    checks = judge(state.recipe, state.plan.profiles, artifacts, measurements)
    slower = slower_notes(state.plan.profiles, artifacts, measurements)
    report = Report(
        edgecut=edgecut.__version__, status=overall(checks), recipe=state.recipe.to_dict(),
        profiles=tuple(profile.to_dict() for profile in state.plan.profiles), environment=environment(),
        source=source, steps=tuple(state.steps), artifacts=artifacts, measurements=tuple(measurements), checks=checks,
        notes=(*state.plan.notes, *slower), trials=tuple(state.trials), explanations=tuple(state.explanations),
    )  # fmt: skip
    _bundle(state, report, files)
    return report


def _load(state: Run) -> tuple[keras.Model, SourceFacts]:
    from edgecut.graph.calls import calls
    from edgecut.graph.cuts import cut_points
    from edgecut.graph.peek import PREFIX
    from edgecut.graph.source import load
    from edgecut.pipeline.picture import shapes
    from edgecut.records.artifact import sha256_of

    source = state.recipe.source
    with state.step("load") as facts:
        model = load(source.model, unsafe=source.unsafe)
        graph = calls(model)
        found = SourceFacts(
            path=source.model, sha256="" if source.model.startswith(PREFIX) else sha256_of(Path(source.model)),
            layers=len(model.layers), calls=len(graph), params=model.count_params(), macs=cut_points(graph)[-1].macs,
        )  # fmt: skip
        facts.update(changed=False, after=shapes(model))
    return model, found


def _cut(state: Run, model: keras.Model) -> keras.Model:
    from edgecut.graph.edits import edit
    from edgecut.graph.source import load
    from edgecut.pipeline.picture import shapes

    cut = state.recipe.cut
    if cut.to is None and cut.start is None and not cut.drop and not cut.replace:
        return model
    with state.step("cut") as facts:
        bodies = [load(row.with_, unsafe=state.recipe.source.unsafe) for row in cut.replace]
        ranges = [row.range.partition("..") for row in cut.replace]
        replacements = [(a, b or a, body) for (a, _, b), body in zip(ranges, bodies, strict=True)]
        result = edit(model, to=cut.to, start=cut.start, drop=cut.drop, replace=replacements)
        facts.update(before=shapes(model), after=shapes(result.model), proof=result.proof, notes=result.notes)
    return result.model


def _bundle(state: Run, report: Report, files: Sequence[WrittenFile]) -> None:
    from edgecut.handoff.bundle import write_bundle
    from edgecut.render.page import render_page

    with state.progress.task("bundle"):
        write_bundle(
            state.folder, report=report, recipe=state.recipe, profiles=state.plan.profiles,
            vectors=_vectors(state, files), labels=state.dataset.labels if state.dataset else (),
            page_html=render_page(report),
            recipe_folder=state.plan.recipe_file.parent if state.plan.recipe_file else None,
        )  # fmt: skip


def _vectors(state: Run, files: Sequence[WrittenFile]) -> Vectors | None:
    """Golden vectors of the file that a device runs: held-out pictures, or seeded bytes without images."""
    from edgecut.handoff.bundle import device_artifact
    from edgecut.handoff.vectors import golden_vectors
    from edgecut.pipeline.fitting import to_input

    artifact = device_artifact([file.artifact for file in files])
    file = next((file for file in files if file.artifact == artifact), None)
    if file is None or state.device_shape is None:
        return None
    if state.dataset is not None:
        val = state.dataset.val.pixels
        pixels = val[np.linspace(0, len(val) - 1, min(VECTORS, len(val))).astype(int)]
    else:
        pixels = np.random.default_rng(0).integers(0, 256, (VECTORS, *state.device_shape)).astype("uint8")
    return golden_vectors(file.path, pixels, to_input(state, pixels))


def environment() -> dict[str, Any]:
    """{"python", "platform", "packages"}: what the run's numbers depend on."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "platform": platform.platform(), "packages": packages}

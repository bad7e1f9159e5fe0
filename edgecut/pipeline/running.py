"""A plan carried out, step by step, into a folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import edgecut
from edgecut.bench.usage import file_uses
from edgecut.cache.facts import versions
from edgecut.cache.store import Store
from edgecut.errors import DataError, OutputError, RequestError, StepError
from edgecut.graph.threads import threads
from edgecut.handoff.output import output_folder
from edgecut.pipeline.inputs import check_lock, input_hashes, lock_of, lock_path, lock_text
from edgecut.pipeline.keeping import WORK, build_store, hash_store, named, stage
from edgecut.pipeline.planning import Plan, plan, read_paths, written_files
from edgecut.records.artifact import Artifact
from edgecut.records.explanation import Explanation
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile, find_profile
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Recipe, read_recipe
from edgecut.records.report import Check, Report, SourceFacts, Step, overall
from edgecut.records.trial import Trial
from edgecut.whole import write_whole

if TYPE_CHECKING:
    import keras

    from edgecut.images.dataset import Dataset


EDITED = f"{WORK}/edited.keras"


@dataclass
class Run:
    """What a run has so far.

    device_shape: (height, width, channels) of the device's pictures, None without a camera. loaded: the source, where
    it was needed so far. baseline: the accuracy of the float model before it was compressed, against which drops count;
    uncompressed: what it put out for the validation images, () without.
    store: of earlier results, None to run every step. inputs: {recipe key: SHA-256} of what is read. facts, names: the
    source model and the classes. edited: the model behind cut and stem. is_whole: whether what was done can be kept.
    unkept: why it couldn't be.
    """

    plan: Plan
    folder: Path
    progress: Progress
    steps: list[Step] = field(default_factory=list)
    device_shape: tuple[int, int, int] | None = None
    dataset: Dataset | None = None
    loaded: keras.Model | None = None
    trials: list[Trial] = field(default_factory=list)
    explanations: list[Explanation] = field(default_factory=list)
    baseline: float | None = None
    uncompressed: tuple[np.ndarray, ...] = ()
    store: Store | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    facts: SourceFacts | None = None
    names: tuple[str, ...] = ()
    edited: keras.Model | None = None
    artifacts: list[Artifact] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    is_whole: bool = True
    unkept: str = ""

    @property
    def source(self) -> keras.Model:
        """The model before any edit; loaded again where a kept cut has taken its place."""
        if self.loaded is None:
            from edgecut.graph.source import load

            self.loaded = load(self.recipe.source.model, unsafe=self.recipe.source.unsafe)
        return self.loaded

    @property
    def recipe(self) -> Recipe:
        """The request."""
        return self.plan.recipe

    @property
    def labels(self) -> np.ndarray:
        """The training labels, (n,) int64, or targets, (n, outputs) float32. Raises DataError without."""
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
    cache: bool = True,
    locked: bool = False,
    progress: Progress = SILENT,
) -> Report:
    """The report of a whole build, whose bundle is then in `out`.

    recipe: a Recipe or a recipe file. profiles: Profiles, ids or files; default: this host.
    force: replace an existing `out`, which stays as it was if the build fails. cache: take steps of which nothing has
    changed from earlier builds. locked: refuse inputs and versions that aren't those of the recipe's lock.
    Raises RequestError before anything is started, StepError for a step that failed.
    """
    file = None if isinstance(recipe, Recipe) else Path(recipe)
    request = recipe if isinstance(recipe, Recipe) else read_recipe(Path(recipe))
    devices = [profile if isinstance(profile, Profile) else find_profile(profile) for profile in profiles]
    planned = plan(request, devices, Path(out), force, file)
    return run(planned, Path(out), force=force, cache=cache, locked=locked, progress=progress)


def run(
    plan: Plan, out: Path, *, force: bool = False, cache: bool = True, locked: bool = False, progress: Progress = SILENT
) -> Report:
    """Carry out a plan into the folder `out`; the same as `build`, for a request that was checked already.

    A recipe from a file gets a lock beside it; one that can't be written is left out.
    """
    inputs = input_hashes(plan.recipe, hash_store(plan) if cache else None)
    lock = None if plan.recipe_file is None else lock_path(plan.recipe_file)
    now = lock_of(inputs, named(plan), plan.profiles)
    if locked:
        if lock is None:
            raise RequestError("--locked: needs a recipe file, whose lock lies beside it; write one with `edgecut new`")
        check_lock(lock, now)
    store, unkept = None, ""
    if cache and not _has_custom_classes():
        try:
            store = build_store(plan)
        except OutputError as exc:
            unkept = str(exc)
    with output_folder(out, force, keep=read_paths(plan.recipe, plan.recipe_file)) as folder:
        report = _run(Run(plan, folder, progress, store=store, inputs=inputs, unkept=unkept))
    if lock is not None and not locked:
        with contextlib.suppress(OSError):
            write_whole(lock, lock_text(now).encode())
    return report


def exit_code(report: Report, strict: bool = False) -> int:
    """0 if every budget is met, 1 if one is missed; one that is unknown counts only if `strict`."""
    return 1 if report.status == "misses" or (strict and report.status == "unknown") else 0


def _has_custom_classes() -> bool:
    """Whether results depend on code of the caller's own; nobody can have registered any before Keras is imported."""
    if "keras" not in sys.modules:
        return False
    from edgecut.graph.custom import has_custom_classes

    return has_custom_classes()


def _run(state: Run) -> Report:
    from edgecut.pipeline.bundling import bundle, restored

    report = restored(state)
    if report is not None:
        return report
    from edgecut.graph.quiet import import_keras_quietly

    with state.progress.task("starting TensorFlow"):
        import_keras_quietly()
    from edgecut.pipeline.judging import judge
    from edgecut.pipeline.precisions import slower_notes
    from edgecut.pipeline.runtimes import refuse_file

    stage(state, "edited", lambda: _edit(state))
    if stage(state, "made", lambda: _make(state)):
        for artifact in state.artifacts:
            refuse_file(state.folder / artifact.path, artifact.precision, state.plan.profiles)
    if not state.recipe.compress.is_asked:
        stage(state, "benched", lambda: _bench(state))
    checks = judge(state.recipe, state.plan.profiles, state.artifacts, state.measurements)
    slower = slower_notes(state.plan.profiles, state.artifacts, state.measurements)
    report = _report(state, checks, slower)
    bundle(state, report)
    return report


def _report(state: Run, checks: tuple[Check, ...], slower: tuple[str, ...]) -> Report:
    recipe = named(state.plan)
    if state.facts is None:
        raise RuntimeError("a run without a source")
    notes = tuple(note for note in (*state.plan.notes, *_step_notes(state.steps), *slower, state.unkept) if note)
    return Report(
        edgecut=edgecut.__version__, status=overall(checks), recipe=recipe.to_dict(),
        profiles=tuple(profile.to_dict() for profile in state.plan.profiles), environment=_environment(state.recipe),
        source=state.facts.model_copy(update={"path": recipe.source.model}), steps=tuple(state.steps),
        artifacts=tuple(state.artifacts), measurements=tuple(state.measurements), checks=checks,
        notes=notes, trials=tuple(state.trials), explanations=tuple(state.explanations),
        uses=file_uses(state.folder, state.artifacts, state.plan.profiles),
    )  # fmt: skip


def _step_notes(steps: Sequence[Step]) -> Iterator[str]:
    """What the stem's step has to say behind its construction, and the check's: what was lost, and what was assumed."""
    for step in steps:
        if step.name == "stem":
            yield from (f"stem: {note}" for note in step.notes[1:])
        elif step.name == "check":
            yield from (f"check: {note}" for note in step.notes)
        yield from (f"{step.name}: {sentence}" for sentence in step.losses)


def _edit(state: Run) -> None:
    """Load, cut and stem; the model is laid by for builds that differ behind it."""
    from edgecut.graph.archive import write_archive
    from edgecut.pipeline.picture import edit_stem
    from edgecut.pipeline.runtimes import refuse_model

    model, state.facts = _load(state)
    state.loaded = model
    model = _cut(state, model)
    refuse_model(model, written_files(state.plan.files), state.plan.profiles)
    state.edited = edit_stem(state, model)
    if state.store is not None:
        (state.folder / WORK).mkdir(exist_ok=True)
        try:
            write_archive(state.edited, state.folder / EDITED)
        except StepError:
            state.is_whole = False


def _make(state: Run) -> None:
    """Everything from the images to the checked files; their times as well, where a compressed model is compared."""
    from edgecut.images.listing import read_class_names
    from edgecut.pipeline.bundling import keep_pictures
    from edgecut.pipeline.checking import check_files
    from edgecut.pipeline.compressing import compress_model
    from edgecut.pipeline.explaining import explain_files
    from edgecut.pipeline.files import keras_file, write_files
    from edgecut.pipeline.fitting import fit_head
    from edgecut.pipeline.losses import say_lost_by_head
    from edgecut.pipeline.picture import read_images
    from edgecut.pipeline.runtimes import refuse_file
    from edgecut.pipeline.uncompressed import compare

    model = _edited(state)
    read_images(state, model)
    fitted = fit_head(state, model)
    say_lost_by_head(state, fitted)
    fitted = compress_model(state, fitted)
    keras_file(state, fitted.model)
    with tempfile.TemporaryDirectory() as scratch:
        files = write_files(state, fitted, Path(scratch))
    for file in files:
        refuse_file(file.path, file.artifact.precision, state.plan.profiles)
    state.artifacts += [file.artifact for file in files]
    explain_files(state, fitted.model, files)
    state.measurements += check_files(state, fitted.model, files)
    keep_pictures(state, fitted.model)
    labels = state.recipe.data.labels
    given = () if labels is None else read_class_names(Path(labels), "data.labels")
    state.names = given or (state.dataset.labels if state.dataset else ())
    if state.recipe.compress.is_asked:
        _bench(state)
        state.measurements += compare(state, fitted, files, state.measurements)


def _bench(state: Run) -> None:
    from edgecut.pipeline.files import WrittenFile, bench_files

    files = [WrittenFile(state.folder / artifact.path, artifact) for artifact in state.artifacts]
    state.measurements += bench_files(state, files)
    if state.steps[-1].notes:
        state.is_whole = False  # a device that couldn't be reached may be there the next time


def _edited(state: Run) -> keras.Model:
    """The model behind cut and stem: as it was made now, or as an earlier build laid it by."""
    from edgecut.graph.source import load
    from edgecut.pipeline.runtimes import refuse_model

    if state.edited is None:
        state.edited = load(state.folder / EDITED, unsafe=state.recipe.source.unsafe)
        refuse_model(state.edited, written_files(state.plan.files), state.plan.profiles)
    return state.edited


def _load(state: Run) -> tuple[keras.Model, SourceFacts]:
    from edgecut.graph.calls import calls
    from edgecut.graph.cuts import cut_points
    from edgecut.graph.peek import PREFIX
    from edgecut.graph.source import read_source
    from edgecut.pipeline.picture import shapes
    from edgecut.records.artifact import sha256_of

    source = state.recipe.source
    with state.step("load") as facts:
        loaded = read_source(source.model, unsafe=source.unsafe)
        model = loaded.model
        graph = calls(model)
        found = SourceFacts(
            path=source.model, sha256="" if source.model.startswith(PREFIX) else sha256_of(Path(source.model)),
            layers=len(model.layers), calls=len(graph), params=model.count_params(), macs=cut_points(graph)[-1].macs,
        )  # fmt: skip
        facts.update(changed=False, after=shapes(model), notes=loaded.notes)
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


def _environment(recipe: Recipe) -> dict[str, Any]:
    """That, and the number of threads where a training's last bits depend on it."""
    return {**environment(), **({"threads": threads()} if recipe.trains else {})}


def environment() -> dict[str, Any]:
    """{"python", "platform", "packages"}: what the run's numbers depend on."""
    return {"python": platform.python_version(), "platform": platform.platform(), "packages": versions()}

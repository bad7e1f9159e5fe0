"""The bundle of a run: written, or taken whole from the cache where nothing has changed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np

from edgecut.handoff.seal import VARIES, finish
from edgecut.pipeline.inputs import lock_of, lock_text
from edgecut.pipeline.keeping import WORK, facts_of, from_cache, keep, named
from edgecut.records.report import Report

if TYPE_CHECKING:
    import keras

    from edgecut.handoff.vectors import Vectors
    from edgecut.pipeline.running import Run

VECTORS = 4  # golden vectors in a bundle
PICTURES, INPUTS = f"{WORK}/pictures.npy", f"{WORK}/inputs.npy"


def keep_pictures(state: Run, model: keras.Model) -> None:
    """Lay by what the golden vectors are made of.

    Held-out pictures; without images nothing where a camera feeds the model, else what its one input was checked on.
    """
    from edgecut.pipeline.checking import seeded

    if state.dataset is not None:
        val = state.dataset.val.pixels
        chosen, name = val[np.linspace(0, len(val) - 1, min(VECTORS, len(val))).astype(int)], PICTURES
    elif state.device_shape is None and len(model.inputs) == 1:
        chosen, name = seeded(state, model)[:VECTORS], INPUTS
    else:
        return
    (state.folder / WORK).mkdir(exist_ok=True)
    np.save(state.folder / name, chosen, allow_pickle=False)


def bundle(state: Run, report: Report) -> None:
    """Complete the bundle, and keep it for a build in which nothing has changed."""
    from edgecut.handoff.bundle import write_bundle
    from edgecut.render.page import render_page

    with state.progress.task("bundle"):
        vectors = _vectors(state, report)
        shutil.rmtree(state.folder / WORK, ignore_errors=True)
        write_bundle(
            state.folder, report=report, recipe=state.recipe, profiles=state.plan.profiles, vectors=vectors,
            labels=state.names, page_html=render_page(report), recipe_folder=state.plan.base,
            inputs=state.inputs, lock=lock_text(lock_of(state.inputs, named(state.plan), state.plan.profiles)),
            notes=state.plan.notes,
        )  # fmt: skip
    if state.is_whole and not state.unkept:
        paths = {path.relative_to(state.folder).as_posix(): path for path in state.folder.rglob("*") if path.is_file()}
        files = {name: path for name, path in paths.items() if name not in VARIES}
        facts = facts_of(state.plan, state.inputs, "bundle")
        keep(state, "bundle", {"report": report.to_dict()}, files, facts)


def restored(state: Run) -> Report | None:
    """The report of a build in which nothing has changed, its bundle in the run's folder; None if there was none."""
    from edgecut.render.page import render_page

    facts = facts_of(state.plan, state.inputs, "bundle")
    found = state.store.get("bundle", state.folder, **facts) if state.store is not None else None
    if found is None:
        return None
    report = Report.model_validate(found["report"])
    report = report.model_copy(update={"steps": tuple(from_cache(step) for step in report.steps)})
    finish(
        state.folder, report=report, page_html=render_page(report), recipe=named(state.plan),
        profiles=state.plan.profiles, recipe_folder=state.plan.base,
    )  # fmt: skip
    return report


def _vectors(state: Run, report: Report) -> Vectors | None:
    """Golden vectors of the file that a device runs: held-out pictures, else seeded bytes, or values without a camera.

    None for a model of several inputs.
    """
    from edgecut.handoff.bundle import device_artifact
    from edgecut.handoff.vectors import golden_vectors
    from edgecut.pipeline.fitting import to_input

    artifact = device_artifact(report.artifacts)
    if artifact is None or (state.device_shape is None and not (state.folder / INPUTS).is_file()):
        return None
    path = state.folder / artifact.path
    if state.device_shape is None:
        return golden_vectors(path, None, np.load(state.folder / INPUTS, allow_pickle=False))
    if (state.folder / PICTURES).is_file():
        pixels = np.load(state.folder / PICTURES, allow_pickle=False)
    else:
        pixels = np.random.default_rng(0).integers(0, 256, (VECTORS, *state.device_shape)).astype("uint8")
    return golden_vectors(path, pixels, to_input(state, pixels))

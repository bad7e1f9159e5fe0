"""The bundle of a build: completed from what the steps made, or taken whole from the cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgecut.handoff.bundle import device_artifact, write_bundle
from edgecut.handoff.seal import VARIES, Release, finish
from edgecut.handoff.vectors import Vectors, golden_vectors
from edgecut.images.feed import Feed
from edgecut.pipeline.cached import Cache, from_cache, named
from edgecut.pipeline.lock import lock_of
from edgecut.pipeline.values import Checked, Done
from edgecut.records.lock import lock_text
from edgecut.records.report import Report

_VECTORS = 4  # of seeded bytes, where a camera's model has no images


def complete(cache: Cache, report: Report, feed: Feed, done: Done[Checked], *, keep: bool = True) -> None:
    """Write what a bundle has beside its models, and keep it for a build in which nothing has changed."""
    plan = cache.plan
    write_bundle(
        cache.folder,
        Release(report, plan.base, len({note for note in plan.notes if note})),
        vectors=_vectors(report, feed, done.value.stimuli, cache.folder),
        labels=done.value.labels,
        lock=lock_text(lock_of(cache.inputs, named(plan), plan.profiles)),
    )
    if keep and done.repeatable:
        paths = {path.relative_to(cache.folder).as_posix(): path for path in cache.folder.rglob("*") if path.is_file()}
        cache.put("bundle", {"report": report.to_dict()}, {k: p for k, p in paths.items() if k not in VARIES})


def restored(cache: Cache) -> Report | None:
    """The report of a build in which nothing has changed, its bundle in the cache's folder; None if there was none."""
    entry = cache.get("bundle")
    if entry is None:
        return None
    report = Report.model_validate(entry["report"])
    report = report.model_copy(update={"steps": tuple(from_cache(step) for step in report.steps)})
    plan = cache.plan
    finish(cache.folder, Release(report, plan.base, len({note for note in plan.notes if note})))
    return report


def _vectors(report: Report, feed: Feed, stimuli: np.ndarray | None, folder: Path) -> Vectors | None:
    """Golden vectors of the file that a device runs: held-out pictures, seeded bytes, or values without a camera."""
    artifact = device_artifact(report.artifacts)
    if artifact is None:
        return None
    if feed.shape is None:
        return None if stimuli is None else golden_vectors(folder / artifact.path, None, stimuli)
    if stimuli is None:
        stimuli = np.random.default_rng(0).integers(0, 256, (_VECTORS, *feed.shape)).astype("uint8")
    return golden_vectors(folder / artifact.path, stimuli, feed.values(stimuli))

"""Budgets against measurements: meets, misses or unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecut.bench.fits import arena_limit, fits, refusal, strictest
from edgecut.pipeline.planning import taken_by
from edgecut.pipeline.sensing import sensor_check
from edgecut.records.artifact import Artifact
from edgecut.records.measurement import UNITS, Measurement, Metric, measured
from edgecut.records.profile import Profile
from edgecut.records.recipe import Recipe
from edgecut.records.report import Check


def judge(
    recipe: Recipe,
    profiles: Sequence[Profile],
    artifacts: Sequence[Artifact],
    measurements: Sequence[Measurement],
) -> tuple[Check, ...]:
    """A check for each limit of the recipe and of each profile, on each file that the profile's runtime takes.

    Where both set a limit the stricter one counts; a microcontroller's own RAM and flash are limits, too.
    """
    checks: list[Check] = []
    for artifact in artifacts:
        takers = [p for p in profiles if taken_by(p, artifact.format, artifact.precision)]
        if takers and recipe.budget.accuracy_drop is not None:
            checks.append(_check("accuracy_drop", recipe.budget.accuracy_drop, artifact, None, measurements))
        size_limit = strictest(*(_size_limit(recipe, profile) for profile in takers))
        if size_limit is not None:
            checks.append(_check("size", size_limit, artifact, None, measurements))
        for profile in takers:
            sensed = sensor_check(recipe, artifact, profile)
            checks += [] if sensed is None else [sensed]
            checks += _runs(artifact, profile, measurements)
            has_arena = profile.runtime.name == "tflm" or not any(p.runtime.name == "tflm" for p in takers)
            for metric, limit in _limits(recipe, profile):
                if metric == "arena" and not has_arena:
                    continue
                checks.append(_check(metric, limit, artifact, profile, measurements))
    return tuple(checks)


def _size_limit(recipe: Recipe, profile: Profile) -> int | None:
    return strictest(recipe.budget.size_bytes, profile.budget.size_bytes, profile.memory.flash_bytes)


def _runs(artifact: Artifact, profile: Profile, measurements: Sequence[Measurement]) -> list[Check]:
    """A miss where the device's runtime was tried on the file and refuses it or dies of it."""
    reason = refusal(m for m in measurements if m.artifact == artifact.name and answers(m, profile))
    if not reason:
        return []
    return [
        Check(
            metric="runs", artifact=artifact.name, profile=profile.id, limit="runs", value="doesn't run", unit="",
            state="misses", basis="measured", reason=reason,
        )
    ]  # fmt: skip


def _limits(recipe: Recipe, profile: Profile) -> Iterator[tuple[Metric, float]]:
    arena = arena_limit(profile, recipe.budget.arena_bytes)
    if arena is not None:
        yield "arena", arena
    latency = [x for x in (recipe.budget.latency_s, profile.budget.latency_s) if x is not None]
    if latency:
        yield "latency", min(latency)


def _check(
    metric: Metric, limit: float, artifact: Artifact, profile: Profile | None, measurements: Sequence[Measurement]
) -> Check:
    if metric == "size":
        size = measured("size", artifact.name, [artifact.size_bytes], where="file", method="bytes of the written file")
        rows = [size]
    else:
        rows = [m for m in measurements if m.artifact == artifact.name and m.metric == metric and answers(m, profile)]
    found = fits(rows, limit, _why_unknown(metric, profile))
    return Check(
        metric=metric, artifact=artifact.name, profile=profile.id if profile else None, limit=limit, value=found.value,
        unit=UNITS[metric], state=found.state, basis=found.basis, reason=found.reason,
    )  # fmt: skip


def answers(measurement: Measurement, profile: Profile | None) -> bool:
    """Whether a measurement is about the profile's device: a number of this host is not, but for the host itself."""
    if profile is None:
        return True
    if profile.class_ == "host":
        return measurement.where == "host" and measurement.metric != "arena"
    return measurement.profile == profile.id


def _why_unknown(metric: Metric, profile: Profile | None) -> str:
    if profile is None:
        return f"{metric} could not be measured"
    if metric == "arena":
        return f"{profile.id} runs {profile.runtime.name}, which has no arena of a fixed size"
    return f"{profile.id} is not here to be measured, and its profile has no {metric} facts"

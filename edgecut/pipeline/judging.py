"""Budgets against measurements: meets, misses or unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecut.pipeline.planning import taken_by
from edgecut.pipeline.sensing import sensor_check
from edgecut.records.artifact import Artifact
from edgecut.records.measurement import UNITS, Measurement, Metric
from edgecut.records.profile import Profile
from edgecut.records.recipe import Recipe
from edgecut.records.report import Check, State


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
        size_limit = _strictest(*(_size_limit(recipe, profile) for profile in takers))
        if size_limit is not None:
            checks.append(_check("size", size_limit, artifact, None, measurements))
        for profile in takers:
            sensed = sensor_check(recipe, artifact, profile)
            checks += [] if sensed is None else [sensed]
            has_arena = profile.runtime.name == "tflm" or not any(p.runtime.name == "tflm" for p in takers)
            for metric, limit in _limits(recipe, profile):
                if metric == "arena" and not has_arena:
                    continue
                checks.append(_check(metric, limit, artifact, profile, measurements))
    return tuple(checks)


def _size_limit(recipe: Recipe, profile: Profile) -> int | None:
    return _strictest(recipe.budget.size_bytes, profile.budget.size_bytes, profile.memory.flash_bytes)


def _limits(recipe: Recipe, profile: Profile) -> Iterator[tuple[Metric, float]]:
    memory = profile.memory
    arena: int | None = _strictest(recipe.budget.arena_bytes, profile.budget.arena_bytes)
    if profile.class_ == "microcontroller":
        ram = _strictest(memory.contiguous_bytes, memory.ram_bytes)
        arena = _strictest(arena, None if ram is None else ram - memory.reserved_ram_bytes)
    if arena is not None:
        yield "arena", arena
    latency = [x for x in (recipe.budget.latency_s, profile.budget.latency_s) if x is not None]
    if latency:
        yield "latency", min(latency)


def _strictest(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _check(
    metric: Metric,
    limit: float,
    artifact: Artifact,
    profile: Profile | None,
    measurements: Sequence[Measurement],
) -> Check:
    if metric == "size":
        return _verdict(metric, limit, artifact, None, float(artifact.size_bytes), "measured")
    rows = [m for m in measurements if m.artifact == artifact.name and m.metric == metric and answers(m, profile)]
    # A measured number answers before an estimate of the same thing.
    rows.sort(key=lambda m: (m.value is None, ["measured", "simulated", "estimated"].index(m.kind)))
    if not rows:
        return _verdict(metric, limit, artifact, profile, None, "unknown", reason=_why_unknown(metric, profile))
    verdicts = [_judged(row, metric, limit, artifact, profile) for row in rows]
    # A lower bound may leave open what an estimate beside it settles.
    return next((verdict for verdict in verdicts if verdict.state != "unknown"), verdicts[0])


def _judged(row: Measurement, metric: Metric, limit: float, artifact: Artifact, profile: Profile | None) -> Check:
    if row.value is None:
        return _verdict(metric, limit, artifact, profile, None, "unknown", reason=row.reason)
    at_least = bool(row.conditions.get("at_least"))
    if row.kind != "measured" and row.error is None:
        reason = "the estimate has no known error band"
        return _verdict(metric, limit, artifact, profile, row.value, row.kind, band=None, reason=reason)
    band = 0.0 if row.kind == "measured" else row.error
    return _verdict(metric, limit, artifact, profile, row.value, row.kind, band=band, at_least=at_least)


def answers(measurement: Measurement, profile: Profile | None) -> bool:
    """Whether a measurement is about the profile's device: a number of this host is not, but for the host itself."""
    if profile is None:
        return True
    if profile.class_ == "host":
        return measurement.where == "host" and measurement.metric != "arena"
    return measurement.profile == profile.id


def _verdict(
    metric: Metric, limit: float, artifact: Artifact, profile: Profile | None, value: float | None, basis: str, *,
    band: float | None = 0.0, at_least: bool = False, reason: str = "",
) -> Check:  # fmt: skip
    state: State = "unknown"
    if value is not None and band is not None:
        if value * (1 - band) > limit:
            state = "misses"
        elif at_least:
            reason = reason or "the device needs at least this, and may need more"
        elif value * (1 + band) <= limit:
            state = "meets"
        else:
            reason = f"the estimate's band of ±{band:.0%} reaches across the limit"
    return Check(
        metric=metric, artifact=artifact.name, profile=profile.id if profile else None, limit=limit, value=value,
        unit=UNITS[metric], state=state, basis=basis, reason=reason,
    )  # fmt: skip


def _why_unknown(metric: Metric, profile: Profile | None) -> str:
    if profile is None:
        return f"{metric} could not be measured"
    if metric == "arena":
        return f"{profile.id} runs {profile.runtime.name}, which has no arena of a fixed size"
    return f"{profile.id} is not here to be measured, and its profile has no {metric} facts"

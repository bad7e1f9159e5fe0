"""Budgets against measurements: meets, misses or unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecut.bench.fits import Judgement, arena_fits, arena_limit, fits, has_arena, refusal, strictest
from edgecut.bench.sensor import sensor_check
from edgecut.records.artifact import Artifact
from edgecut.records.measurement import UNITS, Measurement, Metric, measured, number_in
from edgecut.records.precision import taken_by
from edgecut.records.profile import Profile
from edgecut.records.recipe import Recipe
from edgecut.records.report import Check
from edgecut.records.units import format_seconds


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
            checks += _drop_checks(recipe.budget.accuracy_drop, artifact, takers, measurements)
        size_limit = strictest(*(_size_limit(recipe, profile) for profile in takers))
        if size_limit is not None:
            checks.append(_check("size", size_limit, artifact, None, measurements))
        for profile in takers:
            sensed = sensor_check(recipe, artifact, profile)
            checks += [] if sensed is None else [sensed]
            checks += _runs(artifact, profile, measurements)
            known = has_arena(profile) or not any(map(has_arena, takers))
            for metric, limit in _limits(recipe, profile):
                if metric == "arena" and not known:
                    continue
                checks.append(_check(metric, limit, artifact, profile, measurements, recipe.budget.arena_bytes))
    return tuple(checks)


def _drop_checks(
    limit: float, artifact: Artifact, takers: Sequence[Profile], measurements: Sequence[Measurement]
) -> Iterator[Check]:
    """By the kernels of this host, and of each device whose kernels were tried or are known to be others."""
    rows = [m for m in measurements if (m.artifact, m.metric) == (artifact.name, "accuracy_drop")]
    yield _check("accuracy_drop", limit, artifact, None, [row for row in rows if row.profile is None])
    for row in rows:
        if row.profile is not None and any(row.profile == profile.id for profile in takers):
            found = _by_its_kernels(row, limit)
            yield Check(
                metric="accuracy_drop",
                artifact=artifact.name,
                profile=row.profile,
                limit=limit,
                value=found.value,
                unit=row.unit,
                state=found.state,
                basis=found.basis,
                reason=found.reason,
            )


def _by_its_kernels(row: Measurement, limit: float) -> Judgement:
    """Whether what a file loses by a device's kernels is within a limit.

    Measured on all images that judge, as on this host: by the figure. Else wherever in its interval it lies.
    """
    low, high = number_in(row.conditions, "low"), number_in(row.conditions, "high")
    if row.value is None or low is None or high is None:
        return Judgement("unknown", None, "unknown", row.reason)
    if row.kind == "measured":
        low = high = row.value
    if high <= limit or low > limit:
        return Judgement("meets" if high <= limit else "misses", row.value, row.kind)
    reason = (
        f"by {row.conditions['kernels']} on {row.conditions['images']} of {row.conditions['of_images']} images it is "
        f"{low:.3f} to {high:.3f}, with 95 %"
    )
    return Judgement("unknown", row.value, row.kind, reason)


def _size_limit(recipe: Recipe, profile: Profile) -> int | None:
    memory = profile.memory
    # Weights may lie in a board's external flash, which is read as memory.
    flash = max(filter(None, (memory.flash_bytes, memory.external_flash_bytes)), default=None)
    return strictest(recipe.budget.size_bytes, profile.budget.size_bytes, flash)


def _runs(artifact: Artifact, profile: Profile, measurements: Sequence[Measurement]) -> list[Check]:
    """A miss where the device's runtime was tried on the file and refuses it or dies of it."""
    reason = refusal(m for m in measurements if m.artifact == artifact.name and answers(m, profile))
    if not reason:
        return []
    return [
        Check(
            metric="runs",
            artifact=artifact.name,
            profile=profile.id,
            limit="runs",
            value="doesn't run",
            unit="",
            state="misses",
            basis="measured",
            reason=reason,
        )
    ]


def _limits(recipe: Recipe, profile: Profile) -> Iterator[tuple[Metric, float]]:
    arena = arena_limit(profile, recipe.budget.arena_bytes)
    if arena is not None:
        yield "arena", arena
    latency = [x for x in (recipe.budget.latency_s, profile.budget.latency_s) if x is not None]
    if latency:
        yield "latency", min(latency)


def _check(
    metric: Metric,
    limit: float,
    artifact: Artifact,
    profile: Profile | None,
    measurements: Sequence[Measurement],
    budget: int | None = None,
) -> Check:
    """budget: the recipe's own limit of an arena."""
    if metric == "size":
        size = measured("size", artifact.name, [artifact.size_bytes], where="file", method="bytes of the written file")
        rows = [size]
    else:
        rows = [m for m in measurements if m.artifact == artifact.name and m.metric == metric and answers(m, profile)]
    found = arena_fits(rows, profile, budget) if metric == "arena" and profile is not None else None
    found = found or fits(rows, limit, _why_unknown(metric, profile))
    return Check(
        metric=metric,
        artifact=artifact.name,
        profile=profile.id if profile else None,
        limit=limit,
        value=found.value,
        unit=UNITS[metric],
        state=found.state,
        basis=found.basis,
        reason=found.reason,
    )


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
    return f"{profile.id} is not here to be measured, and its profile has no {metric} facts"


def slower_notes(
    profiles: Sequence[Profile], artifacts: Sequence[Artifact], measurements: Sequence[Measurement]
) -> tuple[str, ...]:
    """A sentence for each file that is slower than the float32 one of its format, on each device that takes both.

    Measured times count where nine of ten runs are slower than nine of ten of float32's; estimates as they are, since
    both come from the same facts.
    """
    return tuple(sentence for profile in profiles for sentence in _slower_on(profile, artifacts, measurements))


def _slower_on(profile: Profile, artifacts: Sequence[Artifact], measurements: Sequence[Measurement]) -> Iterator[str]:
    taken = [artifact for artifact in artifacts if taken_by(profile, artifact.format, artifact.precision)]
    plain = {artifact.format: artifact for artifact in taken if artifact.precision == "float32"}
    for artifact in taken:
        if artifact.precision == "float32" or artifact.format not in plain:
            continue
        ours = _latency(profile, artifact, measurements)
        theirs = _latency(profile, plain[artifact.format], measurements)
        if ours is None or theirs is None or ours.kind != theirs.kind or ours.value is None or theirs.value is None:
            continue
        low, high = ours.quantile(0.1), theirs.quantile(0.9)
        if (ours.value > theirs.value) if low is None or high is None else (low > high):
            where = "on this machine" if profile.class_ == "host" else f"on {profile.id} ({ours.kind})"
            yield (
                f"{artifact.name} is slower than float32 {where}: {format_seconds(ours.value)} against "
                f"{format_seconds(theirs.value)}"
            )


def _latency(profile: Profile, artifact: Artifact, measurements: Sequence[Measurement]) -> Measurement | None:
    """The latency on the profile's device, measured before estimated."""
    rows = [
        row
        for row in measurements
        if row.metric == "latency" and row.artifact == artifact.name and row.value is not None and answers(row, profile)
    ]
    return min(rows, key=lambda row: ["measured", "simulated", "estimated"].index(row.kind), default=None)

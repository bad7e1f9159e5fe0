"""Precisions that a device's runtime doesn't take, or that are no faster there than float32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecut.pipeline.judging import answers
from edgecut.pipeline.planning import taken_by
from edgecut.records.artifact import Artifact
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.records.units import format_seconds


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
        row for row in measurements
        if row.metric == "latency" and row.artifact == artifact.name and row.value is not None and answers(row, profile)
    ]  # fmt: skip
    return min(rows, key=lambda row: ["measured", "simulated", "estimated"].index(row.kind), default=None)

"""The figures of a report that follow from its model files and its profiles: estimates, checks and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecut.bench.judge import judge
from edgecut.bench.predict import predict_arena, predict_latency
from edgecut.records.artifact import Artifact
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.records.recipe import Recipe
from edgecut.records.report import Report, overall
from edgecut.score.operating import least_code
from edgecut.tflite.flatbuffer import read


def figure_faults(folder: Path, report: Report) -> Iterator[str]:
    """What report.json says and isn't what this edgecut makes of the bundle's files, of a bundle of its own version.

    Raises EdgecutError for a profile, a recipe or a model that can't be read.
    """
    profiles = [Profile.model_validate(profile) for profile in report.profiles]
    checks = judge(Recipe.model_validate(report.recipe), profiles, report.artifacts, report.measurements)
    if checks != report.checks:
        both = zip(checks, report.checks, strict=False)
        check = next((a for a, b in both if a != b), (*report.checks, *checks)[min(len(checks), len(report.checks))])
        yield (
            f"report.json: the check of {check.metric} on {check.artifact} isn't what its figures, the recipe and the "
            "profiles give"
        )
    status = overall(report.checks)
    if report.status not in {status, "failed"}:
        yield f"report.json: has status {report.status!r}, and its checks give {status!r}"
    yield from _threshold_faults(report)
    for artifact in report.artifacts:
        if artifact.format == "tflite":
            yield from _estimate_faults(folder, report, artifact, profiles)


def _threshold_faults(report: Report) -> Iterator[str]:
    """The integers of thresholds that aren't what the thresholds are in the files' own scales."""
    outputs = {(a.name, k): spec for a in report.artifacts for k, spec in enumerate(a.outputs)}
    for decision in report.decisions:
        spec = outputs.get((decision.artifact, decision.place))
        if spec is None or spec.name != decision.output:
            yield f"report.json: decides by the output {decision.output!r} of {decision.artifact}, which has none"
            continue
        for point in decision.points:
            code = least_code(point.threshold, spec)
            if code != point.code:
                yield (
                    f"report.json: the threshold {point.threshold:g} of {decision.artifact} has the integer "
                    f"{point.code}, and its scale gives {code}"
                )


def _estimate_faults(folder: Path, report: Report, artifact: Artifact, profiles: Sequence[Profile]) -> Iterator[str]:
    graph = read(folder / artifact.path)
    for profile in profiles:
        made = [predict_latency(graph, profile, artifact.name), predict_arena(graph, profile, artifact.name)]
        for row in (row for row in made if row is not None and row.value is not None):
            for told in report.measurements:
                if _is_same(row, told) and (told.value, told.error) != (row.value, row.error):
                    yield (
                        f"report.json: the {row.metric} of {artifact.name} on {profile.id} is estimated as "
                        f"{told.value:g}, and the file and the profile give {row.value:g}"
                    )


def _is_same(made: Measurement, told: Measurement) -> bool:
    key = (made.metric, made.artifact, made.profile, made.kind, made.method)
    return key == (told.metric, told.artifact, told.profile, told.kind, told.method)

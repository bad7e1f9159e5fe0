"""What a choice costs on each device, and whether it fits: estimated from its calls, or measured from its file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecut.bench.as_c import foreseen_c_arena
from edgecut.bench.at_cut import unforeseen
from edgecut.bench.devices import Device, measure_on
from edgecut.bench.judge import judge
from edgecut.bench.measure import on_device, size
from edgecut.bench.predict import predict_arena, predict_latency
from edgecut.bench.runners.local import Local
from edgecut.pipeline.bench import by_runners
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.front import DeviceCost
from edgecut.records.measurement import Measurement
from edgecut.records.precision import taken_by
from edgecut.records.profile import Profile
from edgecut.records.recipe import Precision, Recipe
from edgecut.records.report import overall
from edgecut.tflite.arena import planned_bytes, tail_bytes
from edgecut.tflite.flatbuffer import TfliteGraph

_KINDS = ("measured", "simulated", "estimated")


def estimated(
    graph: TfliteGraph, recipe: Recipe, profiles: Sequence[Profile], precision: Precision
) -> tuple[DeviceCost, ...]:
    """What a file that isn't written yet costs on each device that takes its precision.

    graph: as search/lowering.py makes it. The budget of accuracy_drop is left out: nothing is known of it yet.
    """
    artifact = _unwritten(graph, precision)
    rows = [
        m for profile in profiles if taken_by(profile, "tflite", precision) for m in _estimates(graph, profile, recipe)
    ]
    budget = recipe.budget.model_copy(update={"accuracy_drop": None})
    return device_costs(recipe.model_copy(update={"budget": budget}), profiles, artifact, rows)


def measured(path: Path, artifact: Artifact, recipe: Recipe, profiles: Sequence[Profile]) -> list[Measurement]:
    """Size, and latency and arena on each device that takes the file; on this host where it is one of them.

    What the recipe's runners measure comes last; one that drops out leaves the estimate to answer.
    """
    found = [size(path, artifact.name)]
    for profile in profiles:
        if not taken_by(profile, artifact.format, artifact.precision):
            continue
        if profile.class_ == "host":
            settings = recipe.bench
            found += measure_on(path, (Device(Local(), profile),), settings, artifact.name).measurements
        else:
            found += on_device(path, profile, artifact.name, recipe.bench.threads)
    takers = [profile for profile in profiles if taken_by(profile, artifact.format, artifact.precision)]
    return [*found, *by_runners(path, artifact, recipe.bench, profiles, takers).measurements]


def device_costs(
    recipe: Recipe, profiles: Sequence[Profile], artifact: Artifact, rows: Sequence[Measurement]
) -> tuple[DeviceCost, ...]:
    """One for each device that takes the artifact, its limits judged as a build judges them."""
    return tuple(
        _device_cost(recipe, profile, artifact, rows)
        for profile in profiles
        if taken_by(profile, artifact.format, artifact.precision)
    )


def arena_bytes(graph: TfliteGraph, profiles: Sequence[Profile]) -> float:
    """The arena column of a choice: the planner's figure with the scratch of the first device for which it is known.

    Without one: the activations alone, which every runtime needs, and TFLM's own tables.
    """
    for profile in profiles:
        arena = _arena(graph, profile)
        if arena is not None and arena.value is not None:
            return arena.value
    return planned_bytes(graph) + tail_bytes(graph)


def _device_cost(recipe: Recipe, profile: Profile, artifact: Artifact, rows: Sequence[Measurement]) -> DeviceCost:
    # What the sensor feeds is no limit here: the sizes and channels to look at were asked for.
    checks = tuple(check for check in judge(recipe, [profile], [artifact], rows) if check.metric != "sensor")
    latency, arena = _best(rows, "latency", profile), _best(rows, "arena", profile)
    return DeviceCost(
        profile=profile.id,
        state=overall(checks),
        checks=checks,
        latency=None if latency is None else latency.value,
        latency_kind="" if latency is None else latency.kind,
        latency_error=None if latency is None else latency.error,
        arena=None if arena is None else arena.value,
        arena_kind="" if arena is None else arena.kind,
        arena_error=None if arena is None else arena.error,
        reason=_why_none(rows, profile) if latency is None else "",
    )


def _why_none(rows: Sequence[Measurement], profile: Profile) -> str:
    """Why the latency on a device isn't known; "" where nothing says it."""
    own = (m.reason for m in rows if m.metric == "latency" and m.profile == profile.id and m.reason)
    return next(own, "this machine measures a choice when it builds it" if profile.class_ == "host" else "")


def _best(rows: Sequence[Measurement], metric: str, profile: Profile) -> Measurement | None:
    """What is known best about a metric on a device: measured before simulated before estimated."""
    own = [m for m in rows if m.metric == metric and m.value is not None and m.profile == profile.id]
    if profile.class_ == "host":
        own = [m for m in rows if m.metric == metric and m.value is not None and m.where == "host"]
    # A lower bound says less than an estimate of the whole.
    return min(own, key=lambda m: (bool(m.conditions.get("at_least")), _KINDS.index(m.kind)), default=None)


def _arena(graph: TfliteGraph, profile: Profile) -> Measurement | None:
    return foreseen_c_arena(graph, profile, "") if profile.runtime.name == "c" else predict_arena(graph, profile, "")


def _estimates(graph: TfliteGraph, profile: Profile, recipe: Recipe) -> Iterator[Measurement]:
    if profile.class_ != "host":
        yield predict_latency(graph, profile, "", recipe.bench.threads)
    arena = None if unforeseen(graph) else _arena(graph, profile)
    if arena is not None:
        yield arena


def _unwritten(graph: TfliteGraph, precision: Precision) -> Artifact:
    taken = graph.tensors[graph.inputs[0]]
    return Artifact(
        name="",
        path="",
        format="tflite",
        precision=precision,
        sha256="",
        size_bytes=graph.size_bytes,
        inputs=(TensorSpec(name="input", shape=taken.shape, dtype=taken.dtype),),
        outputs=(),
        operators={},
    )

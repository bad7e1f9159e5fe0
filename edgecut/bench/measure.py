"""What a file costs: on this host, in the real microcontroller interpreter, or by a profile's estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgecut.bench.as_c import c_arena
from edgecut.bench.devices import Benched, Device, devices, measure_on
from edgecut.bench.fits import has_arena
from edgecut.bench.predict import (
    PLAIN,
    PLANNER,
    arena_estimate,
    predict_arena,
    predict_flash,
    predict_latency,
    unknown_scratch,
)
from edgecut.bench.runners import tflm, vela
from edgecut.bench.runners.local import Local
from edgecut.errors import DocumentError, RefusedError, RunError, SourceError
from edgecut.export.readback import guess_precision
from edgecut.records.measurement import Measurement, Metric, measured, missing, refused_by
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Bench
from edgecut.runtime.specs import file_format, open_sizes, read_graph
from edgecut.tflite.arena import cortex_m_arena_bytes, safe_arena_bytes
from edgecut.tflite.flatbuffer import TfliteGraph, read
from edgecut.tflite.support import aborts


def bench(
    path: str | Path,
    profile: str | Profile = "host",
    *,
    runs: int | None = None,
    warmup: int | None = None,
    threads: int | None = None,
    artifact: str | None = None,
    runner: str | Sequence[str] | None = None,
) -> tuple[Measurement, ...]:
    """The size of a .tflite or .onnx file, and what it costs on a profile's device.

    profile: an id, a path, or a Profile. artifact: what the measurements call the file (default: its name).
    runner: one or several to measure by alone, each as [PROFILE=]RUNNER ("local", "tflm", "vela", "ssh://user@host",
    "adb"); by default the profile decides. Figures from this host stand beside those of another device with profile
    None, so that they never answer its budget. A runner of several that fails has a measurement without a value.
    Raises SourceError for a file that can't be read, RequestError for an unknown profile or runner; if no runner has
    a result, what the first one failed with: RunError, or MissingRuntimeError.

    >>> rows = edgecut.bench("bell.int8.tflite", "nucleo-l4r5zi", runs=5)
    >>> [(row.kind, row.unit) for row in rows if row.metric == "latency" and row.profile]
    [('estimated', 's')]
    """
    device = profile if isinstance(profile, Profile) else find_profile(profile)
    given = {"runs": runs, "warmup": warmup, "threads": threads}
    runners = (runner,) if isinstance(runner, str) else tuple(runner or ())
    settings = Bench(**{key: value for key, value in given.items() if value is not None}, runners=runners)
    found = bench_for(Path(path), [device], settings, artifact)
    if found.all_failed:
        raise found.failures[0]
    return found.measurements


def bench_for(path: Path, profiles: Sequence[Profile], settings: Bench, artifact: str | None = None) -> Benched:
    """What a file costs on each profile's device, as `bench`, and the errors of the runners that dropped out.

    The runners of the settings measure alone; without any, this host does, beside what is known of other devices.
    Raises SourceError, RequestError.
    """
    check_sizes(path)
    name = artifact or path.name
    own = [profile for profile in profiles if profile.class_ == "host"]
    if settings.runners:
        chosen = devices(settings.runners, profiles)
        known = [d.profile for d in chosen if d.profile is not None and d.runner.name != "tflm"]
        before: list[Measurement] = []
    else:
        chosen = (Device(Local(), own[0] if own else None),)
        known = own[:1]
        before = [
            m for profile in profiles if profile not in own for m in on_device(path, profile, name, settings.threads)
        ]
    for profile in known:
        before += _predicted(path, profile, name, settings.threads)
    found = measure_on(path, chosen, settings, name)
    if not settings.runners and not own:
        # This host was not asked for: that its runtime refuses the file keeps nothing from being known of the devices.
        found = Benched(found.measurements, ())
    return replace(found, measurements=(size(path, name), *before, *found.measurements))


def bench_files(
    files: Mapping[str, Path], profiles: Sequence[Profile], settings: Bench, progress: Progress = SILENT
) -> Benched:
    """The same of several files, by what the measurements call each.

    Raises DocumentError for files that can't be read, before anything is measured; RequestError.
    """
    faults = []
    for path in files.values():
        try:
            check_sizes(path)
        except SourceError as exc:
            faults.append(exc)
    if faults:
        raise faults[0] if len(faults) == 1 else DocumentError([str(fault) for fault in faults])
    place = " and ".join(settings.runners or [profile.id for profile in profiles])
    found = []
    with progress.task(f"measuring for {place}", len(files)) as advance:
        for name, path in files.items():
            found.append(bench_for(path, profiles, settings, name))
            advance(1)
    rows = tuple(m for each in found for m in each.measurements)
    failures = tuple(failure for each in found for failure in each.failures)
    return Benched(rows, failures, all(each.all_failed for each in found))


def check_sizes(path: Path) -> None:
    """Nothing, for a file whose inputs have one size, the batch aside. Raises SourceError for another."""
    unknown = open_sizes(read_graph(path))
    if unknown:
        raise SourceError(
            f"{path}: leaves the size of its input {unknown} open, and one size is timed; export it with fixed sizes"
        )


def size(path: Path, artifact: str) -> Measurement:
    """The bytes of a file."""
    return measured("size", artifact, [path.stat().st_size], where="file", method="bytes of the written file")


def on_device(path: Path, device: Profile, artifact: str, threads: int | None = None) -> tuple[Measurement, ...]:
    """Arena and latency of a device that isn't this host: by its interpreter, estimated, or missing.

    threads: of the device's runtime, where somebody asks for a number.
    """
    refusal = refused(path, device)
    if refusal:
        metrics: tuple[Metric, ...] = ("arena", "latency") if has_arena(device) else ("latency",)
        return tuple(
            missing(m, artifact, refusal, where=device.id, method="not run", profile=device.id) for m in metrics
        )
    if file_format(path) != "tflite":
        reason = "estimates need a .tflite file; this one is .onnx"
        return (missing("latency", artifact, reason, where=device.id, method="not run", profile=device.id),)
    graph = read(path)
    predicted = predict_latency(graph, device, artifact, threads)
    if vela.takes(device) and vela.is_here():
        return (*_simulated(path, device, artifact), predicted)
    return (*_arena(path, graph, device, artifact), predicted)


def refused(path: Path, device: Profile) -> str:
    """Why the profile's runtime doesn't take the file's format or precision; "" if it does."""
    runtime, kind, precision = device.runtime, file_format(path), guess_precision(path)
    if kind not in runtime.formats:
        return f"{device.id} runs {' and '.join(runtime.formats)} files, found {kind}"
    if precision not in runtime.precisions:
        return f"{device.id} runs {', '.join(runtime.precisions)}, and the file computes in {precision}"
    return ""


def _predicted(path: Path, profile: Profile, artifact: str, threads: int | None) -> tuple[Measurement, ...]:
    """The profile's own prediction, to stand beside what was measured."""
    if profile.latency is None or file_format(path) != "tflite":
        return ()
    return (predict_latency(read(path), profile, artifact, threads),)


def _simulated(path: Path, device: Profile, artifact: str) -> tuple[Measurement, ...]:
    try:
        return vela.Vela().measure(path, Bench(), artifact=artifact, profile=device)
    except RunError as exc:
        reason = str(exc).removeprefix(f"{path}: ")
        place = vela.place_of(device)
        return (missing("arena", artifact, reason, where=place, method="not run", profile=device.id),)


def _arena(path: Path, graph: TfliteGraph, device: Profile, artifact: str) -> tuple[Measurement, ...]:
    if device.runtime.name == "c":
        return (c_arena(path, device, artifact),)
    if device.runtime.name != "tflm":
        known = predict_arena(graph, device, artifact), predict_flash(graph, device, artifact)
        return tuple(measurement for measurement in known if measurement is not None)
    estimate = _estimated_arena(graph, device, artifact)
    if device.class_ == "npu":
        reason = "the NPU's compiler plans the memory itself, and it isn't here; Vela comes with the extra 'ethos-u'"
        return (missing("arena", artifact, reason, where=device.id, method="not run", profile=device.id),)
    if not tflm.is_here():
        return _with_safe(estimate, estimate, device)
    try:
        found = tflm.Tflm().measure(path, Bench(), artifact=artifact, profile=device)
    except RunError as exc:
        cause = "; ".join(aborts(graph)) if isinstance(exc, RefusedError) else ""
        reason = str(exc).removeprefix(f"{path}: ") + (f"; {cause}" if cause else "")
        method = "smallest arena by bisection"
        return (
            missing(
                "arena",
                artifact,
                reason,
                where=tflm.WHERE,
                method=method,
                profile=device.id,
                conditions=refused_by(exc),
            ),
        )
    unknown = unknown_scratch(graph, device)
    if unknown or (estimate and (estimate[0].value or 0) > (found[0].value or 0)):
        # The device's own kernels need more than the interpreter here: its figure is a lower bound.
        more = {"at_least": True, "more": unknown or "the device's kernels ask for more scratch than the interpreter's"}
        found = tuple(m.model_copy(update={"conditions": m.conditions | more}) for m in found)
    return _with_safe((*found, *estimate), estimate, device, found)


def _with_safe(
    rows: tuple[Measurement, ...],
    estimate: tuple[Measurement, ...],
    device: Profile,
    found: tuple[Measurement, ...] = (),
) -> tuple[Measurement, ...]:
    """The rows with conditions["safe_bytes"], what to allocate on the device, where it is known."""
    smallest = int(found[0].value) if found and found[0].value is not None else None
    if estimate and estimate[0].value is not None:
        safe = safe_arena_bytes(smallest, int(estimate[0].value), estimate[0].error)
    else:
        # The interpreter's own kernels are the device's where no optimized library replaces them.
        plain = device.runtime.kernels.lower() in PLAIN
        safe = safe_arena_bytes(smallest, smallest, 0.0) if plain else None
    if safe is None:
        return rows
    return tuple(m.model_copy(update={"conditions": m.conditions | {"safe_bytes": safe}}) for m in rows)


def _estimated_arena(graph: TfliteGraph, device: Profile, artifact: str) -> tuple[Measurement, ...]:
    """The planner's figure where a rule is known for the device's core and kernels, else none."""
    found = predict_arena(graph, device, artifact)
    if found is None and not (unknown_scratch(graph, device) or tflm.is_here()):
        method = f"{PLANNER}; {device.cpu.core or 'the core'} is another"
        found = arena_estimate(cortex_m_arena_bytes(graph, "reference"), device, artifact, method)
    return () if found is None else (found,)

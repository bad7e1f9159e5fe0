"""What a file costs: on this host, in the real microcontroller interpreter, or by a profile's estimate."""

from __future__ import annotations

from pathlib import Path

from edgecut.bench.predict import PLANNER, arena_estimate, predict_arena, predict_latency
from edgecut.bench.runners import tflm
from edgecut.bench.runners.local import Local
from edgecut.bench.runners.protocol import Runner
from edgecut.bench.runners.table import runner_of
from edgecut.errors import RunError
from edgecut.export.readback import file_format, guess_precision, read_graph
from edgecut.records.measurement import Measurement, Metric, measured, missing
from edgecut.records.profile import Profile, find_profile
from edgecut.records.recipe import Bench
from edgecut.tflite.arena import cortex_m_arena_bytes, safe_arena_bytes
from edgecut.tflite.flatbuffer import TfliteGraph, read


def bench(
    path: str | Path,
    profile: str | Profile = "host",
    *,
    runs: int | None = None,
    warmup: int | None = None,
    threads: int | None = None,
    artifact: str | None = None,
    runner: str | None = None,
) -> tuple[Measurement, ...]:
    """The size of a .tflite or .onnx file, and what it costs on a profile's device.

    profile: an id, a path, or a Profile. artifact: what the measurements call the file (default: its name).
    runner: "local" or "tflm" to measure by that one alone; by default the profile decides. Figures from this
    host stand beside those of another device with profile None, so that they never answer its budget.
    Raises SourceError for a file that can't be read, RequestError for an unknown profile or runner, RunError
    if the file doesn't run here, MissingRuntimeError if the runner asked for is absent.
    """
    file, device = Path(path), profile if isinstance(profile, Profile) else find_profile(profile)
    read_graph(file)
    chosen = None if runner is None else runner_of(runner)
    defaults = Bench()
    plan = Bench(
        runs=defaults.runs if runs is None else runs,
        warmup=defaults.warmup if warmup is None else warmup,
        threads=defaults.threads if threads is None else threads,
    )
    name = artifact or file.name
    if runner == "tflm":
        return (size(file, name), *_by(tflm.Tflm(), file, plan, name, device))
    own = device if device.class_ == "host" else None
    host = _by(chosen or Local(), file, plan, name, own)
    if runner == "local" or own is not None:
        return (size(file, name), *host)
    return (size(file, name), *on_device(file, device, name), *host)


def size(path: Path, artifact: str) -> Measurement:
    """The bytes of a file."""
    return measured("size", artifact, [path.stat().st_size], where="file", method="bytes of the written file")


def on_device(path: Path, device: Profile, artifact: str) -> tuple[Measurement, ...]:
    """Arena and latency of a device that isn't this host: by its interpreter, estimated, or missing."""
    refusal = refused(path, device)
    if refusal:
        metrics: tuple[Metric, ...] = ("arena", "latency") if device.runtime.name == "tflm" else ("latency",)
        return tuple(
            missing(m, artifact, refusal, where=device.id, method="not run", profile=device.id) for m in metrics
        )
    if file_format(path) != "tflite":
        reason = "estimates need a .tflite file; this one is .onnx"
        return (missing("latency", artifact, reason, where=device.id, method="not run", profile=device.id),)
    graph = read(path)
    return (*_arena(path, graph, device, artifact), predict_latency(graph, device, artifact))


def refused(path: Path, device: Profile) -> str:
    """Why the profile's runtime doesn't take the file's format or precision; "" if it does."""
    runtime, kind, precision = device.runtime, file_format(path), guess_precision(path)
    if kind not in runtime.formats:
        return f"{device.id} runs {' and '.join(runtime.formats)} files, found {kind}"
    if precision not in runtime.precisions:
        return f"{device.id} runs {', '.join(runtime.precisions)}, and the file computes in {precision}"
    return ""


def _by(runner: Runner, path: Path, plan: Bench, artifact: str, profile: Profile | None) -> tuple[Measurement, ...]:
    return runner.measure(
        path, runs=plan.runs, warmup=plan.warmup, threads=plan.threads, artifact=artifact, profile=profile
    )


def _arena(path: Path, graph: TfliteGraph, device: Profile, artifact: str) -> tuple[Measurement, ...]:
    if device.runtime.name != "tflm":
        return ()
    estimate = _estimated_arena(graph, device, artifact)
    if device.class_ == "npu":
        reason = "the NPU's compiler plans the memory itself, and it isn't run here"
        return (missing("arena", artifact, reason, where=device.id, method="not run", profile=device.id),)
    if not tflm.is_here():
        return _with_safe(estimate, estimate, device)
    try:
        found = tflm.Tflm().measure(path, runs=1, warmup=0, threads=1, artifact=artifact, profile=device)
    except RunError as exc:
        reason = str(exc).removeprefix(f"{path}: ")
        return (
            missing(
                "arena",
                artifact,
                reason,
                where=tflm.WHERE,
                method="smallest arena by bisection",
                profile=device.id,
            ),
        )
    if _asks_for_more(found, estimate, device):
        more = {"at_least": True}
        found = tuple(m.model_copy(update={"conditions": m.conditions | more}) for m in found)
    return _with_safe((*found, *estimate), estimate, device, found)


def _with_safe(
    rows: tuple[Measurement, ...], estimate: tuple[Measurement, ...], device: Profile,
    found: tuple[Measurement, ...] = (),
) -> tuple[Measurement, ...]:  # fmt: skip
    """The rows with conditions["safe_bytes"], what to allocate on the device, where it is known."""
    smallest = int(found[0].value) if found and found[0].value is not None else None
    if estimate and estimate[0].value is not None:
        safe = safe_arena_bytes(smallest, int(estimate[0].value), estimate[0].error)
    else:
        # The interpreter's own kernels are the device's where no optimized library replaces them.
        plain = device.runtime.kernels.lower() in {"", "reference"}
        safe = safe_arena_bytes(smallest, smallest, 0.0) if plain else None
    if safe is None:
        return rows
    return tuple(m.model_copy(update={"conditions": m.conditions | {"safe_bytes": safe}}) for m in rows)


def _asks_for_more(found: tuple[Measurement, ...], estimate: tuple[Measurement, ...], device: Profile) -> bool:
    """Whether the device's own kernels need more than the interpreter here: its figure is a lower bound."""
    if not estimate:
        return _is_esp_nn(device)
    return (estimate[0].value or 0) > (found[0].value or 0)


def _estimated_arena(graph: TfliteGraph, device: Profile, artifact: str) -> tuple[Measurement, ...]:
    """The planner's figure where a rule is known for the device's core and kernels, else none."""
    found = predict_arena(graph, device, artifact)
    if found is None and not (_is_esp_nn(device) or tflm.is_here()):
        method = f"{PLANNER}; {device.cpu.core or 'the core'} is another"
        found = arena_estimate(cortex_m_arena_bytes(graph, "reference"), device, artifact, method)
    return () if found is None else (found,)


def _is_esp_nn(device: Profile) -> bool:
    return device.runtime.kernels.lower() == "esp-nn"

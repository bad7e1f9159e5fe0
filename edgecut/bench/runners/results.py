"""What the worker reports of a file, as measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecut.records.measurement import Measurement, Place, measured, missing
from edgecut.records.profile import Profile
from edgecut.records.recipe import Bench

if TYPE_CHECKING:
    from edgecut.bench.jobs import Job, Result


def latency_job(settings: Bench) -> Job:
    """The worker's job of timing one file."""
    return {"job": "latency", "runs": settings.runs, "warmup": settings.warmup, "threads": settings.threads_here}


def as_measurements(
    result: Result, settings: Bench, *, where: str, artifact: str, profile: Profile | None
) -> tuple[Measurement, ...]:
    """Wall latency, processor time and memory growth out of a result of worker.py's `latency`."""
    conditions = {
        "runtime": result["runtime"],
        "version": result["version"],
        "threads": settings.threads_here,
        "runs": settings.runs,
        "warmup": settings.warmup,
        **result["conditions"],
    }
    place: Place = {"where": where, "profile": None if profile is None else profile.id}
    owner = "calling thread" if settings.threads_here == 1 else "child process"
    clock = f"median processor time of the {owner} in single runs"
    growth = "growth of a child process's peak resident memory over loading and running"
    if result["memory_bytes"] is None:
        memory = missing("memory", artifact, "this system doesn't tell a process's memory", method=growth, **place)
    else:
        memory = measured("memory", artifact, [result["memory_bytes"]], method=growth, conditions=conditions, **place)
    return (
        measured(
            "latency",
            artifact,
            result["wall_s"],
            method="median wall time of runs in a child process",
            conditions=conditions | {"load_s": result["load_s"], "first_s": result["first_s"]},
            **place,
        ),
        measured("cpu_time", artifact, result["cpu_s"], method=clock, conditions=conditions, **place),
        memory,
    )

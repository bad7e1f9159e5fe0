"""This machine: latency, processor time and memory of a file, measured in a child process."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecut.errors import RunError
from edgecut.records.measurement import Measurement, measured, missing
from edgecut.records.profile import Profile

# The slowest case known is int16x8 at 54 times the time of int8; a run that takes longer than this hangs.
TIMEOUT_S = 1800.0


def measure(
    path: Path, *, runs: int, warmup: int, threads: int, artifact: str, profile: Profile | None
) -> tuple[Measurement, ...]:
    """Wall latency, processor time and memory growth, measured on this host.

    profile: the host's own; None where the numbers stand beside those of a device, whose budget they never
    answer.
    Raises RunError if the file doesn't run.
    """
    job = {"job": "latency", "path": str(path), "runs": runs, "warmup": warmup, "threads": threads}
    result = run_job(job, path)
    conditions = {
        "runtime": result["runtime"],
        "version": result["version"],
        "threads": threads,
        "runs": runs,
        "warmup": warmup,
        "machine": f"{platform.system()} {platform.machine()}",
    }
    place: dict[str, Any] = {"where": "host", "profile": None if profile is None else profile.id}
    owner = "calling thread" if threads == 1 else "child process"
    clock = f"median processor time of the {owner} in single runs"
    growth = "growth of a child process's peak resident memory over loading and running"
    if result["memory_bytes"] is None:
        memory = missing("memory", artifact, "this system doesn't tell a process's memory", method=growth, **place)
    else:
        memory = measured("memory", artifact, [result["memory_bytes"]], method=growth, conditions=conditions, **place)
    return (
        measured(
            "latency", artifact, result["wall_s"], method="median wall time of runs in a child process",
            conditions=conditions | {"load_s": result["load_s"]}, **place,
        ),
        measured("cpu_time", artifact, result["cpu_s"], method=clock, conditions=conditions, **place),
        memory,
    )  # fmt: skip


def run_job(job: Mapping[str, Any], path: Path, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """The result of a job that a child process did; worker.py says what jobs there are.

    Raises RunError, beginning with `path`, if the child fails, crashes, or takes longer than timeout_s.
    """
    # -P: a file named numpy.py in the user's folder must not be imported.
    command = [sys.executable, "-P", "-m", "edgecut.bench.worker"]
    try:
        child = subprocess.run(
            command, input=json.dumps(job), capture_output=True, text=True, errors="replace",
            timeout=timeout_s, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired as exc:
        raise RunError(f"{path}: the child process that ran it was stopped after {timeout_s:g} s") from exc
    lines = [line.strip() for line in child.stderr.splitlines() if line.strip()]
    said = lines[-1].rstrip(".") if lines else "nothing"
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        raise RunError(f"{path}: the child process that ran it was stopped by {name}; it last wrote: {said}")
    if child.returncode != 0:
        raise RunError(f"{path}: the child process that ran it failed: {said}")
    result: dict[str, Any] = json.loads(child.stdout)
    if "error" in result:
        raise RunError(f"{path}: {result['error']}")
    return result

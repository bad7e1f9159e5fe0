"""`edgecut bench`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from edgecut.cli.flags import recipe_flags, several_profiles
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_source
from edgecut.records.measurement import Measurement
from edgecut.records.profile import find_profile


@click.command(
    "bench",
    epilog="\b\nExamples:\n"
    "  edgecut bench model.tflite\n"
    "  edgecut bench model.tflite --profile nucleo-l4r5zi,raspberry-pi-4 --json",
)
@click.argument("file", type=click.Path(path_type=Path))
@several_profiles
@click.option("--runner", metavar="local|tflm", help="Measure only with this runner.")
@click.option("--operators", is_flag=True, help="Also the time of each operator on this machine.")
@recipe_flags("--runs", "--warmup", "--threads")
@with_output
def command(
    output: Output,
    *,
    file: Path,
    profile_names: tuple[str, ...],
    runner: str | None,
    operators: bool,
    overrides: dict[str, Any],
) -> int:
    """Measure a .tflite or .onnx file on this machine, and say what it takes on devices.

    Latency, memory and the TFLM arena are measured in a child process without TensorFlow. What can't be
    measured here is estimated from the profile, and labelled so, with its error band. Without --profile: this
    machine.
    """
    from edgecut.bench.measure import bench
    from edgecut.render.tables import measurement_table

    profiles = [find_profile(name) for name in profile_names or ("host",)]
    settings = read_source(str(file), overrides).bench
    options = {} if runner is None else {"runner": runner}
    found: list[Measurement] = []
    progress = output.progress()
    for profile in profiles:
        with progress.task(f"measuring for {profile.id}"):
            found += bench(
                file, profile, runs=settings.runs, warmup=settings.warmup, threads=settings.threads, **options
            )
    measurements = _each_once(found)
    output.table(measurement_table(measurements, verbose=output.verbose))
    document: dict[str, Any] = {"measurements": [measurement.to_dict() for measurement in measurements]}
    if operators:
        document |= _operators(output, file, runs=settings.runs, warmup=settings.warmup, threads=settings.threads)
    output.document(document)
    return 0


def _operators(output: Output, file: Path, *, runs: int, warmup: int, threads: int) -> dict[str, Any]:
    """Prints the time of each operator; {"operators": rows, "operators_method": how they were timed}."""
    from edgecut.bench.operators import operator_times
    from edgecut.render.graphs import time_table

    with output.progress().task("timing operators"):
        rows, method = operator_times(file, runs=runs, warmup=warmup, threads=threads)
    output.table("", time_table(rows), method)
    return {"operators": [asdict(row) for row in rows], "operators_method": method}


def _each_once(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """The measurements without those that say the same of this machine for another profile."""
    seen: dict[tuple[str, str, str, str | None, str], Measurement] = {}
    for m in measurements:
        seen.setdefault((m.metric, m.kind, m.where, m.profile if m.where != "host" else None, m.method), m)
    return tuple(seen.values())

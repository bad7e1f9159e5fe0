"""`edgecut bench --vs`: two files timed in turn."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from edgecut.cli.flags import Overrides
from edgecut.cli.output import Output
from edgecut.errors import RequestError
from edgecut.records.recipe import Bench


def compare_pair(
    output: Output, files: tuple[Path, Path], settings: Bench, overrides: Overrides, rounds: int | None
) -> int:
    """Shows by what factor the second file is slower, and returns the exit code."""
    from edgecut.bench.interleaved import ROUNDS, RUNS, WARMUP, Turns, interleave
    from edgecut.bench.runners.local import Local
    from edgecut.bench.runners.table import machine_of
    from edgecut.bench.spread import wide_interval
    from edgecut.render.comparison import ratio_table
    from edgecut.runtime.specs import read_graph

    if len(settings.runners) > 1:
        raise RequestError(f"--runner: --vs compares on one machine, found {len(settings.runners)}")
    machine = machine_of((settings.runners or ("local",))[0].rpartition("=")[2])
    for path in files:
        read_graph(path)
    title, on_host = f"{files[0].name} and {files[1].name} in turn", isinstance(machine, Local)
    with output.progress().task(title, (rounds or ROUNDS) if on_host else None) as advance:
        turns = Turns(
            rounds=rounds or ROUNDS,
            runs=settings.runs if "bench.runs" in overrides else RUNS,
            warmup=settings.warmup if "bench.warmup" in overrides else WARMUP,
            threads=settings.threads_here,
        )
        found = interleave(*files, turns, machine=machine, timeout_s=settings.timeout_s, advance=advance)
    ratios = {"latency": found.wall, "cpu_time": found.cpu}
    output.table(*ratio_table(ratios, str(files[0]), str(files[1]), found.where))
    sentence = wide_interval(found.wall, found.conditions)
    if sentence is not None:
        output.note(sentence)
    output.document(
        {
            "a": str(files[0]),
            "b": str(files[1]),
            "where": found.where,
            "conditions": found.conditions,
            **{metric: asdict(ratio) | {"differs": ratio.differs} for metric, ratio in ratios.items()},
        }
    )
    return 0

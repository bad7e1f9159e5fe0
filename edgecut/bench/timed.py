"""Seconds of single runs, by the clock and by the processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecut.bench.jobs import Job, Timed

Invoke = Callable[[], object]
MIN_RUNS = 5  # of a file whose time is up


def timed(invoke: Invoke, job: Job) -> Timed:
    """wall_s and cpu_s of each run, first_s of the first one."""
    # The time of this thread alone holds under load; with several threads only the process's time sees them all.
    cpu_clock = time.thread_time_ns if job["threads"] == 1 else time.process_time_ns
    wall_s: list[float] = []
    cpu_s: list[float] = []
    begin = time.perf_counter_ns()
    for _ in range(job["warmup"]):
        invoke()
        if not wall_s:
            wall_s.append((time.perf_counter_ns() - begin) / 1e9)
    first_s = wall_s.pop() if wall_s else None
    limit_ns = job.get("seconds", float("inf")) * 1e9
    begin = time.perf_counter_ns()
    for count in range(job["runs"]):
        cpu_start, start = cpu_clock(), time.perf_counter_ns()
        if count >= MIN_RUNS and start - begin > limit_ns:
            break
        invoke()
        end, cpu_end = time.perf_counter_ns(), cpu_clock()
        wall_s.append((end - start) / 1e9)
        cpu_s.append((cpu_end - cpu_start) / 1e9)
    return {"wall_s": wall_s, "cpu_s": cpu_s, "first_s": wall_s[0] if first_s is None else first_s}

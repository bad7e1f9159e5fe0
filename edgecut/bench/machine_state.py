"""The machine as it is while files are timed."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.bench.timed import timed

if TYPE_CHECKING:
    from edgecut.bench.jobs import State


def machine_state(threads: int) -> State:
    """What the times depend on, as it is now; it also pins this process to as many cores as it has threads.

    machine, cpu, cores, python; load (the mean number of running processes over the last minute), governor (of the
    core's frequency), pinned_to (core numbers): None where the system doesn't tell or allow it.
    timer_s: the median wall and processor time that is counted for a call that does nothing, which is in every figure.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    pinned = _pin(threads)
    governor = _text(f"/sys/devices/system/cpu/cpu{pinned[0] if pinned else 0}/cpufreq/scaling_governor")
    empty = timed(lambda: None, {"runs": 200, "warmup": 20, "threads": threads})
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": load,
        "governor": governor,
        "pinned_to": pinned,
        "timer_s": {"wall": statistics.median(empty["wall_s"]), "cpu": statistics.median(empty["cpu_s"])},
    }


def _pin(threads: int) -> list[int] | None:
    """Ties this process to the fastest cores it may use, among those the least busy; None where that can't be done."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    khz = {c: int(_text(f"/sys/devices/system/cpu/cpu{c}/cpufreq/cpuinfo_max_freq") or 0) for c in allowed}
    before = _busy_ticks()
    time.sleep(0.05)
    busy = {core: ticks - before.get(core, 0) for core, ticks in _busy_ticks().items()}
    chosen = sorted(sorted(allowed, key=lambda core: (-khz[core], busy.get(core, 0), -core))[:threads])
    try:
        os.sched_setaffinity(0, chosen)
    except OSError:
        return None
    return chosen


def _busy_ticks() -> dict[int, int]:
    """The clock ticks that each core has worked (proc(5): user, nice, system, then idle and iowait)."""
    ticks = {}
    for line in (_text("/proc/stat") or "").splitlines():
        name, _, rest = line.partition(" ")
        if name.startswith("cpu") and name[3:].isdigit():
            ticks[int(name[3:])] = sum(int(word) for word in rest.split()[:3])
    return ticks


def _cpu_name() -> str:
    lines = [line.partition(":") for line in (_text("/proc/cpuinfo") or "").splitlines()]
    names = {key.strip(): value.strip() for key, _, value in lines}
    return names.get("model name") or names.get("Model") or platform.processor() or platform.machine()


def memory_bytes(field: str) -> int | None:
    """A field of this process's memory status. getrusage won't do: its peak is inherited from the parent."""
    lines = (_text("/proc/self/status") or "").splitlines()
    line = next((line for line in lines if line.startswith(field + ":")), None)
    return int(line.split()[1]) * 1024 if line else None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return None

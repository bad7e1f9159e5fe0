"""Flash and stack of a file's C, linked for a Cortex-M4 and run in the emulator."""

from __future__ import annotations

from pathlib import Path

from edgecut.bench.runners.qemu import LINKED, qemu_of
from edgecut.errors import EdgecutError
from edgecut.records.measurement import Measurement, Metric, missing
from edgecut.records.recipe import Bench

CORE = "cortex-m4"
METRICS: tuple[Metric, ...] = ("flash", "stack")


def linked(path: Path) -> tuple[Measurement, ...]:
    """Both of an int8 .tflite file; without value, and with the reason, where they can't be had here."""
    try:
        rows = qemu_of(f"qemu://{CORE}").measure(path, Bench(runs=1), artifact=path.name, profile=None)
    except EdgecutError as exc:
        where = f"{LINKED}, {CORE}"
        return tuple(missing(metric, path.name, f"not measured: {exc}", where=where, method="") for metric in METRICS)
    return tuple(row for row in rows if row.metric in METRICS)

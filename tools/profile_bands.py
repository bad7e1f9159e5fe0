"""The error band of a microcontroller's latency facts: each MLPerf Tiny model predicted from the other three."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from profile_tiny import TINY_MACS, clock_mhz

System = tuple[str, str, str]  # (round, organisation, system) as in mlperf_tiny.csv
Times = Mapping[str, float]  # model -> ms


def systems(tiny: Sequence[Mapping[str, str]]) -> dict[System, tuple[str, float, dict[str, float]]]:
    """system -> (engine's family, clock in MHz, model -> ms) of every system with all four models."""
    found: dict[System, tuple[str, float, dict[str, float]]] = {}
    for row in tiny:
        clock = clock_mhz(row["freq"])
        if row["mode"] == "performance" and row["task"] in TINY_MACS and clock is not None:
            key = (row["round"], row["org"], row["system"])
            found.setdefault(key, (family(row["fw"]), clock, {}))[2][row["task"]] = float(row["ms"])
    return {key: value for key, value in found.items() if len(value[2]) == len(TINY_MACS)}


def family(engine: str) -> str:
    """The runtime that an engine's name is about, without its version."""
    text = engine.lower()
    known = {"x-cube": "x-cube-ai", "tensorflow lite": "tflm", "tflite-micro": "tflm", "tvm": "microtvm",
             "bosch": "hale", "plumerai": "plumerai", "onnc": "onnc"}  # fmt: skip
    return next((name for part, name in known.items() if part in text), text)


def leave_one_out(ms: Times, others: Sequence[tuple[float, Times]], clock: float) -> dict[str, float]:
    """model -> actual / estimate - 1, each model estimated from the other three on the same chip.

    others: (clock in MHz, ms) of other systems with the same runtime, whose median cycles per MAC give the ratios
    between the classes. The three known models scale that shape by a non-negative weight for each class that starts
    from the ratios: ridge of weight 0.1 in relative terms.
    """
    shape = np.median([fitted(times, mhz, None) for mhz, times in others], axis=0) if others else None
    errors = {}
    for name in ms:
        known = {other: value for other, value in ms.items() if other != name}
        estimate = float(np.dot(fitted(known, clock, shape), TINY_MACS[name])) / (clock * 1e3)
        errors[name] = ms[name] / estimate - 1
    return errors


def fitted(ms: Times, mhz: float, shape: np.ndarray | None) -> np.ndarray:
    """Cycles per MAC (conv, depthwise, dense), fitted by least squared relative error, pulled towards `shape`."""
    table = np.array([np.array(TINY_MACS[name], float) / (value * mhz * 1e3) for name, value in ms.items()])
    start = np.array([3.0, 10.0, 3.0]) if shape is None else np.maximum(shape, 1e-3)
    scale = 1.0 / float(np.median(table @ start))
    start = start * scale
    rows = np.vstack([table * start, math.sqrt(0.1) * np.eye(3)])
    wanted = np.concatenate([np.ones(len(table)), math.sqrt(0.1) * np.ones(3)])
    weights, *_ = np.linalg.lstsq(rows, wanted, rcond=None)
    return np.asarray(np.maximum(weights, 0.05) * start)


def band(tiny: Sequence[Mapping[str, str]], system: System) -> tuple[float, float]:
    """(p50, p90) of a system's leave-one-out errors, rounded up; the worst of the four stands for the p90."""
    known = systems(tiny)
    engine, clock, ms = known[system]
    others = [(c, t) for key, (e, c, t) in known.items() if e == engine and key[2] != system[2]]
    errors = sorted(abs(e) for e in leave_one_out(ms, others, clock).values())
    return math.ceil(statistics.median(errors) * 100) / 100, math.ceil(errors[-1] * 100) / 100

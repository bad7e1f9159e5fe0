"""The error band of a microcontroller's latency facts: each MLPerf Tiny model predicted from the others."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tools.profile_tiny import TINY_MACS, clock_mhz

System = tuple[str, str, str]  # (round, organisation, system) as in mlperf_tiny.csv
Times = Mapping[str, float]  # model -> ms
Known = Mapping[System, tuple[str, float, dict[str, float]]]  # system -> (engine's family, clock in MHz, times)


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


@dataclass(frozen=True)
class LeftOut:
    """A row of mlperf_tiny.csv, predicted without it. error: measured / predicted - 1; band: stated without it."""

    profile: str
    model: str
    predicted_ms: float
    measured_ms: float
    band: float

    @property
    def error(self) -> float:
        """Relative to the prediction, as bands are."""
        return self.measured_ms / self.predicted_ms - 1

    @property
    def holds(self) -> bool:
        """Whether the band does."""
        return abs(self.error) <= self.band


def band(tiny: Sequence[Mapping[str, str]], system: System, without: str = "") -> tuple[float, float]:
    """(p50, p90) of leave-one-out errors, rounded up, of all models but one.

    p90: what nine tenths of the other chips' errors stay within, or of those with the same runtime, or the system's own
    worst, whichever is most. p50: the larger of its own median and the other chips'.
    """
    known = systems(tiny)
    engine, clock, ms = known[system]
    # The row is out of the ratios as well that others take from this system.
    known[system] = (engine, clock, {model: value for model, value in ms.items() if model != without})
    errors = {key: _absolute_errors(known, key, without) for key in known}
    others = [key for key in known if key[2] != system[2]]
    pool = [error for key in others for error in errors[key]]
    alike = [error for key in others if known[key][0] == known[system][0] for error in errors[key]]
    p50 = max(statistics.median(errors[system]), statistics.median(pool))
    p90 = max(*errors[system], float(np.quantile(pool, 0.9)), float(np.quantile(alike or pool, 0.9)))
    return math.ceil(p50 * 100) / 100, math.ceil(p90 * 100) / 100


def left_out_rows(tiny: Sequence[Mapping[str, str]], benchmarked: Mapping[str, System]) -> Iterator[LeftOut]:
    """Each row of the profiles' own systems, its price and its band made without it.

    benchmarked: profile -> system.
    """
    known = systems(tiny)
    for profile, system in benchmarked.items():
        errors = _errors(known, system, "")
        for model, measured in known[system][2].items():
            predicted = measured / (errors[model] + 1)
            yield LeftOut(profile, model, predicted, measured, band(tiny, system, without=model)[1])


def _absolute_errors(known: Known, system: System, without: str) -> list[float]:
    return [abs(error) for error in _errors(known, system, without).values()]


def _errors(known: Known, system: System, without: str) -> dict[str, float]:
    engine, clock, ms = known[system]
    others = [(c, t) for key, (e, c, t) in known.items() if e == engine and key[2] != system[2]]
    return leave_one_out({model: value for model, value in ms.items() if model != without}, others, clock)

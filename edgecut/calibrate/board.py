"""Latency facts of a device out of nets that were measured on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgecut.bench.work import KINDS
from edgecut.calibrate.band import bands, covered, left_out, own_errors
from edgecut.calibrate.measured import BOARD, Measured, Prior, fitted
from edgecut.errors import RequestError
from edgecut.export.readback import tflite_precision
from edgecut.records.profile import LatencyFacts, Profile, Work
from edgecut.records.recipe import Precision

# What one unit of each kind costs beside one multiply-accumulate of a convolution, and how sure that is as a logarithm.
# cpu: kernels of CMSIS-NN, XNNPACK and X-CUBE-AI, which round and store a result in the time of some multiplications.
# npu: an STM32N6's, which multiplies for next to nothing and waits for activations and, at 350 to 400 MB/s, for
# weights. gpu: between them.
GENERAL: dict[str, dict[str, tuple[float, float]]] = {
    "cpu": {
        "conv.macs": (1, 0.6), "narrow.macs": (2, 0.6), "pointwise.macs": (1.2, 0.6), "depthwise.macs": (2, 0.6),
        "broad.macs": (3, 0.6), "dense.macs": (2, 0.6), "results": (10, 0.8), "moved": (6, 0.8), "copied": (6, 0.8),
        "curves": (30, 0.8), "distant.macs": (0.4, 0.8), "weights": (1, 1.2), "far": (6, 1.2),
        "operators": (10_000, 1.2),
    },
    "npu": {
        "conv.macs": (0.005, 0.8), "narrow.macs": (0.01, 0.8), "pointwise.macs": (0.004, 0.8),
        "depthwise.macs": (0.01, 0.8), "broad.macs": (0.02, 0.8), "dense.macs": (0.005, 0.8), "results": (1.4, 0.5),
        "moved": (1, 0.8), "copied": (0.2, 0.8), "curves": (3, 0.8), "weights": (2.65, 0.15), "far": (5, 0.8),
        "operators": (8000, 0.8), "distant.macs": (0.002, 0.8),
    },
    "gpu": {
        "conv.macs": (0.02, 0.6), "narrow.macs": (0.1, 0.6), "pointwise.macs": (0.04, 0.6),
        "depthwise.macs": (0.3, 0.6), "broad.macs": (0.5, 0.6), "dense.macs": (0.05, 0.6), "results": (3, 0.8),
        "moved": (2, 0.8), "copied": (2, 0.8), "curves": (3, 0.8), "weights": (3, 1.2), "far": (5, 1.2),
        "operators": (30_000, 1.2), "distant.macs": (0.01, 0.8),
    },
}  # fmt: skip


def general(name: str) -> Prior:
    """The prior of a kind of processor, by GENERAL."""
    return Prior(*(tuple(GENERAL[name][kind][part] for kind in KINDS) for part in (0, 1)))


def fit_measured(rows: Sequence[Measured], base: Profile, basis: str = "") -> LatencyFacts:
    """The facts that nets measured on a device give it, one table for each precision among them.

    base: the device, whose prices of that precision, if it has any, few nets are pulled towards; its clock, and what
    its prices say of the internal memory. Raises RequestError if there are no rows.
    """
    if not rows:
        raise RequestError(f"profile {base.id!r}: no measured net to fit prices to; at least one is expected")
    precisions: dict[Precision | None, list[Measured]] = {}
    for row in rows:
        precisions.setdefault(tflite_precision(row.graph), []).append(row)
    tables = []
    for precision, own in precisions.items():
        known = base.latency.work if base.latency is not None else ()
        below = next((table for table in known if table.precision == precision), None)
        if precision is not None:
            inside, flash = (below.internal_bytes, below.flash_bytes) if below else (None, None)
            placed = [replace(row, place=base.id, internal_bytes=inside, flash_bytes=flash) for row in own]
            tables.append(work_of(placed, precision, _prior(base, below), base.cpu.clock_hz))
    return facts_of(tables, basis)


def facts_of(tables: Sequence[Work], basis: str) -> LatencyFacts:
    """The facts of a device whose tables are known; its own band and counts are those of int8, or of most nets."""
    most = max(tables, key=lambda table: (table.precision == "int8", table.nets))
    return LatencyFacts(
        kind="published",
        basis=basis,
        error_p50=most.error_p50,
        error_p90=most.error_p90,
        nets=most.nets,
        families=most.families,
        work=tuple(tables),
    )


def work_of(
    rows: Sequence[Measured], precision: Precision, prior: Prior, clock_hz: int | None, threads: int | None = None
) -> Work:
    """The prices of one place, with the band that leaving out each family there gives: no narrower than the rows'."""
    found = fitted(rows, prior)
    known = covered(rows, found)
    p50, p90 = map(max, bands(left_out(rows, prior)), own_errors(rows, found))
    place = rows[0].place
    return Work(
        precision=precision,
        seconds={kind: _digits(price) for kind, price in zip(KINDS, found.at(place), strict=True)},
        clock_hz=clock_hz,
        internal_bytes=rows[0].internal_bytes,
        flash_bytes=rows[0].flash_bytes,
        versions={version: _digits(factor) for (_, version), factor in found.versions.items() if version},
        threads=threads,
        nets=len({row.net for row in rows}),
        families=len({row.family for row in rows}),
        error_p50=round(p50, 2),
        error_p90=round(p90, 2),
        seen={kind: round(share, 3) for kind, share in known.seen.items()},
        least_s=_digits(known.least_s),
        most_s=_digits(known.most_s),
    )


def _prior(base: Profile, below: Work | None) -> Prior:
    if below is None:
        return general("npu" if base.class_ == "npu" else "cpu")
    usual = general("npu" if base.class_ == "npu" else "cpu")
    prices = tuple(below.seconds.get(kind, 0.0) or price for kind, price in zip(KINDS, usual.prices, strict=True))
    return Prior(prices, (BOARD,) * len(KINDS))


def _digits(value: float) -> float:
    return float(f"{value:.4g}")

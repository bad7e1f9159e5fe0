"""The part of a report that any build of the same inputs gives again: what texts for people are made of."""

from __future__ import annotations

from collections.abc import Sequence

from edgecut.records.report import Report, overall

TIMED = frozenset({"latency", "cpu_time", "memory"})
"""Metrics that differ from one run to the next where they are measured."""


def lasting(report: Report, notes: Sequence[str] | None = None) -> Report:
    """The report without measured times and memory, the checks that rest on them, and a status that counts them.

    notes: those that don't tell of such figures; default: all.
    """
    checks = tuple(c for c in report.checks if c.metric not in TIMED or c.basis != "measured")
    kept = tuple(m for m in report.measurements if m.metric not in TIMED or m.kind != "measured")
    status = report.status if report.status == "failed" else overall(checks)
    return report.model_copy(
        update={
            "checks": checks,
            "measurements": kept,
            "status": status,
            "notes": report.notes if notes is None else tuple(notes),
        }
    )
